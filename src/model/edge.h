// The nouns at the edge and of scope: Istio's Gateway and Sidecar.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/meta.h"

namespace graymesh::model {

struct ServerTls {
  enum class Mode : std::uint8_t {
    passthrough,
    simple,
    mutual,
    auto_passthrough,
    istio_mutual,
    optional_mutual
  };
  enum class Protocol : std::uint8_t { automatic, tls1_0, tls1_1, tls1_2, tls1_3 };
  bool https_redirect = false;
  Mode mode = Mode::passthrough;
  std::string server_certificate;
  std::string private_key;
  std::string ca_certificates;
  std::string ca_crl;
  std::string credential_name;
  std::vector<std::string> credential_names;
  std::vector<std::string> subject_alt_names;
  std::vector<std::string> verify_certificate_spki;
  std::vector<std::string> verify_certificate_hash;
  Protocol min_version = Protocol::automatic;
  Protocol max_version = Protocol::automatic;
  std::vector<std::string> cipher_suites;
  std::vector<std::string> ecdh_curves;     // in BoringSSL's names
  std::vector<std::string> alpn_protocols;  // empty: by the protocol of the server

  bool operator==(const ServerTls&) const = default;
};

struct GatewayServer {
  std::uint32_t port = 0;
  std::string protocol;  // HTTP, HTTPS, GRPC, GRPC-WEB, HTTP2, MONGO, TCP, TLS
  std::string port_name;
  std::string bind;
  std::vector<std::string> hosts;  // as written: "ns/host", "./host", "*/host", "host"
  std::optional<ServerTls> tls;
  std::string name;
  Position position;

  bool operator==(const GatewayServer&) const = default;
};

struct Gateway {
  std::vector<GatewayServer> servers;
  Labels selector;  // empty: every gateway workload

  bool operator==(const Gateway&) const = default;
};

enum class CaptureMode : std::uint8_t { default_, iptables, none };

struct SidecarPort {
  std::uint32_t number = 0;  // 0: no port given
  std::string protocol;
  std::string name;

  bool operator==(const SidecarPort&) const = default;
};

struct IngressListener {
  SidecarPort port;
  std::string bind;
  CaptureMode capture_mode = CaptureMode::default_;
  std::string default_endpoint;  // "127.0.0.1:8080", "0.0.0.0:8080", "unix:///path"; empty: the pod
  std::optional<ServerTls> tls;

  bool operator==(const IngressListener&) const = default;
};

struct EgressListener {
  std::optional<SidecarPort> port;
  std::string bind;
  CaptureMode capture_mode = CaptureMode::default_;
  std::vector<std::string> hosts;  // "ns/host", "./host", "*/host", "~/*"

  bool operator==(const EgressListener&) const = default;
};

enum class OutboundTraffic : std::uint8_t { registry_only, allow_any };

struct Sidecar {
  Labels workload_selector;  // empty: the namespace's default
  std::vector<IngressListener> ingress;
  std::vector<EgressListener> egress;
  std::optional<OutboundTraffic> outbound_traffic;

  bool operator==(const Sidecar&) const = default;
};

}  // namespace graymesh::model
