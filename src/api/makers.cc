#include "api/makers.h"

#include <fmt/core.h>

#include <algorithm>

namespace graymesh::api {
namespace {

using model::Kind;

constexpr Kind named[] = {Kind::service, Kind::service_entry, Kind::destination_rule,
                          Kind::virtual_service, Kind::gateway};

std::set<std::string> addresses_of(const model::Object& object) {
  if (const auto* pod = std::get_if<model::Pod>(&object.spec))
    return {pod->ips.begin(), pod->ips.end()};
  if (const auto* entry = std::get_if<model::WorkloadEntry>(&object.spec)) return {entry->address};
  std::set<std::string> all;
  if (const auto* slice = std::get_if<model::EndpointSlice>(&object.spec)) {
    for (const auto& endpoint : slice->endpoints)
      all.insert(endpoint.addresses.begin(), endpoint.addresses.end());
  }
  return all;
}

bool has_any(const snapshot::Endpoints& endpoints, const std::set<std::string>& addresses,
             const std::string& namespace_) {
  return std::ranges::any_of(endpoints.by_port, [&](const auto& port) {
    return std::ranges::any_of(port, [&](const snapshot::Endpoint& it) {
      return it.namespace_ == namespace_ && addresses.contains(it.address);
    });
  });
}

}  // namespace

Result<Makers> makers_of(const model::Key& key, const model::Object& object,
                         const snapshot::Snapshot& snapshot) {
  if (std::ranges::find(named, key.kind) != std::end(named)) return Makers{model::to_string(key)};
  if (key.kind != Kind::pod && key.kind != Kind::workload_entry &&
      key.kind != Kind::endpoint_slice) {
    std::string kinds;
    for (const Kind kind : named) kinds += fmt::format("{}, ", model::name_of(kind));
    return Error{Code::invalid_argument,
                 fmt::format("{} is nothing that a proxy has or refuses; one can wait for: {}Pod, "
                             "WorkloadEntry, EndpointSlice",
                             model::to_string(key), kinds)};
  }
  const auto addresses = addresses_of(object);
  Makers makers;
  for (const auto& service : snapshot.services()) {
    if (has_any(*snapshot.endpoints(*service), addresses, key.namespace_))
      makers.insert(model::to_string(service->origin));
  }
  return makers;
}

std::vector<xds::Refusal> refusals_of(const Makers& makers,
                                      const std::vector<xds::Refusal>& refusals,
                                      const resource::Config& config) {
  std::vector<xds::Refusal> all;
  for (const auto& refusal : refusals) {
    const bool of_these = std::ranges::any_of(
        refusal.origins, [&](const std::string& origin) { return makers.contains(origin); });
    if (!of_these) continue;
    const auto* now = config.find(refusal.type, refusal.resource);
    if (now != nullptr && (*now)->version_text() == refusal.version) all.push_back(refusal);
  }
  return all;
}

}  // namespace graymesh::api
