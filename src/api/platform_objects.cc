// Applications, lanes, environments: list, show, apply, delete.
#include <fmt/core.h>

#include "api/pages.h"
#include "api/platform.h"

namespace graymesh::api {

using nlohmann::json;
using release::Name;
using release::View;

struct Platform::Kind {
  model::Kind kind;
  const char* collection;  // "/api/v1/lanes"
  // All of them in order, after `after`, until `each` says no.
  void (*list)(const View& view, const traffic::Table* traffic, const Name& after,
               const std::function<bool(const Name&, const std::function<json()>&)>& each);
};

namespace {

using Each = std::function<bool(const Name&, const std::function<json()>&)>;

void list_applications(const View& view, const traffic::Table*, const Name& after,
                       const Each& each) {
  const auto& all = view.world->applications;
  for (auto it = all.upper_bound(after); it != all.end(); ++it) {
    if (!each(it->first, [&] { return application_json(it->second, view); })) return;
  }
}

void list_lanes(const View& view, const traffic::Table* traffic, const Name& after,
                const Each& each) {
  const auto& all = view.world->lanes;
  for (auto it = all.upper_bound(after); it != all.end(); ++it) {
    if (!each(it->first, [&] { return lane_json(it->second, view, traffic); })) return;
  }
}

void list_environments(const View& view, const traffic::Table*, const Name& after,
                       const Each& each) {
  for (const auto& [namespace_, environment] : view.world->environments) {
    const Name name{namespace_, environment.object->meta.key.name};
    if (after < name && !each(name, [&of_one = environment] { return environment_json(of_one); }))
      return;
  }
}

Name name_in(const std::string& place) {
  const auto slash = place.find('/');
  if (slash == std::string::npos) return {};
  return {place.substr(0, slash), place.substr(slash + 1)};
}

}  // namespace

const Platform::Kind Platform::kinds[3] = {
    {model::Kind::application, "/api/v1/applications", list_applications},
    {model::Kind::lane, "/api/v1/lanes", list_lanes},
    {model::Kind::environment, "/api/v1/environments", list_environments}};

std::variant<model::ObjectPtr, Refusal> object_in(const std::string& body, model::Kind kind) {
  const auto documents = model::read(body, "body");
  Refusal refusal{.error = {Code::invalid_argument, ""}, .status = 422};
  model::ObjectPtr found;
  std::size_t objects = 0;
  for (const auto& document : documents) {
    for (const auto& problem : document.errors) refusal.errors.push_back(to_json(problem));
    if (!document.object && document.passed_over.empty() && document.errors.empty()) continue;
    ++objects;
    if (document.object && document.object->meta.key.kind == kind) found = document.object;
  }
  if (refusal.errors.empty() && (found == nullptr || objects != 1)) {
    refusal.errors.push_back({{"message", fmt::format("the body has {} objects, must be one {}",
                                                      objects, model::name_of(kind))}});
  }
  if (refusal.errors.empty()) return found;
  for (const auto& error : refusal.errors) {
    if (!refusal.error.message.empty()) refusal.error.message += '\n';
    refusal.error.message += error["message"].get<std::string>();
  }
  return refusal;
}

namespace {

// The object of that name, with its ETag; null if it is not there.
json object_named(const Name& name, const View& view, const traffic::Table* traffic,
                  const auto& kind) {
  json out;
  Name before = name;
  // The greatest name below it: a name's last character is never \x00.
  if (!before.name.empty()) before.name.pop_back();
  kind.list(view, traffic, before, [&](const Name& at, const std::function<json()>& make) {
    if (at == name) out = make();
    return at < name;
  });
  return out;
}

}  // namespace

void Platform::list_objects(const Call& call, const Kind& kind) {
  auto page = Page::of(call.request);
  if (!page) return send_error(call.response, page.error());
  const std::string namespace_ = call.query("namespace");
  const auto view = engine_.view();
  kind.list(*view, traffic_, name_in(page->after()), [&](const Name& name, const auto& make) {
    if (!namespace_.empty() && name.namespace_ != namespace_) return true;
    return page->add(to_string(name), make);
  });
  send_json(call.response, page->json());
}

void Platform::show_object(const Call& call, const Kind& kind) {
  const Name name{call.part(0), call.part(1)};
  const json object = object_named(name, *engine_.view(), traffic_, kind);
  if (object.is_null()) {
    return send_error(call.response,
                      {Code::not_found, fmt::format("{} {} is not there", model::name_of(kind.kind),
                                                    to_string(name))});
  }
  call.response.set_header("ETag", etag_of(object));
  send_json(call.response, object);
}

void Platform::apply_object(const Call& call, const Kind& kind, const std::string& namespace_,
                            const std::string& name) {
  const auto outcome = replies_.once(call, [&](const release::Once& once) -> Outcome {
    auto read = object_in(call.request.body, kind.kind);
    if (const auto* refusal = std::get_if<Refusal>(&read)) return *refusal;
    const auto& object = std::get<model::ObjectPtr>(read);
    const Name wanted{object->meta.key.namespace_, object->meta.key.name};
    if (!name.empty() && wanted != Name{namespace_, name}) {
      return Refusal{
          .error = {Code::invalid_argument, fmt::format("the body is {}, must be {}/{} as the path",
                                                        to_string(wanted), namespace_, name)},
          .status = 422};
    }
    std::lock_guard lock(objects_);
    const auto before = engine_.view();
    const json known = object_named(wanted, *before, traffic_, kind);
    if (auto refusal = precondition(call.request, model::to_string(object->meta.key),
                                    known.is_null() ? "" : etag_of(known)))
      return *std::move(refusal);
    const auto applied = engine_.apply(call.who, object, call.query("reason"), once);
    if (!applied) return refusal_of(applied.error());
    const json now = object_named(wanted, *engine_.view(), traffic_, kind);
    return Done{.body = now, .etag = now.is_null() ? "" : etag_of(now)};
  });
  if (const auto* refusal = std::get_if<Refusal>(&outcome))
    return send_refusal(call.response, *refusal);
  Done done = std::get<Done>(outcome);
  if (done.replayed && done.body.is_null()) {
    // graymeshd ended between the act and its answer: as it stands now.
    auto read = object_in(call.request.body, kind.kind);
    if (const auto* object = std::get_if<model::ObjectPtr>(&read)) {
      const model::Key& key = (*object)->meta.key;
      done.body = object_named({key.namespace_, key.name}, *engine_.view(), traffic_, kind);
      done.etag = done.body.is_null() ? "" : etag_of(done.body);
    }
  }
  if (done.replayed) call.response.set_header("Idempotent-Replayed", "true");
  if (!done.etag.empty()) call.response.set_header("ETag", done.etag);
  send_json(call.response, done.body);
}

void Platform::remove_object(const Call& call, const Kind& kind) {
  const model::Key key{kind.kind, call.part(0), call.part(1)};
  const auto outcome = replies_.once(call, [&](const release::Once& once) -> Outcome {
    std::lock_guard lock(objects_);
    const auto before = engine_.view();
    const json known = object_named({key.namespace_, key.name}, *before, traffic_, kind);
    if (auto refusal = precondition(call.request, model::to_string(key),
                                    known.is_null() ? "" : etag_of(known)))
      return *std::move(refusal);
    if (const auto removed = engine_.remove(call.who, key, call.query("reason"), once); !removed)
      return Refusal{.error = removed.error()};
    return Done{};
  });
  if (const auto* refusal = std::get_if<Refusal>(&outcome))
    return send_refusal(call.response, *refusal);
  const Done& done = std::get<Done>(outcome);
  if (done.replayed) call.response.set_header("Idempotent-Replayed", "true");
  send_json(call.response, {{"deleted", model::to_string(key)}});
}

void Platform::add_objects(Routes& routes, Platform* self) {
  for (const Kind& kind : kinds) {
    const std::string all = kind.collection, one = all + "/{namespace}/{name}";
    routes.add("GET", all, [self, &kind](const Call& call) { self->list_objects(call, kind); });
    routes.add("POST", all,
               [self, &kind](const Call& call) { self->apply_object(call, kind, "", ""); });
    routes.add("GET", one, [self, &kind](const Call& call) { self->show_object(call, kind); });
    routes.add("POST", one, [self, &kind](const Call& call) {
      self->apply_object(call, kind, call.part(0), call.part(1));
    });
    routes.add("DELETE", one, [self, &kind](const Call& call) { self->remove_object(call, kind); });
  }
}

}  // namespace graymesh::api
