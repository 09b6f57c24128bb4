// Which protocol a port speaks (docs/translation.md 1).

#include <array>
#include <cctype>
#include <string>
#include <string_view>
#include <utility>

#include "control/snapshot/snapshot.h"

namespace graymesh::snapshot {
namespace {

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

constexpr std::array<std::pair<std::string_view, Protocol>, 12> words{{
    {"http", Protocol::http},
    {"http2", Protocol::http2},
    {"http_proxy", Protocol::http_proxy},
    {"https", Protocol::https},
    {"grpc", Protocol::grpc},
    {"grpc-web", Protocol::grpc_web},
    {"tcp", Protocol::tcp},
    {"tls", Protocol::tls},
    {"udp", Protocol::udp},
    {"mongo", Protocol::mongo},
    {"redis", Protocol::redis},
    {"mysql", Protocol::mysql},
}};

// A port's name or appProtocol: "http-web" speaks http.
Protocol protocol_of_name(std::string_view name) {
  if (name == "kubernetes.io/h2c") return Protocol::http2;
  if (name == "kubernetes.io/ws") return Protocol::http;
  if (name == "kubernetes.io/wss") return Protocol::https;
  const std::string word = lower(name);
  if (word.starts_with("grpc-web")) return Protocol::grpc_web;
  return protocol_named(std::string_view(word).substr(0, word.find('-')));
}

}  // namespace

bool is_http(Protocol protocol) {
  return is_http2(protocol) || protocol == Protocol::http || protocol == Protocol::http_proxy;
}

bool is_http2(Protocol protocol) {
  return protocol == Protocol::http2 || protocol == Protocol::grpc ||
         protocol == Protocol::grpc_web;
}

bool is_tcp(Protocol protocol) {
  return is_tls(protocol) || protocol == Protocol::tcp || protocol == Protocol::mongo ||
         protocol == Protocol::mysql || protocol == Protocol::redis;
}

bool is_tls(Protocol protocol) { return protocol == Protocol::https || protocol == Protocol::tls; }

Protocol protocol_named(std::string_view word) {
  const std::string wanted = lower(word);
  for (const auto& [name, protocol] : words) {
    if (name == wanted) return protocol;
  }
  return Protocol::automatic;
}

Protocol protocol_of(const model::ServicePort& port) {
  if (port.protocol == "UDP") return Protocol::udp;
  const Protocol named =
      protocol_of_name(port.app_protocol.empty() ? port.name : port.app_protocol);
  if (named != Protocol::automatic) return named;
  // Servers that speak first on their well-known ports; sniffing would hang: SMTP, DNS, MySQL,
  // MongoDB.
  const bool well_known =
      port.port == 25 || port.port == 53 || port.port == 3306 || port.port == 27017;
  return well_known ? Protocol::tcp : Protocol::automatic;
}

}  // namespace graymesh::snapshot
