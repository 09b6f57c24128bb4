// DestinationRules: merged within a namespace, selected for a client (docs/translation.md 2.11).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "control/snapshot/carry.h"
#include "control/snapshot/objects.h"
#include "control/snapshot/snapshot.h"

namespace graymesh::snapshot {

// The rules of one namespace, several for one host merged where Istio merges them: sorted by host,
// of one host in order of precedence. Equal ones keep the address they had in `before`.
std::vector<DestinationRulePtr> derive_destination_rules(
    const NamespaceObjects& objects, const model::MeshConfig& mesh,
    const std::vector<DestinationRulePtr>& before);

// Finds the rules of one namespace by the host they are for.
class RuleIndex {
 public:
  explicit RuleIndex(const std::vector<DestinationRulePtr>& rules);

  using Candidates = std::vector<DestinationRulePtr>;
  // Of the most specific host that covers `host`; null if there is none. Each answers for one of
  // Istio's three stages: rules for clients of the namespace itself, rules for others, and rules
  // that others cannot see.
  const Candidates* local(std::string_view host) const { return find(local_, host); }
  const Candidates* exported(std::string_view host) const { return find(exported_, host); }
  const Candidates* hidden(std::string_view host) const { return find(hidden_, host); }

 private:
  struct Hosts {
    std::unordered_map<std::string, Candidates, StringHash, std::equal_to<>> exact;
    std::vector<std::pair<std::string, Candidates>> wildcards;  // most specific first
  };
  static void add(Hosts& hosts, const DestinationRulePtr& rule);
  static const Candidates* find(const Hosts& hosts, std::string_view host);

  Hosts local_, exported_, hidden_;
};

using RuleIndexes =
    std::unordered_map<std::string, std::shared_ptr<const RuleIndex>, StringHash, std::equal_to<>>;

struct Client {
  std::string_view namespace_;
  const model::Labels* labels = nullptr;  // null: rules with a workloadSelector do not count
};

// The rule that applies where `client` calls `service`; null if none does.
DestinationRulePtr select_rule(const RuleIndexes& rules, std::string_view root_namespace,
                               const Client& client, const Service& service);

}  // namespace graymesh::snapshot
