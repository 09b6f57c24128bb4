// Releases, instances, history and figures.
#include "api/platform.h"

#include <fmt/core.h>

#include <charconv>

#include "api/figures.h"
#include "api/pages.h"

namespace graymesh::api {
namespace {

using nlohmann::json;
using release::Release;
using release::Verb;

constexpr std::uint64_t wait_seconds_max = 600;
constexpr std::uint64_t figure_days_max = 366;
// A year of 250 acts a day; more would take seconds to read.
constexpr std::size_t figure_acts_max = 100'000;
// How soon a server that stops is noticed.
constexpr std::chrono::milliseconds slice{200};

std::optional<Until> until_named(const std::string& name) {
  if (name.empty() || name == "over") return Until::over;
  if (name == "started") return Until::started;
  if (name == "promoted") return Until::promoted;
  if (name == "rolled-back") return Until::rolled_back;
  return std::nullopt;
}

std::uint64_t id_in(const std::string& text) {
  std::uint64_t id = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), id);
  return fault == std::errc() && end == text.data() + text.size() ? id : 0;
}

Error no_release(const std::string& id) {
  return {Code::not_found, fmt::format("release {} is not there", id)};
}

json act_json(const release::Act& act) {
  json detail = json::parse(act.detail, nullptr, false);
  return {{"id", act.id},
          {"at", to_text(Clock::Wall(std::chrono::milliseconds(act.at_ms)))},
          {"who", act.who},
          {"from", act.from},
          {"verb", act.verb},
          {"namespace", act.namespace_},
          {"object", act.object},
          {"reason", act.reason},
          {"detail", detail.is_discarded() ? json() : std::move(detail)}};
}

struct ReleaseFilter {
  std::string namespace_, application, tag;
  bool active;

  bool takes(const Release& release) const {
    return (namespace_.empty() || release.name.namespace_ == namespace_) &&
           (application.empty() || release.member(application) != nullptr) &&
           (tag.empty() || release.spec.tag == tag) && !(active && ended(release.phase));
  }
};

// {"reason": "..."}; a body is not needed.
Result<std::string> reason_in(const std::string& body) {
  if (body.empty()) return std::string();
  const json read = json::parse(body, nullptr, false);
  const Error refused{Code::invalid_argument, "the body must be {\"reason\": \"...\"}, or empty"};
  if (!read.is_object()) return refused;
  for (const auto& [name, value] : read.items()) {
    if (name != "reason" || !value.is_string()) return refused;
  }
  return read.value("reason", "");
}

// {"reason", "to", "spec"}: to where, and what is otherwise there than where it is from.
struct Promotion {
  std::string reason, to;
  json spec = json::object();
};

std::variant<Promotion, Refusal> promotion_in(const std::string& body) {
  Promotion out;
  if (body.empty()) return out;
  const json read = json::parse(body, nullptr, false);
  const Refusal refused{
      .error = {
          Code::invalid_argument,
          "the body must be {\"reason\": \"...\", \"to\": NAMESPACE, \"spec\": {...}}, each of "
          "them or none; spec only with to"}};
  if (!read.is_object()) return refused;
  for (const auto& [name, value] : read.items()) {
    const bool text = name == "reason" || name == "to";
    if (!(text && value.is_string()) && !(name == "spec" && value.is_object())) return refused;
  }
  out.reason = read.value("reason", "");
  out.to = read.value("to", "");
  if (read.contains("spec")) out.spec = read["spec"];
  if (out.to.empty() && !out.spec.empty()) return refused;
  for (const char* own : {"tag", "applications"}) {
    if (out.spec.contains(own))
      return Refusal{.error = {Code::invalid_argument,
                               fmt::format("spec.{} is the release's own, must not be given", own)},
                     .status = 422};
  }
  return out;
}

Until until_of(Verb verb) {
  return verb == Verb::promote    ? Until::promoted
         : verb == Verb::rollback ? Until::rolled_back
                                  : Until::started;
}

}  // namespace

bool Platform::wait_until(std::uint64_t id, Until until, std::chrono::seconds patience) {
  const auto end = std::chrono::steady_clock::now() + patience;
  auto view = engine_.view();
  // Waiting holds a thread: beyond the bound, one asks again.
  const bool may_wait = watchers_.fetch_add(1) < watchers_max;
  const auto left = [&] {
    return std::chrono::duration_cast<std::chrono::milliseconds>(end -
                                                                 std::chrono::steady_clock::now());
  };
  bool there = false;
  for (;;) {
    const auto found = view->world->releases.find(id);
    there = found != view->world->releases.end() && reached(found->second, until);
    const bool lost = found == view->world->releases.end() || hopeless(found->second, until);
    if (there || lost || !may_wait || stopping_ || left().count() <= 0) break;
    view = engine_.wait(view->change, std::min(slice, left()));
  }
  watchers_.fetch_sub(1);
  return there;
}

void Platform::list_releases(const Call& call) {
  auto page = Page::of(call.request);
  if (!page) return send_error(call.response, page.error());
  const std::string active = call.query("active");
  if (!active.empty() && active != "true" && active != "false") {
    return send_error(call.response, {Code::invalid_argument,
                                      fmt::format("active is {}, must be true or false", active)});
  }
  const ReleaseFilter filter{call.query("namespace"), call.query("application"), call.query("tag"),
                             active == "true"};
  const auto view = engine_.view();
  const auto& all = view->world->releases;
  // Newest first.
  auto it = page->after().empty() ? all.end() : all.lower_bound(id_in(page->after()));
  while (it != all.begin()) {
    const Release& release = (--it)->second;
    if (!filter.takes(release)) continue;
    if (!page->add(std::to_string(release.id), [&] { return release_json(release, *view); })) break;
  }
  send_json(call.response, page->json());
}

// Also answers what ?wait= and ?until= ask for.
void Platform::show_release(const Call& call) {
  const std::uint64_t id = id_in(call.part(0));
  const auto view = engine_.view();
  if (!view->world->releases.contains(id))
    return send_error(call.response, no_release(call.part(0)));
  const auto until = until_named(call.query("until"));
  if (!until) {
    return send_error(
        call.response,
        {Code::invalid_argument, fmt::format("until is {}, must be started, promoted, rolled-back "
                                             "or over",
                                             call.query("until"))});
  }
  answer_release(call, {.release = id}, *until);
}

void Platform::start_release(const Call& call) {
  const auto patience = number_of(call.request, "wait", {0, wait_seconds_max, 0});
  if (!patience) return send_error(call.response, patience.error());
  if (call.query("dryRun") == "true") {
    auto read = object_in(call.request.body, model::Kind::gray_release);
    if (const auto* refusal = std::get_if<Refusal>(&read))
      return send_refusal(call.response, *refusal);
    const auto problems = engine_.plan(std::get<model::ObjectPtr>(read));
    if (!problems) return send_error(call.response, problems.error());
    return send_json(call.response, {{"holds", problems->empty()}, {"problems", *problems}});
  }
  const auto outcome = replies_.once(call, [&](const release::Once& once) -> Outcome {
    auto read = object_in(call.request.body, model::Kind::gray_release);
    if (auto* refusal = std::get_if<Refusal>(&read)) return *refusal;
    const auto id =
        engine_.apply(call.who, std::get<model::ObjectPtr>(read), call.query("reason"), once);
    if (!id) return refusal_of(id.error());
    return Done{.release = *id};
  });
  if (const auto* refusal = std::get_if<Refusal>(&outcome))
    return send_refusal(call.response, *refusal);
  answer_release(call, std::get<Done>(outcome), Until::started);
}

void Platform::act_on_release(const Call& call, Verb verb) {
  const auto patience = number_of(call.request, "wait", {0, wait_seconds_max, 0});
  if (!patience) return send_error(call.response, patience.error());
  const std::uint64_t id = id_in(call.part(0));
  std::optional<Refusal> stale;
  const release::Only only = [&](const Release& release) -> Status {
    stale = precondition(call.request, fmt::format("release {}", id), etag_of(release));
    return stale ? Status(stale->error) : Status();
  };
  auto outcome = replies_.once(call, [&](const release::Once& once) -> Outcome {
    if (verb == Verb::promote) return promote(call, id, once, only);
    const auto reason = reason_in(call.request.body);
    if (!reason) return Refusal{.error = reason.error()};
    if (const auto done = engine_.act(call.who, id, verb, *reason, once, only); !done)
      return Refusal{.error = done.error()};
    return Done{.release = id};
  });
  if (stale) outcome = *stale;
  if (const auto* refusal = std::get_if<Refusal>(&outcome))
    return send_refusal(call.response, *refusal);
  const Done& done = std::get<Done>(outcome);
  // A promotion to another environment is a release there, which starts.
  answer_release(call, done, done.release == id ? until_of(verb) : Until::started);
}

Outcome Platform::promote(const Call& call, std::uint64_t id, const release::Once& once,
                          const release::Only& only) {
  auto read = promotion_in(call.request.body);
  if (auto* refusal = std::get_if<Refusal>(&read)) return std::move(*refusal);
  const auto& promotion = std::get<Promotion>(read);
  if (promotion.to.empty()) {
    if (const auto done = engine_.act(call.who, id, Verb::promote, promotion.reason, once, only);
        !done)
      return Refusal{.error = done.error()};
    return Done{.release = id};
  }
  const auto world = engine_.view()->world;
  const auto found = world->releases.find(id);
  if (found == world->releases.end()) return Refusal{.error = no_release(call.part(0))};
  auto object = object_in(gray_release_json(found->second, promotion.to, promotion.spec).dump(),
                          model::Kind::gray_release);
  if (auto* refusal = std::get_if<Refusal>(&object)) return std::move(*refusal);
  const auto started = engine_.promote_to(call.who, id, std::get<model::ObjectPtr>(object),
                                          promotion.reason, once, only);
  if (!started) return refusal_of(started.error());
  return Done{.release = *started};
}

// The release as it is when what was asked for is reached, or `?wait=` seconds are over.
void Platform::answer_release(const Call& call, const Done& done, Until until) {
  const auto patience = number_of(call.request, "wait", {0, wait_seconds_max, 0});
  if (!patience) return send_error(call.response, patience.error());
  const bool there = wait_until(done.release, until, std::chrono::seconds(*patience));
  if (done.replayed) call.response.set_header("Idempotent-Replayed", "true");
  const auto view = engine_.view();
  const auto found = view->world->releases.find(done.release);
  if (found == view->world->releases.end())
    return send_error(call.response, no_release(std::to_string(done.release)));
  json page = release_json(found->second, *view);
  page["reached"] = there;
  const release::Receipt* receipt = receipt_for(found->second, until);
  page["receipt"] = receipt == nullptr ? json() : receipt_json(*receipt);
  call.response.set_header("ETag", etag_of(found->second));
  send_json(call.response, page);
}

void Platform::list_history(const Call& call) {
  const auto limit = number_of(call.request, "limit", {1, 1000, 100});
  if (!limit) return send_error(call.response, limit.error());
  const auto before = number_of(call.request, "before", {0, UINT64_MAX, 0});
  if (!before) return send_error(call.response, before.error());
  const auto acts = store_.acts({.namespace_ = call.query("namespace"),
                                 .object = call.query("object"),
                                 .who = call.query("who"),
                                 .before = *before,
                                 .limit = *limit});
  if (!acts) return send_error(call.response, acts.error());
  json items = json::array();
  for (const auto& act : *acts) items.push_back(act_json(act));
  json page = {{"items", std::move(items)}};
  page["before"] = acts->size() < *limit ? json() : json(acts->back().id);
  send_json(call.response, page);
}

void Platform::list_instances(const Call& call) {
  json items = json::array();
  const std::string namespace_ = call.query("namespace"), application = call.query("application"),
                    tag = call.query("tag");
  const auto view = engine_.view();
  for (const auto& instance : view->instances) {
    json one = instance_json(instance);
    if (!namespace_.empty() && instance.namespace_ != namespace_) continue;
    if (!application.empty() && one["application"] != application) continue;
    // "none", which no tag can be, for the baseline's.
    if (!tag.empty() && one["tag"] != (tag == "none" ? "" : tag)) continue;
    items.push_back(std::move(one));
  }
  send_json(call.response, {{"items", std::move(items)}});
}

void Platform::show_figures(const Call& call) {
  const auto days = number_of(call.request, "days", {1, figure_days_max, 30});
  if (!days) return send_error(call.response, days.error());
  Span span;
  span.to = clock_.wall();
  span.from = span.to - std::chrono::hours(24 * *days);
  const auto from_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(span.from.time_since_epoch()).count();
  std::vector<release::Act> acts;
  release::ActFilter filter{.limit = 1000};
  for (bool more = true; more && acts.size() < figure_acts_max;) {
    auto some = store_.acts(filter);
    if (!some) return send_error(call.response, some.error());
    more = some->size() == filter.limit && some->back().at_ms >= from_ms;
    if (more) filter.before = some->back().id;
    acts.insert(acts.end(), some->begin(), some->end());
  }
  // What was not read is not told of.
  if (acts.size() >= figure_acts_max)
    span.from = std::max(span.from, Clock::Wall(std::chrono::milliseconds(acts.back().at_ms)));
  send_json(call.response, figures(*engine_.view()->world, acts, span));
}

void Platform::add_to(Routes& routes, Platform* self) {
  add_objects(routes, self);
  routes.add("GET", "/api/v1/releases", [self](const Call& call) { self->list_releases(call); });
  routes.add("POST", "/api/v1/releases", [self](const Call& call) { self->start_release(call); });
  routes.add("GET", "/api/v1/releases/{id}",
             [self](const Call& call) { self->show_release(call); });
  for (const Verb verb :
       {Verb::approve, Verb::promote, Verb::pause, Verb::resume, Verb::rollback}) {
    routes.add("POST", fmt::format("/api/v1/releases/{{id}}/{}", name_of(verb)),
               [self, verb](const Call& call) { self->act_on_release(call, verb); });
  }
  routes.add("GET", "/api/v1/events", [self](const Call& call) { self->watch(call); });
  routes.add("GET", "/api/v1/history", [self](const Call& call) { self->list_history(call); });
  routes.add("GET", "/api/v1/instances", [self](const Call& call) { self->list_instances(call); });
  routes.add("GET", "/api/v1/figures", [self](const Call& call) { self->show_figures(call); });
}

}  // namespace graymesh::api
