// What does not hold together across objects, named with its line for the people who wrote it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/pieces.h"
#include "control/snapshot/catalog.h"
#include "control/snapshot/endpoint.h"
#include "control/snapshot/objects.h"

namespace graymesh::snapshot {

// Of what is declared: routes that lead nowhere or are never reached, hosts claimed twice,
// delegates.
struct DeclaredProblems {
  std::vector<model::Problem> problems;
  // What each VirtualService contributed, so that those that did not change need not be asked again
  // while the services, rules and gateways are the same.
  std::unordered_map<model::ObjectPtr, std::vector<model::Problem>> by_virtual_service;
  std::vector<model::Problem> lost_rules;  // DestinationRules for no service
};

// What can be taken over from the Snapshot before.
struct Unchanged {
  bool rules = false;       // services and rules
  bool rule_lines = false;  // and where the DestinationRules stand in their files
};

// `before` was made of `catalog_before`; both may be null.
DeclaredProblems find_declared_problems(const Catalog& catalog, const Objects& objects,
                                        const DeclaredProblems* before,
                                        const Catalog* catalog_before, const Unchanged& unchanged);

// Servers of Gateways that are left out, as an earlier one has their port or hosts.
void find_gateway_clashes(const Catalog& catalog, const Objects& objects,
                          std::vector<model::Problem>& problems);

// Ports that sidecars without interception do not serve for everyone who has them.
void find_port_clashes(const Catalog& catalog, const Objects& objects,
                       std::vector<model::Problem>& problems);

// Whether some namespace sees both.
bool overlap(const Visibility& a, const Visibility& b);

// DestinationRules whose subsets select no endpoint.
struct SubsetProblems {
  // What one rule was found to select.
  struct Checked {
    DestinationRulePtr rule;
    ServicePtr service;
    EndpointsPtr endpoints;
    std::vector<std::string> empty;  // names of subsets
    std::vector<model::Problem> problems;
  };
  // The rules for services of one namespace, checked and described. Taken over as a whole while
  // nobody there comes or goes, and where only endpoints moved, but for the rules of theirs.
  struct Group {
    std::shared_ptr<const Running> running;
    std::shared_ptr<const Services> services;
    Pieces<Checked> checked;
    // Places of services, and of a rule of theirs in `checked`; sorted.
    std::shared_ptr<const std::vector<std::pair<std::size_t, std::size_t>>> by_service;
  };
  std::map<std::string, std::shared_ptr<const Group>, std::less<>> by_namespace;
};

// Who runs in a namespace, and the place of a host among its services.
struct Place {
  std::shared_ptr<const Running> running;
  std::shared_ptr<const Services> services;
};
using FindPlace = std::function<Place(std::string_view namespace_)>;

// `before` may be null.
SubsetProblems find_subset_problems(const Catalog& catalog, const Objects& objects,
                                    const FindPlace& find, const SubsetProblems* before,
                                    const Unchanged& unchanged);

}  // namespace graymesh::snapshot
