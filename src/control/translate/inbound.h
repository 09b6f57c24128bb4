// Inside the room: the ports on which a workload is reached, decided once for clusters and
// listeners.
#pragma once

#include <string>
#include <vector>

#include "control/translate/scope.h"

namespace graymesh::translate {

struct InboundPort {
  std::uint32_t port = 0;  // where the proxy takes the connection; names the cluster
  snapshot::Protocol protocol = snapshot::Protocol::automatic;
  std::uint32_t service_port = 0;
  std::string host;  // of the service
  std::vector<snapshot::ServicePtr>
      services;                       // that share this port; none with a Sidecar's ingress
  snapshot::DestinationRulePtr rule;  // may be null

  bool listens = false;  // a listener of its own on `bind`; else a part of virtualInbound
  std::string bind;
  // The application: an IP or "unix:///path"; empty: the connection's original destination.
  std::string to_address;
  std::uint32_t to_port = 0;
  bool from_proxy = false;  // connect from proxy_source(), so that a redirect lets it pass
};

// By port, ascending. Of several services on one target port the first decides.
//
// Without a redirect Istio makes nothing inbound (unless a Sidecar says so); we bind the instance's
// own address, if the application listens on another one: docs/translation.md 5.7.
std::vector<InboundPort> inbound_ports(const InboundScope& scope);

}  // namespace graymesh::translate
