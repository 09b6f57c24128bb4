// Gateway, and the TLS settings of its servers (which a Sidecar's ingress has too).
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <set>

#include "model/kinds.h"
#include "model/rules.h"
#include "model/rules_text.h"

namespace graymesh::model {
namespace {

using Mode = ServerTls::Mode;

constexpr std::string_view unix_prefix = "unix://";
// Certificates come from files; there is no secret discovery.
constexpr std::string_view not_served =
    "is accepted but not supported yet: the server is not served";

// Envoy refuses the listener for any other; a pin that is dropped would let strangers in.
std::string_view check_spki_hash(std::string_view text) {
  constexpr std::string_view rule = "must be a SHA-256 in base64: 43 characters and '='";
  if (text.size() != 44 || text.back() != '=') return rule;
  text.remove_suffix(1);
  const bool base64 = std::all_of(text.begin(), text.end(), [](char c) {
    return rules::is_alphanumeric(c) || c == '+' || c == '/';
  });
  // 32 bytes are 42 characters and 4 bits: the last two are 0.
  constexpr std::string_view last = "AEIMQUYcgkosw048";
  return base64 && last.find(text.back()) != std::string_view::npos ? "" : rule;
}

// RFC 7301 3.1; Envoy's list is parted by commas.
std::string_view check_alpn(std::string_view text) {
  const bool one = !text.empty() && text.size() < 256 && text.find(',') == std::string_view::npos;
  return one ? "" : "must be the name of one protocol, of up to 255 bytes, without a comma";
}

std::string_view check_certificate_hash(std::string_view text) {
  constexpr std::string_view rule =
      "must be a SHA-256 in hex: 64 digits, or 32 pairs with ':' between";
  constexpr std::size_t plain = 64, paired = 95;
  if (text.size() != plain && text.size() != paired) return rule;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool colon = text.size() == paired && i % 3 == 2;
    const char c = rules::to_lower(text[i]);
    const bool hex = rules::is_digit(c) || (c >= 'a' && c <= 'f');
    if (colon ? c != ':' : !hex) return rule;
  }
  return "";
}

void check_istio_mutual(Fields& f) {
  for (const std::string_view name : {"serverCertificate", "privateKey", "caCertificates",
                                      "tlsCertificates", "credentialName", "credentialNames"}) {
    if (f.has(name)) f.error(name, "must not be there for ISTIO_MUTUAL");
  }
}

void check_server_tls(Fields& f, const ServerTls& tls) {
  if (tls.mode == Mode::istio_mutual) return check_istio_mutual(f);
  const bool files = !tls.server_certificate.empty() && !tls.private_key.empty();
  const bool named = !tls.credential_name.empty() || !tls.credential_names.empty();
  const int sources = (files ? 1 : 0) + (tls.credential_name.empty() ? 0 : 1) +
                      (tls.credential_names.empty() ? 0 : 1) + (f.has("tlsCertificates") ? 1 : 0);
  if (sources > 1)
    f.error({},
            "must have one of credentialName, credentialNames, serverCertificate with privateKey, "
            "or tlsCertificates");
  const bool terminates =
      tls.mode == Mode::simple || tls.mode == Mode::mutual || tls.mode == Mode::optional_mutual;
  if (!terminates && (sources > 0 || !tls.ca_certificates.empty() || !tls.ca_crl.empty()))
    f.warn({}, "has certificates that its mode does not use");
  for (const std::string_view name : {"credentialName", "credentialNames", "tlsCertificates"}) {
    if (terminates && f.has(name)) f.warn(name, not_served);
  }
  if (terminates && !named) {
    if (tls.mode != Mode::simple && tls.ca_certificates.empty())
      f.error("caCertificates", "is required to check clients' certificates");
    if (!f.has("tlsCertificates")) {
      if (tls.server_certificate.empty())
        f.error("serverCertificate", "is required, or credentialName");
      if (tls.private_key.empty()) f.error("privateKey", "is required, or credentialName");
    }
  }
  if (tls.ca_crl.empty()) return;
  if (named) f.error("caCrl", "must be in the credential, not beside it");
  if (tls.mode == Mode::simple) f.error("caCrl", "must not be there for SIMPLE");
}

void read_port(Fields& f, const std::string& bind, GatewayServer& out) {
  f.number("number", out.port, {0, 65535});
  if (f.require("protocol"))
    f.text("protocol", out.protocol, [](std::string_view text) {
      return text.empty() ? "must not be empty" : check_protocol(text);
    });
  if (f.require("name")) f.text("name", out.port_name, check_not_empty);
  std::uint32_t target = 0;
  f.number("targetPort", target);
  if (target > 0) f.error("targetPort", "must not be there: a gateway has no use for it");
  const bool socket = bind.starts_with(unix_prefix);
  if (socket && out.port != 0) f.error("number", "must be 0 for a socket");
  if (!socket && out.port == 0) f.error("number", "must be 1 to 65535");
}

void check_tls_fits(Fields& f, const GatewayServer& server) {
  const bool tls_protocol = is_tls_protocol(server.protocol);
  if (tls_protocol && !server.tls)
    f.error("tls", fmt::format("is required by protocol {}", server.protocol));
  if (tls_protocol || !server.tls) return;
  if (!is_http_protocol(server.protocol)) {
    f.error("tls", fmt::format("must not be there for protocol {}", server.protocol));
    return;
  }
  // Plain HTTP has TLS settings only to redirect to HTTPS.
  const ServerTls& tls = *server.tls;
  const bool passes = tls.mode == Mode::passthrough || tls.mode == Mode::auto_passthrough;
  if (!passes || !tls.ca_certificates.empty() || !tls.private_key.empty() ||
      !tls.server_certificate.empty()) {
    f.error("tls", fmt::format("must have only httpsRedirect for protocol {}", server.protocol));
  }
}

void read_server(Fields& f, GatewayServer& out) {
  out.position = f.position();
  f.text("bind", out.bind, [](std::string_view text) -> std::string_view {
    if (text.starts_with(unix_prefix)) return check_unix_path(text.substr(unix_prefix.size()));
    return text.empty() ? "" : check_ip(text);
  });
  f.require("port");
  f.visit("port", [&](Fields& port) { read_port(port, out.bind, out); });
  f.texts("hosts", out.hosts, check_gateway_host);
  if (out.hosts.empty()) f.error("hosts", "must have at least one host");
  f.object("tls", out.tls, read_server_tls);
  f.without_effect({"defaultEndpoint"});
  f.text("name", out.name);
  if (!out.protocol.empty()) check_tls_fits(f, out);
  if (out.tls && out.tls->https_redirect && !is_http_protocol(out.protocol))
    f.warn("tls", "has httpsRedirect, which is for HTTP only");
}

void check_names(Fields& f) {
  std::set<std::string_view> names;
  const Element* servers = f.find("servers");
  for (const Element* server = servers != nullptr && servers->is_sequence() ? servers->first
                                                                            : nullptr;
       server != nullptr; server = server->next) {
    const Element* port = server->find("port");
    const Element* name = port != nullptr ? port->find("name") : nullptr;
    if (name != nullptr && name->is_scalar() && !name->text.empty() &&
        !names.insert(name->text).second)
      f.reading().error(*name, {}, "must be unique among the servers");
  }
}

}  // namespace

void read_server_tls(Fields& f, ServerTls& out) {
  using Protocol = ServerTls::Protocol;
  const auto version = [&](std::string_view name, Protocol& to) {
    f.choice<Protocol>(name, to,
                       {{"TLS_AUTO", Protocol::automatic},
                        {"TLSV1_0", Protocol::tls1_0},
                        {"TLSV1_1", Protocol::tls1_1},
                        {"TLSV1_2", Protocol::tls1_2},
                        {"TLSV1_3", Protocol::tls1_3}});
  };
  f.flag("httpsRedirect", out.https_redirect);
  f.choice<Mode>("mode", out.mode,
                 {{"PASSTHROUGH", Mode::passthrough},
                  {"SIMPLE", Mode::simple},
                  {"MUTUAL", Mode::mutual},
                  {"AUTO_PASSTHROUGH", Mode::auto_passthrough},
                  {"ISTIO_MUTUAL", Mode::istio_mutual},
                  {"OPTIONAL_MUTUAL", Mode::optional_mutual}});
  if (out.mode == Mode::auto_passthrough)
    f.warn("mode", "is accepted but not supported yet: no effect");
  if (out.mode == Mode::istio_mutual) f.warn("mode", not_served);
  f.text("serverCertificate", out.server_certificate);
  f.text("privateKey", out.private_key);
  f.text("caCertificates", out.ca_certificates);
  f.text("caCrl", out.ca_crl);
  f.text("credentialName", out.credential_name);
  f.texts("credentialNames", out.credential_names);
  f.texts("subjectAltNames", out.subject_alt_names);
  f.texts("verifyCertificateSpki", out.verify_certificate_spki, check_spki_hash);
  f.texts("verifyCertificateHash", out.verify_certificate_hash, check_certificate_hash);
  version("minProtocolVersion", out.min_version);
  version("maxProtocolVersion", out.max_version);
  read_cipher_suites(f, out.cipher_suites);
  read_ecdh_curves(f, out.ecdh_curves);
  f.texts("alpnProtocols", out.alpn_protocols, check_alpn);
  const bool old = out.min_version == Protocol::tls1_0 || out.min_version == Protocol::tls1_1;
  if (old && out.cipher_suites.empty())
    f.warn("minProtocolVersion", "needs cipherSuites: Envoy's own have none for TLS below 1.2");
  f.without_effect({"caCertCredentialName", "insecureSkipVerify"});
  f.known({"tlsCertificates"});
  check_server_tls(f, out);
}

void read_gateway(Fields& f, Gateway& out) {
  f.list("servers", out.servers, read_server);
  if (!f.has("servers") || out.servers.empty()) f.error("servers", "must have at least one server");
  f.text_map("selector", out.selector);
  check_names(f);
}

}  // namespace graymesh::model
