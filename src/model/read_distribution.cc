// Which endpoints of a service come first: Istio's annotation, of Services, ServiceEntries and
// Namespaces.
#include "model/distribution.h"
#include "model/kinds.h"
#include "model/rules_text.h"

namespace graymesh::model {

std::optional<TrafficDistribution> distribution_named(std::string_view word) {
  using rules::same_word;
  if (same_word(word, "PreferClose") || same_word(word, "PreferSameZone"))
    return TrafficDistribution::same_zone;
  if (same_word(word, "PreferSameNode")) return TrafficDistribution::same_node;
  return std::nullopt;
}

void read_distribution(Reading& reading, const Element& root, const Meta& meta,
                       std::optional<TrafficDistribution>& out) {
  constexpr std::string_view name = "networking.istio.io/traffic-distribution";
  const auto found = meta.annotations.find(name);
  if (found == meta.annotations.end() || found->second.empty()) return;
  const auto named = distribution_named(found->second);
  out = named.value_or(TrafficDistribution::any);
  if (named) return;
  const Element* metadata = root.find("metadata");
  const Element* annotations = metadata != nullptr ? metadata->find("annotations") : nullptr;
  if (annotations != nullptr) reading.warn(*annotations, name, unknown_distribution);
}

}  // namespace graymesh::model
