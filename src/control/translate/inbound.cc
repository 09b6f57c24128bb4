#include "control/translate/inbound.h"

#include <algorithm>
#include <charconv>

namespace graymesh::translate {
namespace {

// Where the application listens when nothing is redirected.
std::string application(const InboundScope& scope) {
  return scope.app_address.empty() ? localhost(scope.family) : scope.app_address;
}

std::vector<InboundPort> service_ports(const InboundScope& scope) {
  std::vector<InboundPort> ports;
  for (const auto& inbound : scope.ports) {
    const snapshot::Port& port = inbound.service->ports[inbound.port];
    const auto same = std::find_if(ports.begin(), ports.end(), [&](const InboundPort& p) {
      return p.port == inbound.target_port;
    });
    if (same != ports.end()) {
      if (same->service_port == port.number &&
          same->services.back()->host != inbound.service->host) {
        same->services.push_back(inbound.service);
      }
      continue;
    }
    InboundPort made;
    made.port = inbound.target_port;
    made.protocol = port.protocol;
    made.service_port = port.number;
    made.host = inbound.service->host;
    made.services = {inbound.service};
    made.rule = inbound.rule;
    if (scope.captured) {
      made.from_proxy = true;
    } else {
      made.listens = true;
      made.bind = scope.address;
      made.to_address = application(scope);
      made.to_port = inbound.target_port;
      // The application holds the very address that we would bind: its clients reach it directly.
      if (made.bind.empty() || made.bind == made.to_address) continue;
    }
    ports.push_back(std::move(made));
  }
  return ports;
}

// "127.0.0.1:8080" and the like, as a Sidecar writes where the application listens.
void set_default_endpoint(const InboundScope& scope, std::string_view text, InboundPort& out) {
  if (text.starts_with("unix://")) {
    out.to_address = text;
    return;
  }
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    out.from_proxy = scope.captured;
    if (!scope.captured) out.to_address = application(scope), out.to_port = out.port;
    return;
  }
  auto address = text.substr(0, colon);
  std::from_chars(text.data() + colon + 1, text.data() + text.size(), out.to_port);
  if (address.starts_with('[')) address = address.substr(1, address.size() - 2);
  if (address == any_address(Family::v4) && scope.captured && scope.family == Family::v6) {
    // As istiod: it has no IPv4 address of its own.
    out.to_address = localhost(Family::v4);
  } else if (is_any_address(address)) {
    out.to_address = scope.captured ? scope.address : application(scope);
    out.from_proxy = scope.captured;
  } else {
    // As istiod: the localhost that there is, whichever is written.
    out.to_address = is_loopback(address) ? localhost(scope.family) : address;
  }
}

std::vector<InboundPort> ingress_ports(const InboundScope& scope) {
  std::vector<InboundPort> ports;
  for (const auto& ingress : scope.sidecar->ingress) {
    InboundPort made;
    made.port = ingress.port.number;
    made.protocol = snapshot::protocol_named(ingress.port.protocol);
    made.service_port = ingress.port.number;
    made.host = scope.namespace_;
    made.listens = !scope.captured || ingress.capture_mode == model::CaptureMode::none;
    if (made.listens) {
      made.bind = ingress.bind;
      if (made.bind.empty())
        made.bind =
            scope.captured || scope.address.empty() ? any_address(scope.family) : scope.address;
    }
    set_default_endpoint(scope, ingress.default_endpoint, made);
    if (made.listens && made.to_address.empty())
      made.to_address = application(scope), made.to_port = made.port;
    if (made.listens && made.bind == made.to_address && made.port == made.to_port) continue;
    ports.push_back(std::move(made));
  }
  return ports;
}

}  // namespace

std::vector<InboundPort> inbound_ports(const InboundScope& scope) {
  const bool ingress = scope.sidecar && !scope.sidecar->ingress.empty();
  auto ports = ingress ? ingress_ports(scope) : service_ports(scope);
  std::stable_sort(ports.begin(), ports.end(),
                   [](const auto& a, const auto& b) { return a.port < b.port; });
  ports.erase(std::unique(ports.begin(), ports.end(),
                          [](const auto& a, const auto& b) { return a.port == b.port; }),
              ports.end());
  return ports;
}

}  // namespace graymesh::translate
