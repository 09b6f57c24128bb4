// Which hosts a Gateway's server leaves to a VirtualService.
#include <algorithm>
#include <cctype>

#include "control/snapshot/snapshot.h"

namespace graymesh::snapshot {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

// Whether a server's host is for VirtualServices of this namespace.
bool is_for(std::string_view text, const GatewayServers& gateway, const std::string& namespace_) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return true;
  const std::string_view wanted = text.substr(0, slash);
  return wanted == "*" || namespace_ == (wanted == "." ? gateway.origin.namespace_ : wanted);
}

}  // namespace

std::string server_host(std::string_view text) {
  const auto slash = text.find('/');
  return lower(slash == std::string_view::npos ? text : text.substr(slash + 1));
}

std::set<std::string> common_hosts(const model::GatewayServer& server,
                                   const GatewayServers& gateway, const VirtualService& service) {
  std::set<std::string> out;
  for (const auto& text : server.hosts) {
    if (!is_for(text, gateway, service.origin.namespace_)) continue;
    std::string allowed = server_host(text);
    for (const auto& host : service.spec.hosts) {
      std::string wanted = lower(host);
      if (model::host_matches(wanted, allowed)) {
        out.insert(allowed);
      } else if (model::host_matches(allowed, wanted)) {
        out.insert(std::move(wanted));
      }
    }
  }
  return out;
}

}  // namespace graymesh::snapshot
