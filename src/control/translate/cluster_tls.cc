// What wraps the bytes to a cluster's endpoints: TLS and the PROXY protocol, as a DestinationRule
// asks for them (docs/translation.md 2.5, 2.10).
//
// Certificates are files beside the proxy. A credentialName (a Kubernetes Secret) needs secret
// discovery, which is a later step: until then the connection is made without the client's
// certificate and checked against the system's authorities, so that it fails rather than leaks.
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include "control/translate/cluster.h"
#include "control/translate/wire.h"
#include "envoy/config/cluster/v3/cluster.pb.h"
#include "envoy/config/core/v3/proxy_protocol.pb.h"
#include "envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer.pb.h"
#include "envoy/extensions/transport_sockets/tls/v3/tls.pb.h"

namespace graymesh::translate {
namespace {

using envoy::config::cluster::v3::Cluster;
using envoy::extensions::transport_sockets::tls::v3::CertificateValidationContext;
using envoy::extensions::transport_sockets::tls::v3::TlsParameters;
using envoy::extensions::transport_sockets::tls::v3::UpstreamTlsContext;

constexpr const char* system_authorities = "/etc/ssl/certs/ca-certificates.crt";

void set_validation(const ClusterInput& input, const model::ClientTls& tls,
                    CertificateValidationContext& out) {
  if (tls.insecure_skip_verify.value_or(false)) return;
  const bool given = !tls.ca_certificates.empty() && tls.ca_certificates != "system";
  out.mutable_trusted_ca()->set_filename(given ? tls.ca_certificates : system_authorities);
  if (!tls.ca_crl.empty()) out.mutable_crl()->set_filename(tls.ca_crl);
  const auto& names =
      tls.subject_alt_names.empty() ? input.service.subject_alt_names : tls.subject_alt_names;
  using envoy::extensions::transport_sockets::tls::v3::SubjectAltNameMatcher;
  for (const auto& name : names) {
    // A name may be a DNS name or a URI (SPIFFE); Istio does not say which.
    for (const auto type : {SubjectAltNameMatcher::DNS, SubjectAltNameMatcher::URI}) {
      auto& matcher = *out.add_match_typed_subject_alt_names();
      matcher.set_san_type(type);
      matcher.mutable_matcher()->set_exact(name);
    }
  }
}

void set_tls(const ClusterInput& input, Cluster& out) {
  using Mode = model::ClientTls::Mode;
  const auto* tls = input.policy.tls;
  // ISTIO_MUTUAL needs workload certificates: plaintext until there are some.
  if (!tls || tls->mode == Mode::disable || tls->mode == Mode::istio_mutual) return;
  const bool has_certificate = !tls->client_certificate.empty() && !tls->private_key.empty();
  // As Istio: a sidecar reads no Secrets, and MUTUAL without its files is no TLS at all.
  if (!tls->credential_name.empty() && input.client != Client::gateway) return;
  if (tls->mode == Mode::mutual && !has_certificate && tls->credential_name.empty()) return;

  UpstreamTlsContext context;
  context.set_sni(tls->sni);
  auto& common = *context.mutable_common_tls_context();
  common.mutable_tls_params()->set_tls_minimum_protocol_version(TlsParameters::TLSv1_2);
  common.mutable_tls_params()->set_tls_maximum_protocol_version(TlsParameters::TLSv1_3);
  if (snapshot::is_http2(input.port.protocol)) common.add_alpn_protocols("h2");
  if (has_certificate) {
    auto& certificate = *common.add_tls_certificates();
    certificate.mutable_certificate_chain()->set_filename(tls->client_certificate);
    certificate.mutable_private_key()->set_filename(tls->private_key);
  }
  set_validation(input, *tls, *common.mutable_validation_context());

  auto& socket = *out.mutable_transport_socket();
  socket.set_name("envoy.transport_sockets.tls");
  pack(context, *socket.mutable_typed_config());
}

// ProxyProtocolUpstreamTransport {config = 1, transport_socket = 2}: the one message of its
// package, which we do not generate.
void set_proxy_protocol(const model::ProxyProtocol& protocol, Cluster& out) {
  using envoy::config::core::v3::ProxyProtocolConfig;
  ProxyProtocolConfig config;
  config.set_version(protocol.version == 2 ? ProxyProtocolConfig::V2 : ProxyProtocolConfig::V1);
  envoy::config::core::v3::TransportSocket inner;
  if (out.has_transport_socket()) {
    inner = out.transport_socket();
  } else {
    inner.set_name("envoy.transport_sockets.raw_buffer");
    pack(envoy::extensions::transport_sockets::raw_buffer::v3::RawBuffer(),
         *inner.mutable_typed_config());
  }
  auto& socket = *out.mutable_transport_socket();
  socket.Clear();
  socket.set_name("envoy.transport_sockets.upstream_proxy_protocol");
  auto& any = *socket.mutable_typed_config();
  any.set_type_url(
      "type.googleapis.com/"
      "envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport");
  google::protobuf::io::StringOutputStream stream(any.mutable_value());
  google::protobuf::io::CodedOutputStream coded(&stream);
  for (const auto& [number, bytes] :
       {std::pair{1u, serialize(config)}, std::pair{2u, serialize(inner)}}) {
    coded.WriteTag(number << 3 | 2);
    coded.WriteVarint32(static_cast<std::uint32_t>(bytes.size()));
    coded.WriteString(bytes);
  }
}

}  // namespace

void set_transport(const ClusterInput& input, Cluster& out) {
  set_tls(input, out);
  if (input.policy.proxy_protocol) set_proxy_protocol(*input.policy.proxy_protocol, out);
}

}  // namespace graymesh::translate
