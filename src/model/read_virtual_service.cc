#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "model/host_index.h"
#include "model/kinds.h"
#include "model/rules.h"

namespace graymesh::model {
namespace {

// True if the VirtualService is for gateways and not for sidecars as well.
bool only_gateways(const VirtualService& vs) {
  return !vs.gateways.empty() &&
         std::find(vs.gateways.begin(), vs.gateways.end(), "mesh") == vs.gateways.end();
}

// No host may cover another, earlier or later.
void check_overlap(Fields& f, const Element& list) {
  std::vector<const Element*> hosts;
  HostIndex index;
  for (const Element* host = list.first; host != nullptr; host = host->next) {
    index.add(host->text, hosts.size());
    hosts.push_back(host);
  }
  std::map<std::size_t, std::size_t> pairs;  // a host and the earlier one it overlaps with
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    const auto other = index.covering(hosts[i]->text, i);
    if (other) pairs.emplace(std::max(i, *other), std::min(i, *other));
  }
  for (const auto& [host, earlier] : pairs) {
    f.reading().error(*hosts[host], {},
                      fmt::format("must not overlap with the host {}", hosts[earlier]->text));
  }
}

void check_hosts(Fields& f, const VirtualService& vs) {
  const Element* hosts = f.find("hosts");
  if (hosts == nullptr || !hosts->is_sequence()) return;
  bool all_valid = true;
  for (const Element* host = hosts->first; host != nullptr; host = host->next) {
    if (!host->is_scalar() || is_ip(host->text)) continue;
    // Envoy's names of clusters as SNI, for AUTO_PASSTHROUGH gateways.
    if (only_gateways(vs) && host->text.starts_with("outbound_")) continue;
    if (const auto rule = check_wildcard_host(host->text); !rule.empty()) {
      f.reading().error(*host, {}, rule);
      all_valid = false;
    } else if (host->text == "*" && !only_gateways(vs)) {
      f.reading().error(*host, {}, "must not be * for the mesh, only for gateways");
      all_valid = false;
    }
  }
  if (all_valid) check_overlap(f, *hosts);
}

void read_weighted(Fields& f, WeightedDestination& out) {
  f.require("destination");
  f.object("destination", out.destination, read_destination);
  f.number("weight", out.weight, {0, std::numeric_limits<std::int32_t>::max()});
}

void read_l4_match(Fields& f, bool tls, const HostIndex& hosts_of_service, L4Match& out) {
  if (tls) {
    f.texts("sniHosts", out.sni_hosts);
    if (out.sni_hosts.empty()) f.error("sniHosts", "must have at least one host");
    const Element* hosts = f.find("sniHosts");
    for (const Element* host = hosts != nullptr ? hosts->first : nullptr; host != nullptr;
         host = host->next) {
      if (!host->is_scalar()) continue;
      if (is_ip(host->text)) {
        f.reading().warn(*host, {}, "is an IP address, which most clients do not send as SNI");
        continue;
      }
      if (const auto rule = check_wildcard_host(host->text);
          !rule.empty() && !host->text.starts_with("outbound_")) {
        f.reading().error(*host, {}, rule);
      } else if (!hosts_of_service.covering(host->text)) {
        f.reading().error(*host, {}, "must be among the hosts of the VirtualService");
      }
    }
  } else if (f.has("sourceSubnet")) {
    f.without_effect({"sourceSubnet"});
  }
  f.texts("destinationSubnets", out.destination_subnets, check_ip_or_subnet);
  f.number("port", out.port, {0, 65535});
  f.text_map("sourceLabels", out.source_labels, check_label_key, check_label_value);
  f.texts("gateways", out.gateways, check_gateway_name);
  f.text("sourceNamespace", out.source_namespace, check_dns_label);
}

void read_l4_route(Fields& f, bool tls, const HostIndex& hosts, L4Route& out) {
  out.position = f.position();
  f.list("match", out.match,
         [&](Fields& match, L4Match& m) { read_l4_match(match, tls, hosts, m); });
  if (tls && out.match.empty()) f.error("match", "must have at least one match");
  f.list("route", out.route, read_weighted);
  if (out.route.empty()) f.error("route", "is required");
  check_total(f, out.route);
}

// A route that takes every request leaves none to those behind it.
void warn_unreachable(Fields& f, const VirtualService& vs) {
  for (std::size_t i = 0; i + 1 < vs.http.size(); ++i) {
    if (!vs.http[i].match.empty()) continue;
    const Element* routes = f.find("http");
    const Element* behind = routes->first;
    for (std::size_t step = 0; step <= i && behind != nullptr; ++step) behind = behind->next;
    if (behind != nullptr)
      f.reading().warn(*behind, {},
                       fmt::format("is never reached: http[{}] takes every request", i));
    return;
  }
}

void check_delegate(Fields& f) {
  for (const std::string_view name : {"gateways", "tls", "tcp"}) {
    if (f.has(name)) f.error(name, "must not be in a delegate (a VirtualService without hosts)");
  }
}

void check_jwt_claims(Fields& f, const VirtualService& vs) {
  if (only_gateways(vs)) return;
  for (const auto& route : vs.http) {
    for (const auto& match : route.match) {
      for (const auto* headers : {&match.headers, &match.without_headers}) {
        for (const auto& [name, value] : *headers) {
          if (is_jwt_claim(name))
            f.error(
                "http",
                fmt::format("must not match {} without a gateway, which alone knows claims", name));
        }
      }
    }
  }
}

}  // namespace

void read_virtual_service(Fields& f, VirtualService& out) {
  f.texts("hosts", out.hosts);
  f.texts("gateways", out.gateways, check_gateway_name);
  check_hosts(f, out);
  const bool delegate = out.hosts.empty();
  if (delegate) check_delegate(f);
  f.list("http", out.http,
         [&](Fields& route, HttpRoute& r) { read_http_route(route, delegate, r); });
  HostIndex hosts;
  for (std::size_t i = 0; i < out.hosts.size(); ++i) hosts.add(out.hosts[i], i);
  f.list("tls", out.tls, [&](Fields& route, L4Route& r) { read_l4_route(route, true, hosts, r); });
  f.list("tcp", out.tcp, [&](Fields& route, L4Route& r) { read_l4_route(route, false, hosts, r); });
  if (!f.has("http") && !f.has("tls") && !f.has("tcp"))
    f.error({}, "must have http, tls or tcp routes");
  check_jwt_claims(f, out);
  warn_unreachable(f, out);
  read_export_to(f, false, out.export_to);
}

}  // namespace graymesh::model
