// Subsets that select nobody: requests that are routed to them are answered 503.

#include <fmt/core.h>

#include <algorithm>
#include <utility>

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
        {.rule = rule, .service = service, .endpoints = nullptr, .empty = {}, .problems = {}});
  }
  return result;
}

std::vector<Problem> describe(const Checked& checked, const Objects& objects) {
  std::vector<Problem> result;
  for (const auto& name : checked.empty) {
    model::ObjectPtr object;
    const auto* subset = written(*checked.rule, name, objects, object);
    if (subset == nullptr) continue;
    const auto index = subset - object->as<model::DestinationRule>().subsets.data();
    result.push_back(warning(*object, subset->position, fmt::format("subsets[{}]", index), name,
                             fmt::format("selects no endpoint of {}", checked.rule->spec.host)));
  }
  return result;
}

// Checks those whose endpoints or rule are not as in `before`, which has the same order as far as
// the two agree, and describes all.
std::shared_ptr<const Group> check(std::vector<Checked> checked, const Place& place,
                                   const Group* before, const Objects& objects) {
  std::vector<std::pair<std::size_t, std::size_t>> by_service;
  std::size_t at = 0;
  for (Checked& one : checked) {
    const std::size_t service = place.services->index_of(one.service->host);
    by_service.emplace_back(service, by_service.size());
    one.endpoints = place.running->endpoints(service);
    const Checked* known = nullptr;
    if (before != nullptr) {
      const auto& then = before->checked;
      while (at < then.size() && then[at].rule->spec.host < one.rule->spec.host) ++at;
      if (at < then.size() && then[at].rule == one.rule) known = &then[at];
    }
    one.empty = known != nullptr && known->endpoints == one.endpoints
                    ? known->empty
                    : empty_subsets(*one.rule, *one.endpoints);
    one.problems = describe(one, objects);
  }
  std::ranges::sort(by_service);
  return std::make_shared<const Group>(
      Group{.running = place.running,
            .services = place.services,
            .checked = Pieces<Checked>(std::move(checked)),
            .by_service = std::make_shared<const decltype(by_service)>(std::move(by_service))});
}

// Of the same rules in the same lines, for the same services: `before`, but for those whose
// endpoints moved.
std::shared_ptr<const Group> moved_on(const Group& before, const Place& place,
                                      const Objects& objects) {
  std::vector<Pieces<Checked>::Change> changes;
  const Running &now = *place.running, &then = *before.running;
  now.answers.each_apart(then.answers, [&](std::size_t i) {
    if (now.endpoints(i) == then.endpoints(i)) return true;
    const auto& all = *before.by_service;
    for (auto at = std::ranges::lower_bound(all, std::pair{i, std::size_t{0}});
         at != all.end() && at->first == i; ++at) {
      const std::size_t rule = at->second;
      Checked one = before.checked[rule];
      one.endpoints = now.endpoints(i);
      one.empty = empty_subsets(*one.rule, *one.endpoints);
      one.problems = describe(one, objects);
      changes.emplace_back(rule, std::move(one));
    }
    return true;
  });
  auto next = std::make_shared<Group>(before);
  next->running = place.running;
  next->checked = before.checked.with(changes);
  return next;
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
    if (group && unchanged.rule_lines && group->services == place.services) {
      if (group->running != place.running) group = moved_on(*group, place, objects);
      continue;
    }
    const Group* known = nullptr;
    if (before != nullptr) {
      const auto at = before->by_namespace.find(name);
      if (at != before->by_namespace.end()) known = at->second.get();
    }
    std::vector<Checked> checked =
        group ? std::vector<Checked>(group->checked.begin(), group->checked.end())
              : std::move(groups.find(name)->second);
    group = check(std::move(checked), place, known, objects);
  }
  return result;
}

}  // namespace graymesh::snapshot
