#include "control/snapshot/objects.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

namespace graymesh::snapshot {
namespace {

constexpr auto name_of_object = [](const model::ObjectPtr& object) -> std::string_view {
  return object->meta.key.name;
};

using List = NamespaceObjects::List;

std::size_t kind_of(const model::ObjectPtr& object) {
  return static_cast<std::size_t>(object->meta.key.kind);
}

// Of two of one name the later stays.
List sorted(List list) {
  std::ranges::stable_sort(list, {}, name_of_object);
  const auto same = [](const auto& a, const auto& b) {
    return name_of_object(a) == name_of_object(b);
  };
  // Backwards, so that the later of two stays, at the end.
  list.erase(list.begin(), std::unique(list.rbegin(), list.rend(), same).base());
  return list;
}

std::shared_ptr<const List> kept(List list) {
  return list.empty() ? nullptr : std::make_shared<const List>(std::move(list));
}

// Of one kind in one namespace.
struct Changing {
  List gone, come;
};

List changed(const List& before, const Changing& changing) {
  List list = before;
  List fresh;
  const auto place = [&before](const model::ObjectPtr& object) {
    return static_cast<std::size_t>(
        std::ranges::lower_bound(before, name_of_object(object), {}, name_of_object) -
        before.begin());
  };
  for (const auto& object : changing.gone) {
    const std::size_t at = place(object);
    if (at < before.size() && before[at] == object) list[at] = nullptr;
  }
  for (const auto& object : changing.come) {
    const std::size_t at = place(object);
    if (at < before.size() && name_of_object(before[at]) == name_of_object(object)) {
      list[at] = object;
    } else {
      fresh.push_back(object);
    }
  }
  std::erase(list, nullptr);
  if (fresh.empty()) return list;
  fresh = sorted(std::move(fresh));
  const auto middle = static_cast<std::ptrdiff_t>(list.size());
  list.insert(list.end(), fresh.begin(), fresh.end());
  std::ranges::inplace_merge(list, list.begin() + middle, {}, name_of_object);
  return list;
}

std::set<model::ObjectPtr> all_of(const Objects& objects) {
  std::set<model::ObjectPtr> all;
  for (const auto& [name, held] : objects.namespaces) {
    for (const auto& list : held->by_kind) {
      if (list) all.insert(list->begin(), list->end());
    }
  }
  return all;
}

}  // namespace

const NamespaceObjects::List& NamespaceObjects::of(model::Kind kind) const {
  static const List none;
  const auto& list = by_kind[static_cast<std::size_t>(kind)];
  return list ? *list : none;
}

model::ObjectPtr NamespaceObjects::find(model::Kind kind, std::string_view name) const {
  const auto& list = of(kind);
  const auto at = std::ranges::lower_bound(list, name, {}, name_of_object);
  return at != list.end() && name_of_object(*at) == name ? *at : nullptr;
}

bool NamespaceObjects::empty() const {
  return std::ranges::all_of(by_kind, [](const auto& list) { return list == nullptr; });
}

model::ObjectPtr Objects::find(const model::Key& key) const {
  const auto at = namespaces.find(key.namespace_);
  return at == namespaces.end() ? nullptr : at->second->find(key.kind, key.name);
}

Objects arrange(std::span<const model::ObjectPtr> objects) {
  return arrange({.gone = {}, .come = {objects.begin(), objects.end()}}, {});
}

Changes changes_to(std::span<const model::ObjectPtr> objects, const Objects& previous) {
  const std::set<model::ObjectPtr> was = all_of(previous), is = all_of(arrange(objects));
  Changes changes;
  std::ranges::set_difference(was, is, std::back_inserter(changes.gone));
  std::ranges::set_difference(is, was, std::back_inserter(changes.come));
  return changes;
}

Objects arrange(const Changes& changes, const Objects& previous) {
  std::map<std::string_view, std::map<std::size_t, Changing>> namespaces;
  for (const auto& object : changes.gone)
    namespaces[object->meta.key.namespace_][kind_of(object)].gone.push_back(object);
  for (const auto& object : changes.come)
    namespaces[object->meta.key.namespace_][kind_of(object)].come.push_back(object);
  Objects result = previous;
  for (const auto& [name, kinds] : namespaces) {
    const auto before = previous.namespaces.find(name);
    NamespaceObjects held;
    if (before != previous.namespaces.end()) held = *before->second;
    for (const auto& [kind, changing] : kinds)
      held.by_kind[kind] = kept(changed(held.of(static_cast<model::Kind>(kind)), changing));
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
  const auto &one = (a == nullptr ? none : *a).of(kind),
             &other = (b == nullptr ? none : *b).of(kind);
  return &one == &other || one == other;
}

}  // namespace graymesh::snapshot
