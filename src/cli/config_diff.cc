#include "cli/config_diff.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <map>

#include "base/json.h"

namespace graymesh::cli {
namespace {

using nlohmann::json;

constexpr std::size_t fields_max = 200;  // of one resource; the rest is counted
constexpr std::size_t value_bytes_max = 160;

// Where a config_dump has them, and below which key each resource is.
struct Place {
  std::string_view type, list, inner, resource, name;
};
constexpr std::array<Place, 4> places = {
    {{"cluster", "dynamic_active_clusters", "", "cluster", "name"},
     {"endpoint", "dynamic_endpoint_configs", "", "endpoint_config", "cluster_name"},
     {"listener", "dynamic_listeners", "active_state", "listener", "name"},
     {"route", "dynamic_route_configs", "", "route_config", "name"}}};

const json& at(const json& value, std::string_view key) {
  static const json none;
  if (key.empty()) return value;
  const auto found = value.is_object() ? value.find(key) : value.end();
  return value.is_object() && found != value.end() ? *found : none;
}

using Resources = std::map<std::string, const json*>;

Resources resources_of(const json& dump, const Place& place) {
  Resources all;
  for (const auto& part : at(dump, "configs")) {
    for (const auto& one : at(part, place.list)) {
      const json& resource = at(at(one, place.inner), place.resource);
      const json& name = at(resource, place.name);
      if (name.is_string()) all[name.get<std::string>()] = &resource;
    }
  }
  return all;
}

std::string below(const std::string& path, const std::string& key) {
  return path.empty() ? key : fmt::format("{}.{}", path, key);
}

class Fields {
 public:
  void compare(const std::string& path, const json& from, const json& to) {
    if (from == to) return;
    if (from.is_object() && to.is_object()) return objects(path, from, to);
    if (from.is_array() && to.is_array()) return arrays(path, from, to);
    if (all_.size() >= fields_max) {
      ++more_;
      return;
    }
    all_.push_back({{"path", path}, {"from", from}, {"to", to}});
  }
  json take() {
    if (more_ > 0)
      all_.push_back(
          {{"path", fmt::format("and {} more", more_)}, {"from", nullptr}, {"to", nullptr}});
    return std::move(all_);
  }

 private:
  void objects(const std::string& path, const json& from, const json& to) {
    static const json none;
    for (const auto& [key, value] : from.items()) {
      if (key == "@type") continue;
      const auto other = to.find(key);
      compare(below(path, key), value, other == to.end() ? none : *other);
    }
    for (const auto& [key, value] : to.items()) {
      if (!from.contains(key) && key != "@type") compare(below(path, key), none, value);
    }
  }
  // By name where elements have one, else by place.
  void arrays(const std::string& path, const json& from, const json& to) {
    static const json none;
    const auto named = [](const json& it) { return it.is_object() && at(it, "name").is_string(); };
    if (std::ranges::all_of(from, named) && std::ranges::all_of(to, named)) {
      std::map<std::string, const json*> before, after;
      for (const auto& it : from) before[it["name"].get<std::string>()] = &it;
      for (const auto& it : to) after[it["name"].get<std::string>()] = &it;
      if (before.size() == from.size() && after.size() == to.size()) {
        for (const auto& [name, it] : before) {
          const auto other = after.find(name);
          compare(fmt::format("{}[{}]", path, name), *it,
                  other == after.end() ? none : *other->second);
        }
        for (const auto& [name, it] : after) {
          if (!before.contains(name)) compare(fmt::format("{}[{}]", path, name), none, *it);
        }
        if (from.size() == to.size() && before.size() == after.size() && order_differs(from, to))
          all_.push_back({{"path", path + " (order)"}, {"from", names(from)}, {"to", names(to)}});
        return;
      }
    }
    for (std::size_t i = 0; i < std::max(from.size(), to.size()); ++i) {
      compare(fmt::format("{}[{}]", path, i), i < from.size() ? from[i] : none,
              i < to.size() ? to[i] : none);
    }
  }
  static json names(const json& list) {
    json names = json::array();
    for (const auto& it : list) names.push_back(it["name"]);
    return names;
  }
  static bool order_differs(const json& from, const json& to) {
    auto a = names(from), b = names(to);
    if (a == b) return false;
    std::sort(a.begin(), a.end());
    std::sort(b.begin(), b.end());
    return a == b;
  }

  json all_ = json::array();
  std::size_t more_ = 0;
};

std::string brief(const json& value) {
  if (value.is_null()) return "(none)";
  std::string text = value.is_string() ? value.get<std::string>()
                                       : value.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() > value_bytes_max) text = text.substr(0, value_bytes_max) + "...";
  return text;
}

}  // namespace

json config_diff(const json& from, const json& to) {
  json all = json::array();
  for (const auto& place : places) {
    const auto before = resources_of(from, place), after = resources_of(to, place);
    for (const auto& [name, resource] : before) {
      const auto other = after.find(name);
      if (other == after.end()) {
        all.push_back({{"type", place.type},
                       {"name", name},
                       {"change", "removed"},
                       {"fields", json::array()}});
        continue;
      }
      if (*resource == *other->second) continue;
      Fields fields;
      fields.compare("", *resource, *other->second);
      json list = fields.take();
      if (!list.empty())
        all.push_back({{"type", place.type},
                       {"name", name},
                       {"change", "changed"},
                       {"fields", std::move(list)}});
    }
    for (const auto& [name, resource] : after) {
      if (!before.contains(name))
        all.push_back(
            {{"type", place.type}, {"name", name}, {"change", "added"}, {"fields", json::array()}});
    }
  }
  return all;
}

std::string to_text(const json& diff, std::string_view from, std::string_view to) {
  if (diff.empty()) return fmt::format("{} and {} are the same\n", from, to);
  std::string out = fmt::format("--- {}\n+++ {}\n", from, to);
  for (const auto& it : diff) {
    const auto change = it["change"].get<std::string>();
    const char* sign = change == "added" ? "+" : change == "removed" ? "-" : "~";
    out += fmt::format("{} {} {}\n", sign, it["type"].get<std::string>(),
                       it["name"].get<std::string>());
    for (const auto& field : it["fields"]) {
      out += fmt::format("    {}: {} -> {}\n", field["path"].get<std::string>(),
                         brief(field["from"]), brief(field["to"]));
    }
  }
  return out;
}

}  // namespace graymesh::cli
