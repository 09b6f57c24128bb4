// ServiceEntry and WorkloadEntry: services and workloads that no Kubernetes Service describes.
#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "model/kinds.h"
#include "model/rules.h"

namespace graymesh::model {
namespace {

using Resolution = ServiceEntry::Resolution;

constexpr std::string_view unix_prefix = "unix://";

void read_port(Fields& f, ServiceEntry::Port& out) {
  if (f.require("number")) f.number("number", out.number, port_range);
  f.text("protocol", out.protocol, check_protocol);
  if (f.require("name")) f.text("name", out.name, check_dns_label);
  f.number("targetPort", out.target_port, {0, 65535});
}

void check_ports(Fields& f) {
  std::set<std::string_view> names, numbers;
  const Element* ports = f.find("ports");
  for (const Element* port = ports != nullptr && ports->is_sequence() ? ports->first : nullptr;
       port != nullptr; port = port->next) {
    const Element* name = port->find("name");
    const Element* number = port->find("number");
    if (name != nullptr && !names.insert(name->text).second)
      f.reading().error(*name, {}, "must be unique among the ports");
    if (number != nullptr && !numbers.insert(number->text).second)
      f.reading().error(*number, {}, "must be unique among the ports");
  }
}

void check_hosts(Fields& f, const ServiceEntry& entry) {
  if (entry.hosts.empty()) f.error("hosts", "must have at least one host");
  const Element* hosts = f.find("hosts");
  for (const Element* host = hosts != nullptr && hosts->is_sequence() ? hosts->first : nullptr;
       host != nullptr; host = host->next) {
    if (!host->is_scalar()) continue;
    const std::string_view text = host->text;
    const bool alone =
        (entry.resolution == Resolution::dns || entry.resolution == Resolution::dns_round_robin) &&
        !f.has("endpoints");
    if (alone && !check_host(text).empty())
      f.reading().error(*host, {},
                        "must be a host name without a wildcard, as there are no endpoints");
    else if (entry.resolution == Resolution::dynamic_dns && !is_wildcard(text))
      f.reading().error(*host, {}, "must be a wildcard for DYNAMIC_DNS");
    else if (text.size() > 1 && is_wildcard(text) && !text.starts_with("*.") &&
             entry.resolution != Resolution::dynamic_dns)
      f.reading().warn(*host, {}, "is a partial wildcard, which is not supported");
  }
}

// The endpoints of an entry, whose ports must be among the entry's.
void check_endpoint(Fields& f, const ServiceEntry& entry,
                    const std::set<std::string_view>& port_names, const WorkloadEntry& endpoint) {
  const bool is_unix = endpoint.address.starts_with(unix_prefix);
  for (const auto& [name, number] : endpoint.ports) {
    if (!port_names.contains(name))
      f.error("ports",
              fmt::format("must be among the ports of the ServiceEntry, and {} is not", name));
  }
  if (entry.resolution == Resolution::static_) {
    if (is_unix && entry.ports.size() != 1)
      f.error("address", "must have exactly one port in the ServiceEntry to go to a socket");
    if (!is_unix && !endpoint.address.empty() && !is_ip(endpoint.address))
      f.error("address", "must be an IP address or unix:// for STATIC");
  } else if (is_unix) {
    f.error("address", "must be a host name or an IP address for DNS");
  } else if (endpoint.address.empty()) {
    f.error("address", "is required for DNS");
  }
}

bool is_dynamic_protocol(std::string_view protocol) {
  const bool http = is_http_protocol(protocol) && protocol.size() <= 5;  // not GRPC-WEB, HTTP_PROXY
  return http || (is_tls_protocol(protocol) && protocol.size() == 3);
}

void check_resolution(Fields& f, const ServiceEntry& entry) {
  const bool subnet = std::any_of(
      entry.addresses.begin(), entry.addresses.end(),
      [](const std::string& address) { return address.find('/') != std::string::npos; });
  if (subnet && entry.resolution != Resolution::none && entry.resolution != Resolution::static_)
    f.error("addresses", "must not be subnets, but for NONE and STATIC");
  if (entry.resolution == Resolution::none) {
    if (!entry.endpoints.empty()) f.error("endpoints", "must not be there for resolution NONE");
    if (f.has("workloadSelector")) f.warn("workloadSelector", "has no effect with resolution NONE");
  }
  if (entry.resolution == Resolution::dns_round_robin && entry.endpoints.size() > 1)
    f.error("endpoints", "must be at most one for DNS_ROUND_ROBIN");
  if (entry.resolution == Resolution::dynamic_dns) {
    f.warn("resolution", "is accepted but not supported yet: no effect");
    for (const std::string_view name : {"addresses", "endpoints"}) {
      if (f.has(name)) f.error(name, "must not be there for DYNAMIC_DNS");
    }
    for (const auto& port : entry.ports) {
      if (is_dynamic_protocol(port.protocol)) continue;
      f.error("ports", "must be HTTP, HTTP2, GRPC or TLS for DYNAMIC_DNS");
      break;
    }
  }
  if (entry.resolution == Resolution::none || entry.hosts.size() < 2) return;
  // HTTP tells hosts apart by authority and TLS by SNI; plain TCP cannot.
  for (const auto& port : entry.ports) {
    if (!is_http_protocol(port.protocol) && !is_tls_protocol(port.protocol)) {
      f.error("ports", "must be HTTP or TLS if there is more than one host");
      return;
    }
  }
}

// Go's words for true.
bool is_true(std::string_view text) {
  for (const std::string_view word : {"1", "t", "T", "true", "TRUE", "True"}) {
    if (text == word) return true;
  }
  return false;
}

// The first condition of this type is True.
bool holds(const Element& root, std::string_view type) {
  const Element* status = root.find("status");
  const Element* conditions = status != nullptr ? status->find("conditions") : nullptr;
  if (conditions == nullptr || !conditions->is_sequence()) return false;
  for (const Element* each = conditions->first; each != nullptr; each = each->next) {
    const Element* name = each->find("type");
    if (name == nullptr || name->text != type) continue;
    const Element* value = each->find("status");
    return value != nullptr && value->text == "True";
  }
  return false;
}

}  // namespace

void read_workload_entry(Fields& f, WorkloadEntry& out) {
  f.text("address", out.address, [](std::string_view text) -> std::string_view {
    if (text.empty()) return "";
    if (text.starts_with(unix_prefix)) return check_unix_path(text.substr(unix_prefix.size()));
    return check_host_or_ip(text);
  });
  f.entries("ports", [&](const Element& port) {
    if (const auto rule = check_dns_label(port.key); !rule.empty())
      f.reading().error(port, {}, rule);
    const auto number = f.read_integer(port, port_range);
    out.ports[std::string(port.key)] = static_cast<std::uint32_t>(number.value_or(0));
  });
  f.text_map("labels", out.labels, check_label_key, check_label_value);
  f.text("network", out.network);
  f.text("locality", out.locality);
  f.number("weight", out.weight);
  f.text("serviceAccount", out.service_account);
  f.without_effect({"serviceAccount"});
  if (f.has("network"))
    f.warn("network", "is only compared by failoverPriority: no gateway leads to other networks");
  if (out.address.empty()) {
    if (out.network.empty())
      f.error("address", "is required, unless network is set");
    else
      f.warn("address", "is not set: reached through its network's gateway only");
  }
  if (out.address.starts_with(unix_prefix) && !out.ports.empty())
    f.error("ports", "must not be there for a socket");
}

void read_service_entry(Fields& f, ServiceEntry& out) {
  using Location = ServiceEntry::Location;
  f.texts("hosts", out.hosts, check_destination_host);
  f.texts("addresses", out.addresses, check_ip_or_subnet);
  f.list("ports", out.ports, read_port);
  check_ports(f);
  f.choice<Location>(
      "location", out.location,
      {{"MESH_EXTERNAL", Location::mesh_external}, {"MESH_INTERNAL", Location::mesh_internal}});
  f.choice<Resolution>("resolution", out.resolution,
                       {{"NONE", Resolution::none},
                        {"STATIC", Resolution::static_},
                        {"DNS", Resolution::dns},
                        {"DNS_ROUND_ROBIN", Resolution::dns_round_robin},
                        {"DYNAMIC_DNS", Resolution::dynamic_dns}});
  std::set<std::string_view> port_names;
  for (const auto& port : out.ports) port_names.insert(port.name);
  f.list("endpoints", out.endpoints, [&](Fields& fields, WorkloadEntry& endpoint) {
    read_workload_entry(fields, endpoint);
    if (out.resolution != Resolution::none && out.resolution != Resolution::dynamic_dns)
      check_endpoint(fields, out, port_names, endpoint);
  });
  f.visit("workloadSelector", [&](Fields& selector) {
    selector.text_map("labels", out.workload_selector, check_selector_key, check_selector_value);
    if (out.workload_selector.empty()) selector.warn({}, "has no labels: it selects nothing");
  });
  f.at_most_one({"workloadSelector", "endpoints"});
  check_hosts(f, out);
  check_resolution(f, out);
  read_export_to(f, true, out.export_to);
  f.texts("subjectAltNames", out.subject_alt_names);
}

void read_own(Reading& reading, const Element& root, const Meta& meta, ServiceEntry& out) {
  read_distribution(reading, root, meta, out.distribution);
}

// Without the annotation the condition says nothing, as in Istio.
void read_own(Reading&, const Element& root, const Meta& meta, WorkloadEntry& out) {
  const auto checked = meta.annotations.find("proxy.istio.io/health-checks-enabled");
  if (checked == meta.annotations.end() || !is_true(checked->second)) return;
  out.healthy = holds(root, "Healthy");
}

}  // namespace graymesh::model
