// What has influence on a translation, and nothing else: equal scopes give equal bytes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "control/snapshot/snapshot.h"
#include "control/translate/ip.h"

namespace graymesh::translate {

// Where localities are seen from: of a proxy's place and labels what some rule compares, and
// nothing else.
struct Vantage {
  snapshot::Locality locality;
  model::Labels labels;  // also those that Istio adds: region, zone, network, node, ...

  bool operator==(const Vantage&) const = default;
};

// How a proxy takes connections, as its metadata says. Only listeners differ by it.
struct Manner {
  bool tells_lanes = false;                     // HTTP listeners log requests of lanes to us (13.5)
  bool counts_requests = false;                 // HTTP listeners count requests under Istio's names
  bool http10 = false;                          // HTTP/1.0 is taken, too
  std::optional<model::Duration> idle_timeout;  // of connections that no rule says more of
};

// Outbound side of the sidecars of one View.
struct OutboundScope {
  snapshot::SnapshotPtr snapshot;
  snapshot::ViewPtr view;
  // True: traffic is redirected to 15001 (INTERCEPTION_MODE REDIRECT or TPROXY), and outbound
  // listeners do not bind. False (NONE): they bind on `bind`, and nothing may rely on an original
  // destination.
  bool captured = true;
  Family family = Family::v4;
  // Of explicit listeners: the instance's own loopback address if it has one, else its family's.
  std::string bind = "127.0.0.1";
  // The proxies have loopback addresses of their own, which their bootstrap makes the source of
  // every connection (src/sidecar/bootstrap.cc): good for peers on loopback, and for nobody else.
  bool on_loopback = false;
  // Ports of `bind` that the application, its inbound listeners or the proxy's own pages have: an
  // outbound listener there would not come up, and Envoy would refuse it. Sorted.
  std::vector<std::uint32_t> taken_ports;
  std::uint32_t http_proxy_port = 0;  // of the explicit HTTP proxy listener; 0: none
  bool transparent = false;           // TPROXY: connections keep their addresses
  std::uint32_t lowest_port = 1;      // that the proxy may bind: 1024 for an unprivileged one
  model::Labels labels;               // of the proxies; empty unless view->source_labels_matter
  Vantage vantage;                    // of the proxies, for EDS
  Vantage dns_vantage;                // likewise, for endpoints that are part of their clusters
  std::string lane;  // what listeners stamp on requests that have no lane; empty: nothing
  Manner manner;
  bool vhds = false;  // virtual hosts come one by one
};

// Inbound side of the workloads that serve the same ports in the same way.
struct InboundScope {
  snapshot::SnapshotPtr snapshot;
  std::string namespace_;
  std::vector<snapshot::Inbound> ports;
  std::shared_ptr<const model::Sidecar> sidecar;  // its `ingress` replaces `ports`; may be null
  bool captured = true;
  bool transparent = false;
  std::uint32_t lowest_port = 1;
  std::string address;      // the instance's; empty if captured and nothing depends on it
  std::string app_address;  // where the application listens; empty: localhost (NONE), the instance
                            // itself (captured)
  Family family = Family::v4;
  Manner manner;
};

struct GatewayScope {
  snapshot::SnapshotPtr snapshot;
  snapshot::GatewayViewPtr view;
  Family family = Family::v4;
  std::string bind = "0.0.0.0";  // the instance's own loopback address if it has one, else any
  bool on_loopback = false;      // as in OutboundScope; told by `bind`
  std::uint32_t lowest_port = 1;
  model::Labels labels;  // of the gateway; empty unless view->source_labels_matter
  Vantage vantage;       // as in OutboundScope
  Vantage dns_vantage;
  Manner manner;
  bool vhds = false;  // as in OutboundScope
};

// `manner` in a scope's text or a MemoKey.
std::string text_of(const Manner& manner);

}  // namespace graymesh::translate
