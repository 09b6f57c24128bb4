// What goes on now, of the proxies that are connected here: for the API, and for the analyses of
// releases.
#pragma once

#include <mutex>
#include <set>
#include <vector>

#include "api/api.h"
#include "control/gather/gather.h"
#include "control/traffic/traffic.h"
#include "control/xds/xds.h"
#include "release/analysis/analysis.h"

namespace graymesh {

class Live final : public release::Figures {
 public:
  // All three outlive it.
  Live(const traffic::Table& table, metrics::Registry& metrics, const Clock& clock);

  traffic::Listener listener();
  // Begins to ask the proxies of `server`; null: stops.
  void serve(const xds::Server* server);
  api::LiveParts parts(bool told);  // told: proxies tell of requests

  live::Tally of(const release::Name& application) override;
  void keep(const std::set<release::Name>& applications) override;

 private:
  std::vector<gather::Proxy> proxies() const;

  const traffic::Table& table_;
  mutable std::mutex mutex_;
  const xds::Server* server_ = nullptr;
  gather::Calls calls_;
  gather::Taps taps_;
  gather::Gatherer gatherer_;
};

}  // namespace graymesh
