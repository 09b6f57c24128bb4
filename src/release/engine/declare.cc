// What files declare: applied when it is new or has changed, in an order in which each finds what
// it needs; taken back when it is declared no more. What is refused is a problem of its object, and
// is tried again with the next change of any file, and every minute.
#include <fmt/core.h>

#include <algorithm>

#include "release/engine/core.h"

namespace graymesh::release {
namespace {

Actor actor_of_file(const model::ObjectPtr& object) {
  return {"file", fmt::format("{}:{}", object->meta.position.file, object->meta.position.line)};
}

constexpr model::Kind kinds[] = {model::Kind::environment, model::Kind::application,
                                 model::Kind::lane, model::Kind::gray_release};

}  // namespace

void Engine::Core::declare(const std::vector<model::ObjectPtr>& objects) {
  problems.clear();
  std::set<model::Key> declared;
  for (const model::Kind kind : kinds) {
    for (const auto& object : objects) {
      const model::Key& key = object->meta.key;
      if (key.kind != kind) continue;
      declared.insert(key);
      const auto same = std::any_of(declared_.begin(), declared_.end(), [&](const auto& old) {
        return old->meta.key == key && old->meta.content == object->meta.content;
      });
      if (same && !refused_.contains(key)) continue;
      if (has_already(object)) continue;
      const auto applied = apply(actor_of_file(object), object, {}, true);
      if (applied) {
        refused_.erase(key);
      } else {
        refused_.insert(key);
        problems.push_back({.severity = model::Problem::Severity::error,
                            .position = object->meta.position,
                            .object = model::to_string(key),
                            .field = {},
                            .value = {},
                            .rule = applied.error().message});
      }
    }
  }
  declared_ = objects;
  take_back_undeclared(declared);
}

void Engine::Core::retry_refused() {
  if (refused_.empty()) return retry_at_.reset();
  const auto now = parts_.clock.wall();
  if (retry_at_ && now >= *retry_at_) {
    declare(std::vector(declared_));
    retry_at_.reset();
  }
  if (refused_.empty()) return;
  if (!retry_at_) retry_at_ = now + refused_again;
  wake_at(*retry_at_);
}

// As after a restart: what a file declares is there by this text. A release once for each text,
// whatever became of it.
bool Engine::Core::has_already(const model::ObjectPtr& declared) const {
  const model::Key& key = declared->meta.key;
  const Name name{key.namespace_, key.name};
  switch (key.kind) {
    case model::Kind::application: {
      const auto app = world_.applications.find(name);
      return app != world_.applications.end() && app->second.declared && !app->second.leaving &&
             app->second.object->text == declared->text;
    }
    case model::Kind::environment: {
      const auto environment = world_.environments.find(key.namespace_);
      return environment != world_.environments.end() && environment->second.declared &&
             environment->second.object->text == declared->text;
    }
    case model::Kind::lane: {
      const auto lane = world_.lanes.find(name);
      return lane != world_.lanes.end() && lane->second.declared &&
             lane->second.spec == declared->as<model::Lane>();
    }
    default:
      return std::any_of(world_.releases.begin(), world_.releases.end(), [&](const auto& entry) {
        return entry.second.declared && entry.second.content == declared->meta.content &&
               entry.second.name == name;
      });
  }
}

void Engine::Core::take_back_undeclared(const std::set<model::Key>& declared) {
  const Actor who{"file", "declared no more"};
  std::vector<model::Key> gone;
  const auto look = [&](model::Kind kind, const Name& name, bool is_declared) {
    const model::Key key{kind, name.namespace_, name.name};
    if (is_declared && !declared.contains(key)) gone.push_back(key);
  };
  for (const auto& [name, lane] : world_.lanes) look(model::Kind::lane, name, lane.declared);
  for (const auto& [namespace_, environment] : world_.environments)
    look(model::Kind::environment, {namespace_, environment.object->meta.key.name},
         environment.declared);
  for (const auto& [name, app] : world_.applications)
    look(model::Kind::application, name, app.declared);
  std::vector<std::uint64_t> back;
  for (const auto& [id, release] : world_.releases) {
    const model::Key key{model::Kind::gray_release, release.name.namespace_, release.name.name};
    if (release.declared && !declared.contains(key) && release.phase < Phase::stopping)
      back.push_back(id);
  }
  const auto note = [&](const Status& done, const std::string& what) {
    if (!done)
      problems.push_back({.severity = model::Problem::Severity::error,
                          .position = {},
                          .object = what,
                          .field = {},
                          .value = {},
                          .rule = done.error().message});
  };
  for (const std::uint64_t id : back)
    note(act(who, id, Verb::rollback, "its file is gone"), fmt::format("release {}", id));
  for (const auto& key : gone) note(remove(who, key, {}, true), model::to_string(key));
}

}  // namespace graymesh::release
