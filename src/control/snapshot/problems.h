// What does not hold together across objects, named with its line for the people who wrote it.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "control/snapshot/catalog.h"
#include "control/snapshot/endpoint.h"
#include "control/snapshot/objects.h"

namespace graymesh::snapshot {

// Of what is declared: routes that lead nowhere or are never reached, hosts claimed twice, delegates.
struct DeclaredProblems {
  std::vector<model::Problem> problems;
  // What each VirtualService contributed, so that those that did not change need not be asked again
  // while the services, rules and gateways are the same.
  std::unordered_map<model::ObjectPtr, std::vector<model::Problem>> by_virtual_service;
};

// `before` was made of `catalog_before`; both may be null.
DeclaredProblems find_declared_problems(const Catalog& catalog, const Objects& objects,
                                        const DeclaredProblems* before,
                                        const Catalog* catalog_before);

// DestinationRules whose subsets select no endpoint, by rule.
struct SubsetProblems {
  struct Checked {
    EndpointsPtr endpoints;
    std::vector<std::string> empty_subsets;
  };
  std::unordered_map<DestinationRulePtr, Checked> by_rule;
};

using FindEndpoints = std::function<EndpointsPtr(const Service&)>;

SubsetProblems check_subsets(const Catalog& catalog, const FindEndpoints& endpoints,
                             const SubsetProblems* before);
std::vector<model::Problem> describe(const SubsetProblems& checked, const Objects& objects);

}  // namespace graymesh::snapshot
