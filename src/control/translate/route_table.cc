// Which route configurations a scope's listeners name (docs/translation.md 4.1, 5.3).
#include <algorithm>
#include <set>

#include "control/translate/parts.h"

namespace graymesh::translate {
namespace {

using snapshot::Egress;
using snapshot::Protocol;

bool is_socket(const Egress& egress) { return egress.bind.starts_with("unix://"); }

// Sniffed ports of a service with addresses of its own have a listener of their own, and so a
// table.
struct Addresses {
  bool own = false;     // virtual IPs, or pods that are asked for by name
  bool shared = false;  // whatever address it is: 0.0.0.0, or a range of addresses
};

Addresses addresses_of(const Egress& egress, const snapshot::Service& service) {
  if (!egress.bind.empty()) return {.own = true};
  Addresses out;
  for (const auto& address : service.addresses) {
    (address.find('/') == std::string::npos ? out.own : out.shared) = true;
  }
  if (service.addresses.empty()) (service.headless ? out.own : out.shared) = true;
  return out;
}

class Tables {
 public:
  explicit Tables(const OutboundScope& scope) : scope_(scope) {}

  void add(const Egress& egress) {
    const auto protocol =
        egress.port ? snapshot::protocol_named(egress.port->protocol) : Protocol::automatic;
    if (is_socket(egress)) return put(egress.bind, 0, egress, nullptr);
    if (egress.port && snapshot::is_http(protocol)) {
      const std::uint32_t number = egress.port->number;
      return put(std::to_string(number), protocol == Protocol::http_proxy ? 0 : number, egress,
                 nullptr);
    }
    const bool bound = !scope_.captured || egress.capture_mode == model::CaptureMode::none;
    for (const auto& seen : egress.services) {
      for (const auto& port : seen.service->ports) {
        if (egress.port && egress.port->number != port.number) continue;
        add(egress, *seen.service, port, bound);
      }
    }
  }

  // The proxy takes requests to all ports, for the services of the listener that takes all ports.
  void add_proxy() {
    const auto& all = scope_.view->egress;
    const auto whole =
        std::find_if(all.begin(), all.end(), [](const Egress& egress) { return !egress.port; });
    found_.push_back({.name = "http_proxy",
                      .port = 0,
                      .egress = whole == all.end() ? nullptr : &*whole,
                      .only = nullptr});
  }

  std::vector<RouteTable> take() { return std::move(found_); }

 private:
  void add(const Egress& egress, const snapshot::Service& service, const snapshot::Port& port,
           bool bound) {
    const std::string number = std::to_string(port.number);
    const bool sniffed = port.protocol == Protocol::automatic;
    if (!sniffed && !snapshot::is_http(port.protocol)) return;
    if (!sniffed || bound) return put(number, port.number, egress, nullptr);
    const Addresses addresses = addresses_of(egress, service);
    if (addresses.shared) put(number, port.number, egress, nullptr);
    if (addresses.own) put(service.host + ":" + number, port.number, egress, &service);
  }

  // The first listener that has a port keeps it: those with a port of their own come first.
  void put(std::string name, std::uint32_t port, const Egress& egress,
           const snapshot::Service* only) {
    if (!names_.insert(name).second) return;
    found_.push_back({.name = std::move(name), .port = port, .egress = &egress, .only = only});
  }

  const OutboundScope& scope_;
  std::set<std::string> names_;
  std::vector<RouteTable> found_;
};

}  // namespace

std::vector<RouteTable> route_tables(const OutboundScope& scope) {
  Tables tables(scope);
  for (const auto& egress : scope.view->egress) tables.add(egress);
  if (scope.http_proxy_port != 0) tables.add_proxy();
  return tables.take();
}

}  // namespace graymesh::translate
