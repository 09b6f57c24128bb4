#include "control/snapshot/objects.h"

#include <algorithm>
#include <unordered_set>

namespace graymesh::snapshot {
namespace {

constexpr auto name_of_object = [](const model::ObjectPtr& object) -> std::string_view {
  return object->meta.key.name;
};

using Changing = std::map<std::string_view, NamespaceObjects>;

NamespaceObjects& opened(Changing& changing, const Objects& arranged, std::string_view name) {
  const auto [at, fresh] = changing.try_emplace(name);
  if (fresh) {
    const auto before = arranged.namespaces.find(name);
    if (before != arranged.namespaces.end()) at->second = *before->second;
  }
  return at->second;
}

std::vector<model::ObjectPtr>& of(NamespaceObjects& objects, const model::ObjectPtr& object) {
  return objects.by_kind[static_cast<std::size_t>(object->meta.key.kind)];
}

void remove(NamespaceObjects& objects, const model::ObjectPtr& object) {
  auto& list = of(objects, object);
  const auto at = std::ranges::lower_bound(list, name_of_object(object), {}, name_of_object);
  if (at != list.end() && *at == object) list.erase(at);
}

void add(NamespaceObjects& objects, const model::ObjectPtr& object) {
  auto& list = of(objects, object);
  const auto at = std::ranges::lower_bound(list, name_of_object(object), {}, name_of_object);
  if (at != list.end() && name_of_object(*at) == name_of_object(object)) {
    *at = object;
  } else {
    list.insert(at, object);
  }
}

// From nothing: insertion one by one would be quadratic.
Objects arrange_anew(std::span<const model::ObjectPtr> objects) {
  std::map<std::string_view, NamespaceObjects> namespaces;
  for (const auto& object : objects) {
    of(namespaces[object->meta.key.namespace_], object).push_back(object);
  }
  Objects result{.given = {objects.begin(), objects.end()}, .namespaces = {}};
  for (auto& [name, held] : namespaces) {
    for (auto& list : held.by_kind) {
      std::ranges::stable_sort(list, {}, name_of_object);
      // Backwards, so that the later of two stays, at the end.
      const auto same = [](const auto& a, const auto& b) {
        return name_of_object(a) == name_of_object(b);
      };
      list.erase(list.begin(), std::unique(list.rbegin(), list.rend(), same).base());
    }
    result.namespaces.emplace(name, std::make_shared<const NamespaceObjects>(std::move(held)));
  }
  return result;
}

}  // namespace

model::ObjectPtr NamespaceObjects::find(model::Kind kind, std::string_view name) const {
  const auto& list = of(kind);
  const auto at = std::ranges::lower_bound(list, name, {}, name_of_object);
  return at != list.end() && name_of_object(*at) == name ? *at : nullptr;
}

bool NamespaceObjects::empty() const {
  return std::ranges::all_of(by_kind, [](const auto& list) { return list.empty(); });
}

model::ObjectPtr Objects::find(const model::Key& key) const {
  const auto at = namespaces.find(key.namespace_);
  return at == namespaces.end() ? nullptr : at->second->find(key.kind, key.name);
}

Objects arrange(std::span<const model::ObjectPtr> objects, const Objects* previous) {
  if (previous == nullptr) return arrange_anew(objects);

  // What changed stands between a common beginning and a common end.
  std::span<const model::ObjectPtr> now = objects;
  std::span<const model::ObjectPtr> then = previous->given;
  while (!now.empty() && !then.empty() && now.front() == then.front()) {
    now = now.subspan(1);
    then = then.subspan(1);
  }
  while (!now.empty() && !then.empty() && now.back() == then.back()) {
    now = now.first(now.size() - 1);
    then = then.first(then.size() - 1);
  }
  const std::unordered_set<model::ObjectPtr> kept(then.begin(), then.end());
  const std::unordered_set<model::ObjectPtr> wanted(now.begin(), now.end());
  // With thousands of changes, sorting all is cheaper than inserting each.
  if (now.size() > objects.size() / 2 + 64) return arrange_anew(objects);

  Objects result{.given = {objects.begin(), objects.end()}, .namespaces = previous->namespaces};
  Changing changing;
  for (const auto& object : then) {
    if (wanted.contains(object)) continue;
    remove(opened(changing, result, object->meta.key.namespace_), object);
  }
  for (const auto& object : now) {
    if (kept.contains(object)) continue;
    add(opened(changing, result, object->meta.key.namespace_), object);
  }
  for (auto& [name, held] : changing) {
    if (held.empty()) {
      result.namespaces.erase(std::string(name));
    } else {
      result.namespaces[std::string(name)] =
          std::make_shared<const NamespaceObjects>(std::move(held));
    }
  }
  return result;
}

bool same_objects(const NamespaceObjects* a, const NamespaceObjects* b, model::Kind kind) {
  if (a == b) return true;
  static const NamespaceObjects none;
  return (a == nullptr ? none : *a).of(kind) == (b == nullptr ? none : *b).of(kind);
}

}  // namespace graymesh::snapshot
