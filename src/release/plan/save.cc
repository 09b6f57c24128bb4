// The World as JSON documents, one for each application, lane and release, so that a change of one
// writes one. Declared objects keep their text, which the model reads again.
#include <fmt/core.h>

#include <utility>

#include "base/hash.h"
#include "base/json.h"
#include "release/plan/plan.h"

namespace graymesh::release {
namespace {

using Json = nlohmann::json;

std::int64_t millis(Clock::Wall time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}
Clock::Wall wall(const Json& json, const char* name) {
  return Clock::Wall(std::chrono::milliseconds(json.value(name, std::int64_t{0})));
}

Json of(const Artefact& artefact) {
  return {{"revision", artefact.revision},           {"replicas", artefact.replicas},
          {"version", artefact.run.version},         {"command", artefact.run.command},
          {"environment", artefact.run.environment}, {"directory", artefact.run.directory},
          {"memory", artefact.run.memory_bytes},     {"cpus", artefact.run.cpus}};
}

Artefact artefact(const Json& json) {
  Artefact out;
  out.revision = json.at("revision");
  out.replicas = json.at("replicas");
  out.run.version = json.at("version");
  out.run.command = json.at("command").get<std::vector<std::string>>();
  for (const auto& [name, value] : json.at("environment").items())
    out.run.environment[name] = value.get<std::string>();
  out.run.directory = json.at("directory");
  out.run.memory_bytes = json.at("memory");
  out.run.cpus = json.at("cpus");
  return out;
}

Json of(const Actor& actor) { return {{"name", actor.name}, {"from", actor.from}}; }
Actor actor(const Json& json) { return {json.at("name"), json.at("from")}; }

Json of(const Receipt& receipt) {
  return {{"what", receipt.what},     {"proxies", receipt.proxies}, {"acked", receipt.acked},
          {"p50_ms", receipt.p50_ms}, {"p99_ms", receipt.p99_ms},   {"last_ms", receipt.last_ms},
          {"last", receipt.last},     {"missing", receipt.missing}, {"refused", receipt.refused},
          {"at", millis(receipt.at)}};
}
Receipt receipt(const Json& json) {
  Receipt out;
  out.what = json.at("what");
  out.proxies = json.at("proxies");
  out.acked = json.at("acked");
  out.p50_ms = json.at("p50_ms");
  out.p99_ms = json.at("p99_ms");
  out.last_ms = json.at("last_ms");
  out.last = json.at("last");
  out.missing = json.at("missing").get<std::vector<std::string>>();
  out.refused = json.at("refused").get<std::vector<std::string>>();
  out.at = wall(json, "at");
  return out;
}

Json of(const Application& app) {
  Json out = {{"text", app.object->text},
              {"number", app.number},
              {"last_revision", app.last_revision},
              {"baseline", of(app.baseline)},
              {"follows", app.follows},
              {"declared", app.declared},
              {"leaving", app.leaving}};
  if (app.change)
    out["change"] = {{"next", of(app.change->next)},
                     {"switching", app.change->phase == Application::Change::Phase::switching},
                     {"since", millis(app.change->since)}};
  return out;
}

Json of(const Member& member) {
  Json out = {{"application", member.application},
              {"gray", of(member.gray)},
              {"baseline_revision", member.baseline_revision}};
  if (member.old_baseline) out["old_baseline"] = of(*member.old_baseline);
  if (member.back_revision != 0) out["back_revision"] = member.back_revision;
  return out;
}

Json of(const model::StringMatch& match) {
  return {{"kind", static_cast<int>(match.kind)}, {"value", match.value}};
}
Json of(const model::NamedMatches& matches) {
  Json out = Json::object();
  for (const auto& [name, match] : matches) out[name] = of(match);
  return out;
}
model::NamedMatches matches(const Json& json) {
  model::NamedMatches out;
  for (const auto& [name, match] : json.items()) {
    const int kind = match.at("kind");
    if (kind < 0 || kind > static_cast<int>(model::StringMatch::Kind::present))
      throw std::out_of_range("kind of a match");
    out[name] = {static_cast<model::StringMatch::Kind>(kind), match.at("value")};
  }
  return out;
}

Json nanos(const std::optional<model::Duration>& span) {
  return span ? Json(span->count()) : Json();
}
std::optional<model::Duration> nanos(const Json& json) {
  if (json.is_null()) return std::nullopt;
  return model::Duration(json.get<std::int64_t>());
}

Json of(const model::Analysis& analysis) {
  Json queries = Json::array();
  for (const auto& query : analysis.queries)
    queries.push_back({query.name, query.total, query.bad, query.margin});
  return {
      {"success_margin", analysis.success_margin},
      {"latency", {analysis.latency.percentile, analysis.latency.margin, analysis.latency.slower}},
      {"proxies", analysis.proxies},
      {"prometheus", analysis.prometheus},
      {"queries", std::move(queries)},
      {"window", nanos(analysis.window)},
      {"interval", nanos(analysis.interval)},
      {"minimum", nanos(analysis.minimum)},
      {"maximum", nanos(analysis.maximum)},
      {"inconclusive", static_cast<int>(analysis.inconclusive)},
      {"dry_run", analysis.dry_run}};
}

model::Analysis analysis(const Json& json) {
  model::Analysis out;
  out.success_margin = json.at("success_margin");
  const Json& latency = json.at("latency");
  out.latency = {latency.at(0), latency.at(1), latency.at(2)};
  out.proxies = json.at("proxies");
  out.prometheus = json.at("prometheus");
  for (const Json& query : json.at("queries"))
    out.queries.push_back({query.at(0), query.at(1), query.at(2), query.at(3)});
  out.window = nanos(json.value("window", Json()));  // not of releases that began before there was
  out.interval = nanos(json.at("interval"));
  out.minimum = nanos(json.at("minimum"));
  out.maximum = nanos(json.at("maximum"));
  const int inconclusive = json.at("inconclusive");
  if (inconclusive < 0 || inconclusive > static_cast<int>(model::Analysis::Inconclusive::rollback))
    throw std::out_of_range("inconclusive");
  out.inconclusive = static_cast<model::Analysis::Inconclusive>(inconclusive);
  out.dry_run = json.at("dry_run");
  return out;
}

Json of(const model::GrayStep& step) {
  Json out = {{"weight", step.weight},
              {"pause", nanos(step.pause)},
              {"approval", step.approval},
              {"verdict", step.hook}};
  if (step.analysis) out["analysis"] = of(*step.analysis);
  return out;
}

model::GrayStep step(const Json& json) {
  model::GrayStep out;
  out.weight = json.at("weight");
  out.pause = nanos(json.at("pause"));
  out.approval = json.at("approval");
  out.hook = json.at("verdict");
  if (json.contains("analysis")) out.analysis = analysis(json.at("analysis"));
  // It may also stand as text in the place of a hook's URL.
  if (out.hook.starts_with('{')) out.analysis = analysis(Json::parse(std::exchange(out.hook, {})));
  return out;
}

// Without its applications, which live on as members.
Json of(const model::GrayRelease& spec) {
  Json out = {{"tag", spec.tag},
              {"sticky_cookie", spec.sticky_cookie},
              {"laggards", static_cast<int>(spec.laggards)},
              {"laggards_after", nanos(spec.laggards_after)},
              {"ready_within", nanos(spec.ready_within)},
              {"promote", spec.promote},
              {"match", Json::array()},
              {"steps", Json::array()}};
  if (!spec.promote_to.empty()) out["promote_to"] = spec.promote_to;
  for (const auto& match : spec.match)
    out["match"].push_back({{"headers", of(match.headers)},
                            {"cookies", of(match.cookies)},
                            {"query", of(match.query)},
                            {"source", match.source_application}});
  for (const auto& step : spec.steps) out["steps"].push_back(of(step));
  return out;
}

model::GrayRelease spec(const Json& json) {
  model::GrayRelease out;
  out.tag = json.at("tag");
  out.sticky_cookie = json.at("sticky_cookie");
  out.laggards = static_cast<model::GrayRelease::Laggards>(json.at("laggards").get<int>());
  out.laggards_after = nanos(json.at("laggards_after"));
  out.ready_within = nanos(json.at("ready_within"));
  out.promote = json.at("promote");
  out.promote_to = json.value("promote_to", "");
  for (const Json& match : json.at("match"))
    out.match.push_back({matches(match.at("headers")), matches(match.at("cookies")),
                         matches(match.at("query")), match.at("source")});
  for (const Json& one : json.at("steps")) out.steps.push_back(step(one));
  return out;
}

Json of(const Release& release) {
  Json out = {{"id", release.id},
              {"namespace", release.name.namespace_},
              {"name", release.name.name},
              {"spec", of(release.spec)},
              {"phase", name_of(release.phase)},
              {"step", release.step},
              {"held", release.held},
              {"promote_asked", release.promote_asked},
              {"started_by", of(release.started_by)},
              {"started", millis(release.started)},
              {"since", millis(release.since)},
              {"over", millis(release.over)},
              {"reason", release.reason},
              {"declared", release.declared},
              {"content", release.content},
              {"approvals", Json::array()},
              {"members", Json::array()},
              {"receipts", Json::object()}};
  if (release.from != 0) out["from"] = release.from;
  if (release.stays) out["stays"] = true;
  for (const Passage& passage : release.promoted_to)
    out["promoted_to"].push_back({{"namespace", passage.namespace_}, {"release", passage.release}});
  for (const Actor& approval : release.approvals) out["approvals"].push_back(of(approval));
  for (const Member& member : release.members) out["members"].push_back(of(member));
  for (const auto& [phase, receipt] : release.receipts) out["receipts"][phase] = of(receipt);
  return out;
}

Release release(const Json& json) {
  Release out;
  out.id = json.at("id");
  out.name = {json.at("namespace"), json.at("name")};
  out.spec = spec(json.at("spec"));
  const auto phase = phase_named(json.at("phase").get<std::string>());
  if (!phase) throw std::out_of_range("phase");
  out.phase = *phase;
  out.step = json.at("step");
  out.held = json.at("held");
  out.promote_asked = json.at("promote_asked");
  out.started_by = actor(json.at("started_by"));
  out.started = wall(json, "started");
  out.since = wall(json, "since");
  out.over = wall(json, "over");
  out.reason = json.at("reason");
  out.content = json.at("content");
  out.declared = json.at("declared");
  out.from = json.value("from", std::uint64_t{0});
  out.stays = json.value("stays", false);
  for (const Json& passage : json.value("promoted_to", Json::array()))
    out.promoted_to.push_back({passage.at("namespace"), passage.at("release")});
  for (const Json& approval : json.at("approvals")) out.approvals.push_back(actor(approval));
  for (const Json& member : json.at("members")) {
    Member& to = out.members.emplace_back();
    to.application = member.at("application");
    to.gray = artefact(member.at("gray"));
    to.baseline_revision = member.at("baseline_revision");
    if (member.contains("old_baseline")) to.old_baseline = artefact(member.at("old_baseline"));
    to.back_revision = member.value("back_revision", 0u);
  }
  for (const auto& [name, value] : json.at("receipts").items()) out.receipts[name] = receipt(value);
  return out;
}

Json of(const Lane& lane) {
  return {{"namespace", lane.name.namespace_},
          {"name", lane.name.name},
          {"owner", lane.spec.owner},
          {"branch", lane.spec.branch},
          {"time_to_live", nanos(lane.spec.time_to_live)},
          {"idle", nanos(lane.spec.idle)},
          {"strict", lane.spec.strict},
          {"created_by", of(lane.created_by)},
          {"created", millis(lane.created)},
          {"used", millis(lane.used)},
          {"declared", lane.declared},
          {"leaving", lane.leaving}};
}

Lane lane(const Json& json) {
  Lane out;
  out.name = {json.at("namespace"), json.at("name")};
  out.spec.owner = json.at("owner");
  out.spec.branch = json.at("branch");
  out.spec.time_to_live = nanos(json.at("time_to_live"));
  out.spec.idle = nanos(json.at("idle"));
  out.spec.strict = json.at("strict");
  out.created_by = actor(json.at("created_by"));
  out.created = wall(json, "created");
  out.used = wall(json, "used");
  out.leaving = json.at("leaving");
  out.declared = json.at("declared");
  return out;
}

model::ObjectPtr object_of(const Json& json, model::Kind kind) {
  auto documents = model::read(json.at("text").get_ref<const std::string&>(), "store");
  if (documents.size() != 1 || !documents.front().object ||
      documents.front().object->meta.key.kind != kind)
    throw std::invalid_argument(fmt::format("its text is no {}", model::name_of(kind)));
  return documents.front().object;
}

Application application(const Json& json) {
  Application out;
  out.object = object_of(json, model::Kind::application);
  out.name = {out.object->meta.key.namespace_, out.object->meta.key.name};
  out.number = json.at("number");
  out.last_revision = json.at("last_revision");
  out.baseline = artefact(json.at("baseline"));
  out.follows = json.at("follows");
  out.declared = json.at("declared");
  out.leaving = json.at("leaving");
  if (json.contains("change")) {
    const Json& change = json.at("change");
    using Change = Application::Change;
    out.change = Change{
        artefact(change.at("next")),
        change.at("switching").get<bool>() ? Change::Phase::switching : Change::Phase::starting,
        wall(change, "since")};
  }
  return out;
}

void read_document(const std::string& key, const Json& json, World& world) {
  if (key == "counters") {
    world.last_release = json.at("last_release");
    world.last_number = json.at("last_number");
  } else if (key.starts_with("application/")) {
    Application app = application(json);
    const Name name = app.name;
    world.applications.emplace(name, std::move(app));
  } else if (key.starts_with("release/")) {
    Release read = release(json);
    const std::uint64_t id = read.id;
    world.releases.emplace(id, std::move(read));
  } else if (key.starts_with("lane/")) {
    Lane read = lane(json);
    const Name name = read.name;
    world.lanes.emplace(name, std::move(read));
  } else if (key.starts_with("environment/")) {
    Environment read{object_of(json, model::Kind::environment), json.at("declared")};
    world.environments.emplace(read.object->meta.key.namespace_, read);
  } else if (!key.starts_with("verdict/")) {  // the evidence of analyses is not of the World
    throw std::invalid_argument("it is of no kind that is known");
  }
}

Json of(const Environment& environment) {
  return {{"text", environment.object->text}, {"declared", environment.declared}};
}

// A name, a reason or a verdict may hold any byte: what is not UTF-8 becomes U+FFFD instead of an
// exception.
std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string counters(const World& world) {
  return Json{{"last_release", world.last_release}, {"last_number", world.last_number}}.dump();
}

std::string key_of(const Application& app) { return "application/" + to_string(app.name); }
std::string key_of(const Release& release) { return fmt::format("release/{}", release.id); }
std::string key_of(const Lane& lane) { return "lane/" + to_string(lane.name); }
std::string key_of(const Environment& environment) {
  return "environment/" + environment.object->meta.key.namespace_;
}

template <typename Noun>
const std::string& namespace_of(const Noun& noun) {
  return noun.name.namespace_;
}
const std::string& namespace_of(const Environment& environment) {
  return environment.object->meta.key.namespace_;
}

template <typename Key, typename Noun>
void compare(const std::map<Key, Noun>& before, const std::map<Key, Noun>& after, Difference& out) {
  for (const auto& [key, now] : after) {
    const auto was = before.find(key);
    if (was != before.end() && was->second == now) continue;
    out.documents[key_of(now)] = text_of(of(now));
    out.namespaces.insert(namespace_of(now));
  }
  for (const auto& [key, was] : before) {
    if (after.contains(key)) continue;
    out.documents[key_of(was)] = std::nullopt;
    out.namespaces.insert(namespace_of(was));
  }
}

}  // namespace

std::uint64_t run_hash(const model::Run& run) {
  return hash64(text_of(of(Artefact{.revision = 0, .replicas = 0, .run = run})));
}

std::map<std::string, std::string> save(const World& world) {
  std::map<std::string, std::string> out;
  for (auto& [key, text] : difference({}, world).documents) out[key] = std::move(*text);
  out["counters"] = counters(world);
  return out;
}

Difference difference(const World& before, const World& after) {
  Difference out;
  if (before.last_release != after.last_release || before.last_number != after.last_number)
    out.documents["counters"] = counters(after);
  compare(before.applications, after.applications, out);
  compare(before.releases, after.releases, out);
  compare(before.environments, after.environments, out);
  compare(before.lanes, after.lanes, out);
  return out;
}

Result<World> load(const std::map<std::string, std::string>& documents) {
  World world;
  for (const auto& [key, text] : documents) {
    try {
      read_document(key, Json::parse(text), world);
    } catch (const std::exception& fault) {  // nlohmann's, and those of values above
      return Error{Code::data_loss, fmt::format("document {}: {}", key, fault.what())};
    }
  }
  return world;
}

}  // namespace graymesh::release
