// Subsets that select nobody: requests that are routed to them are answered 503.

#include <fmt/core.h>

#include <algorithm>
#include <tuple>

#include "control/snapshot/problems.h"
#include "control/snapshot/warning.h"

namespace graymesh::snapshot {
namespace {

using model::Problem;
using Checked = SubsetProblems::Checked;
using Group = SubsetProblems::Group;
using Groups = std::map<std::string, std::vector<Checked>, std::less<>>;

// The object and subset that a merged rule's subset comes from.
const model::Subset* written(const DestinationRule& rule, std::string_view subset,
                             const Objects& objects, model::ObjectPtr& object) {
  for (const auto& origin : rule.origins) {
    object = objects.find(origin);
    if (object == nullptr) continue;
    const auto& subsets = object->as<model::DestinationRule>().subsets;
    const auto at = std::ranges::find(subsets, subset, &model::Subset::name);
    if (at != subsets.end()) return &*at;
  }
  return nullptr;
}

std::vector<std::string> empty_subsets(const DestinationRule& rule, const Endpoints& endpoints) {
  std::vector<std::string> result;
  for (const auto& subset : rule.spec.subsets) {
    const bool selects = std::ranges::any_of(endpoints.by_port, [&subset](const auto& port) {
      return std::ranges::any_of(port, [&subset](const Endpoint& endpoint) {
        return model::selects(subset.labels, endpoint.labels);
      });
    });
    if (!selects) result.push_back(subset.name);
  }
  return result;
}

// The rules to check, by their service's namespace, and not checked yet.
Groups groups_of(const Catalog& catalog) {
  Groups result;
  for (const auto& rule : catalog.rules) {
    if (rule->spec.subsets.empty() || rule->spec.host.starts_with('*')) continue;
    const ServicePtr service = catalog.service(rule->spec.host);
    // Of a ServiceEntry without resolution nobody knows who answers.
    if (!service || (service->resolution == Resolution::passthrough && !service->kubernetes)) {
      continue;
    }
    result[service->namespace_].push_back(
        {.rule = rule, .service = service, .endpoints = nullptr, .empty = {}});
  }
  return result;
}

std::vector<Problem> describe(const std::vector<Checked>& checked, const Objects& objects) {
  std::vector<Problem> result;
  for (const auto& [rule, service, endpoints, empty] : checked) {
    for (const auto& name : empty) {
      model::ObjectPtr object;
      const auto* subset = written(*rule, name, objects, object);
      if (subset == nullptr) continue;
      const auto index = subset - object->as<model::DestinationRule>().subsets.data();
      result.push_back(warning(*object, subset->position, fmt::format("subsets[{}]", index), name,
                               fmt::format("selects no endpoint of {}", rule->spec.host)));
    }
  }
  return result;
}

// Checks those whose endpoints or rule are not as in `before`, which has the same order as far as
// the two agree.
void check(std::vector<Checked>& checked, const Place& place, const Group* before) {
  std::size_t at = 0;
  for (Checked& one : checked) {
    one.endpoints = place.running->endpoints[place.services->index_of(one.service->host)];
    const Checked* known = nullptr;
    if (before != nullptr) {
      const auto& then = before->checked;
      while (at < then.size() && then[at].rule->spec.host < one.rule->spec.host) ++at;
      if (at < then.size() && then[at].rule == one.rule) known = &then[at];
    }
    one.empty = known != nullptr && known->endpoints == one.endpoints
                    ? known->empty
                    : empty_subsets(*one.rule, *one.endpoints);
  }
}

}  // namespace

SubsetProblems find_subset_problems(const Catalog& catalog, const Objects& objects,
                                    const FindPlace& find, const SubsetProblems* before,
                                    const Unchanged& unchanged) {
  SubsetProblems result;
  Groups groups;
  if (before != nullptr && unchanged.rules) {
    result.by_namespace = before->by_namespace;
  } else {
    groups = groups_of(catalog);
    for (const auto& [name, checked] : groups) result.by_namespace.emplace(name, nullptr);
  }
  for (auto& [name, group] : result.by_namespace) {
    const Place place = find(name);
    if (group && unchanged.rule_lines && group->running == place.running) continue;
    const Group* known = nullptr;
    if (before != nullptr) {
      const auto at = before->by_namespace.find(name);
      if (at != before->by_namespace.end()) known = at->second.get();
    }
    Group made;
    made.running = place.running;
    if (group) {
      made.checked = group->checked;
    } else {
      made.checked = std::move(groups.find(name)->second);
    }
    check(made.checked, place, known);
    made.problems = describe(made.checked, objects);
    group = std::make_shared<const Group>(std::move(made));
  }
  return result;
}

}  // namespace graymesh::snapshot
