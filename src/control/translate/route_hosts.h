// Inside the room: the virtual hosts of a route configuration as plain values, before any is made:
// which host is whose, by which names it is called, and whose routes it has
// (docs/translation.md 4.2). Envoy refuses a whole table in which one domain stands twice, so that
// is settled here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "control/snapshot/snapshot.h"
#include "control/translate/parts.h"
#include "control/translate/route_parts.h"

namespace graymesh::translate {

std::string lower(std::string_view text);

// How the names of a host are written.
enum class Ports : std::uint8_t {
  left_out,  // Envoy strips the port off a request's Host before it looks
  written,   // http_proxy: "web:8080" is another host than "web:80", and "web" is the latter
};

struct Domain {
  std::string name;
  bool short_form = false;  // yields where another service has this as its full name
};

// The names by which clients of `namespace_` call the service's `port`, the full one first.
std::vector<Domain> domains_of(const snapshot::Service& service, std::uint32_t port,
                               std::string_view namespace_, Ports ports);
// Those of a host that is no service.
std::vector<Domain> domains_of(std::string_view host, std::uint32_t port, Ports ports);

// Gives each domain and each virtual host's name to whoever asks first.
class Claims {
 public:
  bool claim_name(const std::string& name) { return names_.insert(lower(name)).second; }
  void add_full_name(std::string name) { full_names_.insert(std::move(name)); }
  // Those of `domains` that are still free, which are taken from now on.
  std::vector<std::string> claim(std::vector<Domain> domains);

 private:
  std::unordered_set<std::string> names_;
  std::unordered_set<std::string> domains_;  // in lower case, as Envoy compares them
  std::unordered_set<std::string> full_names_;
};

struct HostPlan {
  std::string name;                  // "web.shop.svc.cluster.local:8080"
  std::vector<std::string> domains;  // at least one
  std::uint32_t port = 0;
  const snapshot::VirtualServicePtr* rule = nullptr;  // null: the service's default route
  const snapshot::SeenService* service = nullptr;     // null for a host that is no service
};

// In order of precedence, without the one that catches all.
std::vector<HostPlan> plan_hosts(const RouteTable& table, const OutboundScope& scope,
                                 const Lookup& services);

}  // namespace graymesh::translate
