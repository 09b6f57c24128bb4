#include "api/release_json.h"

#include <fmt/core.h>

#include <functional>

#include "api/carriage.h"
#include "api/pages.h"
#include "base/hash.h"
#include "model/json.h"

namespace graymesh::api {
namespace {

using nlohmann::json;
using release::Phase;
using release::View;

constexpr const char* api_version = "graymesh.io/v1alpha1";

std::string label(const workload::Instance& instance, std::string_view name) {
  const auto found = instance.labels.find(name);
  return found == instance.labels.end() ? "" : found->second;
}

std::string group_of(const std::string& application, const std::string& tag,
                     std::uint32_t revision) {
  return fmt::format("{}-{}-{}", application, tag.empty() ? "baseline" : tag, revision);
}

struct Count {
  std::size_t instances = 0, ready = 0;
};

Count count(const View& view, const std::string& namespace_, const std::string& group) {
  Count out;
  for (const auto& instance : view.instances) {
    if (instance.namespace_ != namespace_ || instance.group != group) continue;
    ++out.instances;
    out.ready += instance.phase == workload::Instance::Phase::ready ? 1 : 0;
  }
  return out;
}

json match_json(const model::StringMatch& match) {
  using Kind = model::StringMatch::Kind;
  switch (match.kind) {
    case Kind::exact:
      return {{"exact", match.value}};
    case Kind::prefix:
      return {{"prefix", match.value}};
    case Kind::regex:
      return {{"regex", match.value}};
    case Kind::present:
      return json::object();
  }
  return json::object();
}

json matches_json(const std::vector<model::GrayMatch>& list) {
  json out = json::array();
  for (const auto& match : list) {
    json one = json::object();
    const auto put = [&](const char* name, const model::NamedMatches& matches) {
      for (const auto& [key, value] : matches) one[name][key] = match_json(value);
    };
    put("headers", match.headers);
    put("cookies", match.cookies);
    put("query", match.query);
    if (!match.source_application.empty()) one["sourceApplication"] = match.source_application;
    out.push_back(std::move(one));
  }
  return out;
}

json query_json(const model::Analysis::Query& query) {
  json out = {{"name", query.name}, {"margin", query.margin}};
  if (!query.total.empty()) out.update({{"total", query.total}, {"bad", query.bad}});
  return out;
}

// As people write it, with all that it leaves to defaults.
json analysis_json(const model::Analysis& analysis) {
  using Inconclusive = model::Analysis::Inconclusive;
  const auto& latency = analysis.latency;
  json out = {{"proxies", analysis.proxies},
              {"successRate", {{"margin", analysis.success_margin}}},
              {"latency",
               {{"percentile", latency.percentile},
                {"margin", latency.margin},
                {"slower", latency.slower}}},
              {"inconclusive", analysis.inconclusive == Inconclusive::hold      ? "hold"
                               : analysis.inconclusive == Inconclusive::advance ? "advance"
                                                                                : "rollback"},
              {"dryRun", analysis.dry_run}};
  if (!analysis.prometheus.empty()) out["prometheus"] = analysis.prometheus;
  for (const auto& query : analysis.queries) out["queries"].push_back(query_json(query));
  if (analysis.window) out["window"] = duration_text(*analysis.window);
  if (analysis.interval) out["interval"] = duration_text(*analysis.interval);
  if (analysis.minimum) out["duration"]["minimum"] = duration_text(*analysis.minimum);
  if (analysis.maximum) out["duration"]["maximum"] = duration_text(*analysis.maximum);
  return out;
}

json steps_json(const std::vector<model::GrayStep>& steps) {
  json out = json::array();
  for (const auto& step : steps) {
    json one = {{"weight", step.weight}};
    if (step.pause) one["pause"]["duration"] = duration_text(*step.pause);
    if (step.approval) one["pause"]["approval"] = true;
    if (!step.hook.empty()) one["pause"]["verdict"] = step.hook;
    if (step.analysis) one["analysis"] = analysis_json(*step.analysis);
    out.push_back(std::move(one));
  }
  return out;
}

json member_json(const release::Release& release, const release::Member& member, const View& view) {
  json instances = json::array();
  const std::string group = group_of(member.application, release.spec.tag, member.gray.revision);
  for (const auto& instance : view.instances) {
    if (instance.namespace_ != release.name.namespace_ || instance.group != group) continue;
    instances.push_back({{"name", instance.name},
                         {"address", instance.address},
                         {"phase", name_of(instance.phase)},
                         {"ready", instance.phase == workload::Instance::Phase::ready},
                         {"restarts", instance.restarts},
                         {"message", instance.message}});
  }
  return {{"name", member.application},
          {"revision", member.gray.revision},
          {"version", member.gray.run.version},
          {"artefact", to_hex(release::run_hash(member.gray.run))},
          {"replicas", member.gray.replicas},
          {"baselineRevision", member.baseline_revision},
          {"instances", std::move(instances)}};
}

json progress_json(const release::Release& release, const View& view) {
  const auto found = view.progress.find(release.id);
  if (found == view.progress.end() || (ended(release.phase) && !goes_on(release))) return nullptr;
  const release::Progress& progress = found->second;
  return {{"waiting", progress.waiting},
          {"proxies", progress.proxies},
          {"acked", progress.acked},
          {"missing", progress.missing},
          {"waitsFor", progress.waits_for}};
}

// The document as it was written, with the namespace that it is in.
json as_written(const model::ObjectPtr& object) {
  json out;
  if (auto text = model::to_json(object->text)) out = json::parse(*text, nullptr, false);
  if (!out.is_object()) out = {{"apiVersion", api_version}};
  out["metadata"]["namespace"] = object->meta.key.namespace_;
  return out;
}

json ids_of(const View& view, const std::string& namespace_,
            const std::function<bool(const release::Release&)>& wanted) {
  json out = json::array();
  for (const auto& [id, release] : view.world->releases) {
    if (!ended(release.phase) && release.name.namespace_ == namespace_ && wanted(release))
      out.push_back(id);
  }
  return out;
}

// What answers for an application to a request of the lane, and how the lane goes on from there.
// `report` is null where nobody measures that.
json in_lane(const release::Application& app, const release::Lane& lane, const View& view,
             const traffic::Report* report) {
  const release::Release* active = view.world->active(app.name, lane.name.name);
  const release::Member* member = active == nullptr ? nullptr : active->member(app.name.name);
  const bool here = member != nullptr && shape(*active).routes;
  const release::Artefact& artefact = here ? member->gray : app.baseline;
  const Count counted =
      count(view, app.name.namespace_,
            group_of(app.name.name, here ? lane.name.name : "", artefact.revision));
  json out = {{"name", app.name.name},
              {"answeredBy", here               ? "lane"
                             : lane.spec.strict ? "nobody"
                                                : "baseline"},
              {"version", artefact.run.version},
              {"revision", artefact.revision},
              {"instances", counted.instances},
              {"ready", counted.ready}};
  carriage_json({.namespace_ = app.name.namespace_,
                 .application = app.name.name,
                 .tag = here ? lane.name.name : "",
                 .revision = std::to_string(artefact.revision)},
                report, out);
  out["release"] = active == nullptr ? json() : json(active->id);
  return out;
}

}  // namespace

std::string duration_text(model::Duration span) {
  using namespace std::chrono;
  if (span.count() == 0) return "0s";
  std::string out;
  const auto take = [&](auto unit, const char* name) {
    const auto count = duration_cast<decltype(unit)>(span);
    if (count.count() == 0) return;
    out += fmt::format("{}{}", count.count(), name);
    span -= count;
  };
  take(hours{}, "h");
  take(minutes{}, "m");
  take(seconds{}, "s");
  take(milliseconds{}, "ms");
  take(microseconds{}, "us");
  take(nanoseconds{}, "ns");
  return out;
}

json receipt_json(const release::Receipt& receipt) {
  return {{"what", receipt.what},     {"proxies", receipt.proxies}, {"acked", receipt.acked},
          {"p50_ms", receipt.p50_ms}, {"p99_ms", receipt.p99_ms},   {"last_ms", receipt.last_ms},
          {"last", receipt.last},     {"missing", receipt.missing}, {"refused", receipt.refused}};
}

json instance_json(const workload::Instance& instance) {
  json ports = json::array();
  for (const auto& port : instance.ports)
    ports.push_back({{"name", port.name}, {"port", port.number}});
  return {{"namespace", instance.namespace_},
          {"name", instance.name},
          {"group", instance.group},
          {"application", label(instance, "app")},
          {"stage", label(instance, "stage")},
          {"tag", label(instance, release::lane_header)},
          {"version", label(instance, "version")},
          {"address", instance.address},
          {"ports", std::move(ports)},
          {"phase", name_of(instance.phase)},
          {"ready", instance.phase == workload::Instance::Phase::ready},
          {"restarts", instance.restarts},
          {"message", instance.message},
          {"since", to_text(instance.since)},
          {"log", instance.log.string()}};
}

json gray_release_json(const release::Release& release, const std::string& namespace_,
                       const json& otherwise) {
  const model::GrayRelease& was = release.spec;
  json spec = {{"tag", was.tag}, {"applications", json::array()}};
  for (const auto& member : release.members)
    spec["applications"].push_back(
        {{"name", member.application}, {"replicas", member.gray.replicas}});
  if (!was.match.empty()) spec["match"] = matches_json(was.match);
  if (!was.steps.empty()) spec["steps"] = steps_json(was.steps);
  if (!was.sticky_cookie.empty()) spec["stickyCookie"] = was.sticky_cookie;
  using Laggards = model::GrayRelease::Laggards;
  spec["laggards"]["policy"] = was.laggards == Laggards::hold      ? "hold"
                               : was.laggards == Laggards::isolate ? "isolate"
                                                                   : "goOn";
  if (was.laggards_after) spec["laggards"]["after"] = duration_text(*was.laggards_after);
  if (was.ready_within) spec["readyWithin"] = duration_text(*was.ready_within);
  if (was.promote) spec["promote"] = true;
  spec.update(otherwise);
  return {{"apiVersion", api_version},
          {"kind", "GrayRelease"},
          {"metadata", {{"name", release.name.name}, {"namespace", namespace_}}},
          {"spec", std::move(spec)}};
}

json release_json(const release::Release& release, const View& view) {
  json applications = json::array();
  for (const auto& member : release.members)
    applications.push_back(member_json(release, member, view));
  json receipts = json::object();
  for (const auto& [key, receipt] : release.receipts) receipts[key] = receipt_json(receipt);
  json approvals = json::array();
  for (const auto& approval : release.approvals) approvals.push_back(approval.name);
  json from, promoted_to = json::array();
  if (release.from != 0) {
    const auto source = view.world->releases.find(release.from);
    const bool known = source != view.world->releases.end();
    from = {{"release", release.from},
            {"namespace", known ? json(source->second.name.namespace_) : json()}};
  }
  for (const auto& passage : release.promoted_to)
    promoted_to.push_back({{"namespace", passage.namespace_}, {"release", passage.release}});
  return {{"id", release.id},
          {"namespace", release.name.namespace_},
          {"name", release.name.name},
          {"tag", release.spec.tag},
          {"phase", name_of(release.phase)},
          {"step", release.step},
          {"steps", steps_json(release.spec.steps)},
          {"match", matches_json(release.spec.match)},
          {"promote", release.spec.promote || release.promote_asked},
          {"promoteTo", release.spec.promote_to.empty() ? json() : json(release.spec.promote_to)},
          {"promotedTo", std::move(promoted_to)},
          {"from", std::move(from)},
          {"held", release.held},
          {"approvals", std::move(approvals)},
          {"applications", std::move(applications)},
          {"weight", shape(release).weight},
          {"progress", progress_json(release, view)},
          {"receipts", std::move(receipts)},
          {"startedBy", release.started_by.name},
          {"started", to_text(release.started)},
          {"since", to_text(release.since)},
          {"over", to_text(release.over)},
          {"reason", release.reason},
          {"declared", release.declared}};
}

json application_json(const release::Application& app, const View& view) {
  json out = as_written(app.object);
  const auto version = [&](const release::Artefact& artefact) -> json {
    const Count counted =
        count(view, app.name.namespace_, group_of(app.name.name, "", artefact.revision));
    return {{"revision", artefact.revision},   {"version", artefact.run.version},
            {"command", artefact.run.command}, {"replicas", artefact.replicas},
            {"instances", counted.instances},  {"ready", counted.ready}};
  };
  json& status = out["status"];
  status["baseline"] = version(app.baseline);
  status["next"] = app.change ? version(app.change->next) : json();
  // The baseline is what was declared last, or was promoted since, and no other is on its way.
  status["settled"] = !app.leaving && !app.change &&
                      app.follows == release::run_hash(app.spec().run) &&
                      app.baseline.replicas == app.spec().replicas;
  status["declared"] = app.declared;
  status["leaving"] = app.leaving;
  status["releases"] = ids_of(view, app.name.namespace_, [&](const release::Release& release) {
    return release.member(app.name.name) != nullptr;
  });
  return out;
}

json lane_json(const release::Lane& lane, const View& view, const traffic::Table* traffic) {
  json spec = {{"mode", lane.spec.strict ? "strict" : "permissive"}};
  if (!lane.spec.owner.empty()) spec["owner"] = lane.spec.owner;
  if (!lane.spec.branch.empty()) spec["branch"] = lane.spec.branch;
  if (lane.spec.time_to_live) spec["timeToLive"] = duration_text(*lane.spec.time_to_live);
  if (lane.spec.idle) spec["idle"] = duration_text(*lane.spec.idle);
  std::optional<traffic::Report> report;
  if (traffic != nullptr) report = traffic->report({lane.name.namespace_, lane.name.name});
  json applications = json::array();
  for (const auto& [name, app] : view.world->applications) {
    if (name.namespace_ == lane.name.namespace_ && !app.spec().gateway)
      applications.push_back(in_lane(app, lane, view, report ? &*report : nullptr));
  }
  json out = {
      {"apiVersion", api_version},
      {"kind", "Lane"},
      {"metadata", {{"name", lane.name.name}, {"namespace", lane.name.namespace_}}},
      {"spec", std::move(spec)},
      {"status",
       {{"createdBy", lane.created_by.name},
        {"created", to_text(lane.created)},
        {"used", to_text(std::max(lane.used, report && report->last ? *report->last : lane.used))},
        {"declared", lane.declared},
        {"leaving", lane.leaving},
        {"releases", ids_of(view, lane.name.namespace_,
                            [&](const release::Release& release) {
                              return release.spec.tag == lane.name.name;
                            })},
        {"applications", std::move(applications)}}}};
  json& status = out["status"];
  status["lastRequest"] = report && report->last ? json(to_text(*report->last)) : json();
  status["measuredFrom"] = report ? json(to_text(report->from)) : json();
  const auto unmeasured = view.unmeasured.find(lane.name);
  status["problems"] = json::array();
  if (unmeasured != view.unmeasured.end()) status["problems"].push_back(unmeasured->second);
  return out;
}

json environment_json(const release::Environment& environment) {
  json out = as_written(environment.object);
  out["status"] = {{"declared", environment.declared}};
  return out;
}

std::string etag_of(const release::Release& release) {
  release::World alone;
  alone.releases.emplace(release.id, release);
  std::string text;
  for (const auto& [key, document] : save(alone)) text += document;
  return fmt::format("\"{}\"", to_hex(hash64(text)));
}

std::string etag_of(const json& object) {
  json written = object;
  written.erase("status");
  return fmt::format("\"{}\"",
                     to_hex(hash64(written.dump(-1, ' ', false, json::error_handler_t::replace))));
}

bool reached(const release::Release& release, Until until) {
  switch (until) {
    case Until::started:
      return release.phase == Phase::gray || promoting(release.phase) ||
             release.phase == Phase::promoted ||
             (release.phase == Phase::step && receipt_for(release, until) != nullptr);
    case Until::promoted:
      return release.phase == Phase::promoted;
    case Until::rolled_back:
      return release.phase == Phase::rolled_back;
    case Until::over:
      return ended(release.phase);
  }
  return false;
}

bool hopeless(const release::Release& release, Until until) {
  if (reached(release, until)) return false;
  if (ended(release.phase)) return true;
  return rolling_back(release.phase) && (until == Until::started || until == Until::promoted);
}

const release::Receipt* receipt_for(const release::Release& release, Until until) {
  std::string key = "rollback";
  if (until == Until::promoted || (until == Until::over && release.phase == Phase::promoted))
    key = "promote";
  if (until == Until::started) {
    key = release.spec.steps.empty() ? "routes" : fmt::format("step-{}", release.step + 1);
  }
  const auto found = release.receipts.find(key);
  return found == release.receipts.end() ? nullptr : &found->second;
}

}  // namespace graymesh::api
