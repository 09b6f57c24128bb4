#include "control/snapshot/destination_rule.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "control/snapshot/visibility.h"

namespace graymesh::snapshot {
namespace {

bool is_wildcard(std::string_view host) { return host.starts_with('*'); }

// Rules whose host, exportTo and workloadSelector are the same are one.
using Group = std::tuple<std::string, std::vector<std::string>, model::Labels>;

Group group_of(const DestinationRule& rule) {
  std::vector<std::string> export_to = rule.spec.export_to;
  std::ranges::sort(export_to);
  return {rule.spec.host, std::move(export_to), rule.spec.workload_selector};
}

DestinationRule resolve(const model::Object& object, const model::MeshConfig& mesh) {
  const auto& key = object.meta.key;
  DestinationRule rule{.origins = {key},
                       .namespace_ = key.namespace_,
                       .spec = object.as<model::DestinationRule>(),
                       .visible = {}};
  rule.spec.host = model::full_host(rule.spec.host, key.namespace_);
  for (auto& subset : rule.spec.subsets) subset.position = {};
  if (rule.spec.workload_selector.empty()) {
    rule.visible =
        visibility_of(rule.spec.export_to, key.namespace_, mesh.default_destination_rule_export_to);
  } else {
    rule.visible = {.everywhere = false, .namespaces = {key.namespace_}};
  }
  return rule;
}

void merge(DestinationRule& base, DestinationRule&& later) {
  base.origins.push_back(later.origins.front());
  if (!base.spec.policy) base.spec.policy = std::move(later.spec.policy);
  for (auto& subset : later.spec.subsets) {
    if (base.subset(subset.name) == nullptr) base.spec.subsets.push_back(std::move(subset));
  }
}

bool covers(std::string_view wildcard, std::string_view host) {
  return host.ends_with(wildcard.substr(1));
}

// Among the rules of one host: the first whose workloadSelector selects the client, else the last
// without one.
DestinationRulePtr pick(const RuleIndex::Candidates& candidates, const Client& client) {
  DestinationRulePtr result;
  for (const auto& rule : candidates) {
    const auto& selector = rule->spec.workload_selector;
    if (selector.empty()) {
      result = rule;
    } else if (client.labels != nullptr && rule->namespace_ == client.namespace_ &&
               model::selects(selector, *client.labels)) {
      return rule;
    }
  }
  return result;
}

// What a namespace exports to the client; null if nothing.
DestinationRulePtr pick_exported(const RuleIndexes& rules, std::string_view owner,
                                 const Client& client, std::string_view host) {
  const auto index = rules.find(owner);
  if (index == rules.end()) return nullptr;
  const auto* candidates = index->second->exported(host);
  if (candidates == nullptr) return nullptr;
  RuleIndex::Candidates seen;
  std::ranges::copy_if(*candidates, std::back_inserter(seen),
                       [&client](const auto& rule) { return rule->visible.to(client.namespace_); });
  return pick(seen, client);
}

}  // namespace

const model::Subset* DestinationRule::subset(std::string_view name) const {
  const auto at = std::ranges::find(spec.subsets, name, &model::Subset::name);
  return at == spec.subsets.end() ? nullptr : &*at;
}

std::vector<DestinationRulePtr> derive_destination_rules(
    const NamespaceObjects& objects, const model::MeshConfig& mesh,
    const std::vector<DestinationRulePtr>& before) {
  std::vector<model::ObjectPtr> sorted = objects.of(model::Kind::destination_rule);
  std::ranges::stable_sort(sorted, {}, [](const model::ObjectPtr& object) {
    const bool selects_all = object->as<model::DestinationRule>().workload_selector.empty();
    return std::pair(selects_all, object->meta.created);  // of the same age: by name, as they are
  });
  std::vector<DestinationRule> merged;
  std::map<Group, std::size_t> groups;
  for (const auto& object : sorted) {
    DestinationRule rule = resolve(*object, mesh);
    const auto [at, fresh] = groups.try_emplace(group_of(rule), merged.size());
    if (fresh) {
      merged.push_back(std::move(rule));
    } else {
      merge(merged[at->second], std::move(rule));
    }
  }
  std::ranges::stable_sort(merged, {},
                           [](const auto& rule) -> const std::string& { return rule.spec.host; });

  std::map<model::Key, DestinationRulePtr> known;
  for (const auto& rule : before) known.emplace(rule->origins.front(), rule);
  std::vector<DestinationRulePtr> result;
  result.reserve(merged.size());
  for (auto& rule : merged) {
    const auto at = known.find(rule.origins.front());
    result.push_back(carry(at == known.end() ? nullptr : at->second, std::move(rule)));
  }
  return result;
}

RuleIndex::RuleIndex(const std::vector<DestinationRulePtr>& rules) {
  for (const auto& rule : rules) {
    const Visibility only_here{.everywhere = false, .namespaces = {rule->namespace_}};
    if (rule->visible.to(rule->namespace_)) add(local_, rule);
    add(rule->visible == only_here ? hidden_ : exported_, rule);
  }
  for (auto* hosts : {&local_, &exported_, &hidden_}) {
    std::ranges::stable_sort(hosts->wildcards, std::greater<>(),
                             [](const auto& wildcard) { return wildcard.first.size(); });
  }
}

void RuleIndex::add(Hosts& hosts, const DestinationRulePtr& rule) {
  const std::string& host = rule->spec.host;
  if (!is_wildcard(host)) {
    hosts.exact[host].push_back(rule);
    return;
  }
  const auto at =
      std::ranges::find(hosts.wildcards, host, [](const auto& wildcard) { return wildcard.first; });
  if (at == hosts.wildcards.end()) {
    hosts.wildcards.push_back({host, {rule}});
  } else {
    at->second.push_back(rule);
  }
}

const RuleIndex::Candidates* RuleIndex::find(const Hosts& hosts, std::string_view host) {
  const auto at = hosts.exact.find(host);
  if (at != hosts.exact.end()) return &at->second;
  for (const auto& [wildcard, candidates] : hosts.wildcards) {
    if (covers(wildcard, host)) return &candidates;
  }
  return nullptr;
}

DestinationRulePtr select_rule(const RuleIndexes& rules, std::string_view root_namespace,
                               const Client& client, const Service& service) {
  const auto own = rules.find(client.namespace_);
  if (own != rules.end()) {
    // Rules of the root namespace are mostly meant for the whole mesh: there, only hidden ones are
    // its own, and the service's namespace goes before the others.
    const auto* candidates = client.namespace_ == root_namespace ? own->second->hidden(service.host)
                                                                 : own->second->local(service.host);
    if (candidates != nullptr) return pick(*candidates, client);
  }
  if (auto rule = pick_exported(rules, service.namespace_, client, service.host)) return rule;
  return pick_exported(rules, root_namespace, client, service.host);
}

}  // namespace graymesh::snapshot
