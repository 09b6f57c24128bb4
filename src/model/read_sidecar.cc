#include <fmt/core.h>

#include <charconv>
#include <set>

#include "model/kinds.h"
#include "model/rules.h"

namespace graymesh::model {
namespace {

constexpr std::string_view unix_prefix = "unix://";

void read_port(Fields& f, SidecarPort& out) {
  f.number("number", out.number, {0, 65535});
  f.text("protocol", out.protocol, check_protocol);
  f.text("name", out.name,
         [](std::string_view text) { return text.empty() ? "" : check_dns_label(text); });
  std::uint32_t target = 0;
  f.number("targetPort", target);
  if (target > 0) f.error("targetPort", "must not be there: a Sidecar has no use for it");
}

void read_capture_mode(Fields& f, CaptureMode& out) {
  f.choice<CaptureMode>("captureMode", out,
                        {{"DEFAULT", CaptureMode::default_},
                         {"IPTABLES", CaptureMode::iptables},
                         {"NONE", CaptureMode::none}});
}

// "127.0.0.1:8080", "[::1]:8080", ":8080", "unix:///path".
std::string_view check_default_endpoint(std::string_view text) {
  constexpr std::string_view rule =
      "must be 127.0.0.1:port, 0.0.0.0:port, [::1]:port, [::]:port or unix:///path";
  if (text.empty()) return {};
  if (text.starts_with(unix_prefix)) return check_unix_path(text.substr(unix_prefix.size()));
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return rule;
  const std::string_view host = text.substr(0, colon), digits = text.substr(colon + 1);
  if (!host.empty() && host != "127.0.0.1" && host != "0.0.0.0" && host != "[::1]" &&
      host != "[::]")
    return rule;
  int port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  return error == std::errc() && end == digits.data() + digits.size() && port >= 1 && port <= 65535
             ? ""
             : rule;
}

void check_ingress_tls(Fields& f, const IngressListener& listener) {
  f.visit("tls", [](Fields& tls) {
    tls.known({"mode", "httpsRedirect", "serverCertificate", "privateKey", "caCertificates",
               "caCrl", "credentialName", "credentialNames", "subjectAltNames",
               "verifyCertificateSpki", "verifyCertificateHash", "minProtocolVersion",
               "maxProtocolVersion", "cipherSuites", "caCertCredentialName", "tlsCertificates",
               "insecureSkipVerify"});
    for (const std::string_view name :
         {"subjectAltNames", "credentialName", "credentialNames", "tlsCertificates"}) {
      if (tls.has(name)) tls.error(name, "must not be in a Sidecar");
    }
  });
  const ServerTls& tls = *listener.tls;
  if (tls.https_redirect) f.error("tls", "must not have httpsRedirect in a Sidecar");
  if (tls.mode == ServerTls::Mode::istio_mutual || tls.mode == ServerTls::Mode::auto_passthrough)
    f.error("tls", "must not have mode ISTIO_MUTUAL or AUTO_PASSTHROUGH in a Sidecar");
  if (!is_tls_protocol(listener.port.protocol)) f.error("tls", "must be for protocol HTTPS or TLS");
  f.warn("tls", "is accepted but not supported yet: no effect");
}

void read_ingress(Fields& f, IngressListener& out) {
  if (f.require("port")) {
    f.object("port", out.port, read_port);
    if (out.port.number == 0) f.error("port", "must have a number of 1 to 65535");
  }
  f.text("bind", out.bind,
         [](std::string_view text) { return text.empty() ? "" : check_ip(text); });
  read_capture_mode(f, out.capture_mode);
  f.text("defaultEndpoint", out.default_endpoint, check_default_endpoint);
  f.object("tls", out.tls, read_server_tls);
  if (out.tls) check_ingress_tls(f, out);
  f.without_effect({"connectionPool"});
}

void read_egress(Fields& f, EgressListener& out) {
  f.object("port", out.port, read_port);
  f.text("bind", out.bind);
  read_capture_mode(f, out.capture_mode);
  f.texts("hosts", out.hosts, check_egress_host);
  if (out.hosts.empty()) f.error("hosts", "must have at least one host");
  if (!out.port) return;
  if (out.port->number != 0) {
    if (const auto rule = out.bind.empty() ? "" : check_ip(out.bind); !rule.empty())
      f.error("bind", rule);
    return;
  }
  if (!out.bind.starts_with(unix_prefix))
    f.error("bind", "must be unix:///path if port has no number");
  else if (const auto rule = check_unix_path(std::string_view(out.bind).substr(unix_prefix.size()));
           !rule.empty())
    f.error("bind", rule);
  if (out.capture_mode == CaptureMode::iptables)
    f.error("captureMode", "must be DEFAULT or NONE for a socket");
}

template <typename T, typename Port>
void check_unique(Fields& f, std::string_view name, const std::vector<T>& listeners, Port port) {
  std::set<std::pair<std::uint32_t, std::string>> seen;
  const Element* list = f.find(name);
  const Element* item = list != nullptr && list->is_sequence() ? list->first : nullptr;
  for (std::size_t i = 0; item != nullptr && i < listeners.size(); item = item->next) {
    if (!item->is_mapping()) continue;
    const auto key = port(listeners[i++]);
    if (key && !seen.insert(*key).second)
      f.reading().error(*item, "port", "must be unique among the listeners");
  }
}

void check_catch_all(Fields& f) {
  const Element* list = f.find("egress");
  for (const Element* item = list != nullptr && list->is_sequence() ? list->first : nullptr;
       item != nullptr && item->next != nullptr; item = item->next) {
    const Element* port = item->find("port");
    if (port == nullptr || port->is_null())
      f.reading().error(*item, {}, "must have a port, as only the last listener may go without");
  }
}

}  // namespace

void read_outbound_traffic(Fields& f, std::optional<OutboundTraffic>& out) {
  out = OutboundTraffic::registry_only;
  f.choice<OutboundTraffic>("mode", *out,
                            {{"REGISTRY_ONLY", OutboundTraffic::registry_only},
                             {"ALLOW_ANY", OutboundTraffic::allow_any}});
}

void read_sidecar(Fields& f, Sidecar& out) {
  using Place = std::optional<std::pair<std::uint32_t, std::string>>;
  f.visit("workloadSelector", [&](Fields& selector) {
    selector.text_map("labels", out.workload_selector, check_selector_key, check_selector_value);
    if (out.workload_selector.empty())
      selector.warn({}, "has no labels: it is for every workload of the namespace");
  });
  f.list("ingress", out.ingress, read_ingress);
  f.list("egress", out.egress, read_egress);
  check_unique(f, "ingress", out.ingress, [](const IngressListener& listener) {
    return Place({listener.port.number, ""});
  });
  check_unique(f, "egress", out.egress, [](const EgressListener& listener) -> Place {
    if (!listener.port) return std::nullopt;
    return Place({listener.port->number, listener.port->number == 0 ? listener.bind : ""});
  });
  check_catch_all(f);
  f.visit("outboundTrafficPolicy", [&](Fields& policy) {
    read_outbound_traffic(policy, out.outbound_traffic);
    policy.without_effect({"egressProxy"});
  });
  f.without_effect({"inboundConnectionPool"});
  if (out.ingress.empty() && out.egress.empty() && !f.has("outboundTrafficPolicy") &&
      !f.has("inboundConnectionPool")) {
    f.error({}, "must have ingress, egress or outboundTrafficPolicy");
  }
}

}  // namespace graymesh::model
