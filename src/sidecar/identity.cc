// Istio's names for a proxy, made from an Identity.
#include <arpa/inet.h>
#include <fmt/core.h>

#include "sidecar/sidecar.h"

namespace graymesh::sidecar {

std::string workload_of(const Identity& identity) {
  if (!identity.workload.empty()) return identity.workload;
  const auto app = identity.labels.find("app");
  return app == identity.labels.end() ? identity.name : app->second;
}

std::string span_attributes(const Identity& identity) {
  std::string text = fmt::format(
      "service.name={}.{},service.namespace={},service.instance.id={}.{}", workload_of(identity),
      identity.namespace_, identity.namespace_, identity.name, identity.namespace_);
  for (const auto& [key, label] :
       {std::pair{"service.version", "version"}, std::pair{"canarytag", "canarytag"},
        std::pair{"stage", "stage"}}) {
    const auto found = identity.labels.find(label);
    if (found != identity.labels.end() && !found->second.empty())
      text += fmt::format(",{}={}", key, found->second);
  }
  return text;
}

std::string node_id(const Identity& identity) {
  return fmt::format("{}~{}~{}.{}~{}.svc.{}",
                     identity.type == Identity::Type::router ? "router" : "sidecar",
                     identity.address, identity.name, identity.namespace_, identity.namespace_,
                     identity.dns_domain);
}

std::string loopback_twin(std::string_view address) {
  in_addr ip{};
  if (::inet_pton(AF_INET, std::string(address).c_str(), &ip) != 1) return "";
  const std::uint32_t value = ntohl(ip.s_addr);
  const std::uint32_t second = (value >> 16) & 0xff;
  if (value >> 24 != 127 || second >= 64) return "";
  return fmt::format("127.{}.{}.{}", second + 64, (value >> 8) & 0xff, value & 0xff);
}

std::string admin_address(const Identity& identity) {
  const bool loopback = identity.address.starts_with("127.") || identity.address == "::1";
  return loopback ? identity.address : "127.0.0.1";
}

}  // namespace graymesh::sidecar
