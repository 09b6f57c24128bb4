// TLS that a listener terminates (docs/translation.md 6.6). Certificates are files beside the
// proxy.
#include "control/translate/listener.h"
#include "control/translate/wire.h"
#include "envoy/config/listener/v3/listener_components.pb.h"
#include "envoy/extensions/transport_sockets/tls/v3/tls.pb.h"

namespace graymesh::translate {
namespace {

using envoy::extensions::transport_sockets::tls::v3::CertificateValidationContext;
using envoy::extensions::transport_sockets::tls::v3::CommonTlsContext;
using envoy::extensions::transport_sockets::tls::v3::DownstreamTlsContext;
using envoy::extensions::transport_sockets::tls::v3::SubjectAltNameMatcher;
using envoy::extensions::transport_sockets::tls::v3::TlsParameters;

TlsParameters::TlsProtocol version_of(model::ServerTls::Protocol version) {
  using Protocol = model::ServerTls::Protocol;
  switch (version) {
    case Protocol::tls1_0:
      return TlsParameters::TLSv1_0;
    case Protocol::tls1_1:
      return TlsParameters::TLSv1_1;
    case Protocol::tls1_2:
      return TlsParameters::TLSv1_2;
    case Protocol::tls1_3:
      return TlsParameters::TLSv1_3;
    case Protocol::automatic:
      break;
  }
  return TlsParameters::TLS_AUTO;
}

void set_parameters(const model::ServerTls& tls, TlsParameters& out) {
  out.set_tls_minimum_protocol_version(version_of(tls.min_version));
  out.set_tls_maximum_protocol_version(version_of(tls.max_version));
  for (const auto& suite : tls.cipher_suites) out.add_cipher_suites(suite);
  for (const auto& curve : tls.ecdh_curves) out.add_ecdh_curves(curve);
}

void set_client_validation(const model::ServerTls& tls, CertificateValidationContext& out) {
  if (!tls.ca_certificates.empty()) out.mutable_trusted_ca()->set_filename(tls.ca_certificates);
  if (!tls.ca_crl.empty()) out.mutable_crl()->set_filename(tls.ca_crl);
  for (const auto& hash : tls.verify_certificate_hash) out.add_verify_certificate_hash(hash);
  for (const auto& spki : tls.verify_certificate_spki) out.add_verify_certificate_spki(spki);
  for (const auto& name : tls.subject_alt_names) {
    for (const auto type : {SubjectAltNameMatcher::DNS, SubjectAltNameMatcher::URI}) {
      auto& matcher = *out.add_match_typed_subject_alt_names();
      matcher.set_san_type(type);
      matcher.mutable_matcher()->set_exact(name);
    }
  }
}

}  // namespace

bool set_server_tls(const model::ServerTls& tls, envoy::config::listener::v3::FilterChain& out) {
  using Mode = model::ServerTls::Mode;
  if (tls.server_certificate.empty() || tls.private_key.empty()) return false;
  DownstreamTlsContext context;
  CommonTlsContext& common = *context.mutable_common_tls_context();
  set_parameters(tls, *common.mutable_tls_params());
  for (const auto& protocol : tls.alpn_protocols) common.add_alpn_protocols(protocol);
  if (tls.alpn_protocols.empty()) {
    common.add_alpn_protocols("h2");
    common.add_alpn_protocols("http/1.1");
  }
  auto& certificate = *common.add_tls_certificates();
  certificate.mutable_certificate_chain()->set_filename(tls.server_certificate);
  certificate.mutable_private_key()->set_filename(tls.private_key);
  const bool asks_client = tls.mode == Mode::mutual || tls.mode == Mode::optional_mutual;
  if (asks_client) {
    set_client_validation(tls, *common.mutable_validation_context());
    context.mutable_require_client_certificate()->set_value(tls.mode == Mode::mutual);
  }
  auto& socket = *out.mutable_transport_socket();
  socket.set_name("envoy.transport_sockets.tls");
  pack(context, *socket.mutable_typed_config());
  return true;
}

}  // namespace graymesh::translate
