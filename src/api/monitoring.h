// What Prometheus asks us: the series of /metrics that come and go with proxies, services, releases
// and lanes, and where the sidecars' own pages are. Functions from state to text and JSON.
//
// How many series there are is bounded by what is declared: services by their health, applications,
// releases that are not over by their members, lanes by the applications that they pass.
#pragma once

#include <map>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "api/api.h"

namespace graymesh::api {

// `proxies` that lag are named one by one, the worst first, at most so many.
inline constexpr std::size_t laggards_max = 50;

std::string proxy_series(const std::vector<xds::ProxyStatus>& proxies, Clock::Wall now);
std::string service_series(const push::State& state);
std::string release_series(const release::View& view, const std::vector<xds::ProxyStatus>& proxies);
std::string lane_series(const release::View& view, const traffic::Table& traffic);
std::string process_series();  // CPU and memory of graymeshd, by Prometheus' own names

// Where Envoys show their statistics. One whose stream has broken goes on serving, and so it stays
// here for as long as its pod or WorkloadEntry is there: that it is cut off can be seen in its own
// statistics only. Any thread.
class Sidecars {
 public:
  // The body of Prometheus' HTTP service discovery: [{"targets": ["127.1.0.1:15090"], "labels":
  // {...}}] for each Envoy. Labels are of the proxy itself and begin with "source_": what its
  // series say of the called service has the plain names. Region and zone are of its pod or
  // WorkloadEntry in `snapshot` (a label, or the node; null: none yet), else what its bootstrap
  // says.
  nlohmann::json targets(const std::vector<xds::ProxyStatus>& connected,
                         const snapshot::Snapshot* snapshot);

 private:
  std::mutex mutex_;
  std::map<std::string, resource::Node> seen_;  // by address: one instance has it at a time
};

}  // namespace graymesh::api
