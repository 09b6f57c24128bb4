// Who answers for a Service: EndpointSlice, and the older Endpoints, which are read as slices.
#include "model/kinds.h"

namespace graymesh::model {
namespace {

void read_target(Fields& f, SliceEndpoint& out) {
  f.visit("targetRef", [&](Fields& target) {
    std::string kind;
    target.text("kind", kind);
    if (kind != "Pod") return;
    target.text("name", out.pod);
    target.text("namespace", out.pod_namespace);
  });
}

void read_endpoint(Fields& f, SliceEndpoint& out) {
  f.texts("addresses", out.addresses);
  f.visit("conditions", [&](Fields& conditions) {
    conditions.flag("ready", out.ready);
    out.serving = out.ready;
    conditions.flag("serving", out.serving);
    conditions.flag("terminating", out.terminating);
  });
  read_target(f, out);
  f.text("nodeName", out.node);
  f.text("zone", out.zone);
  // discovery.k8s.io/v1beta1 has them here.
  f.visit("topology", [&](Fields& topology) {
    if (out.node.empty()) topology.text("kubernetes.io/hostname", out.node);
    if (out.zone.empty()) topology.text("topology.kubernetes.io/zone", out.zone);
  });
}

void read_slice_port(Fields& f, SlicePort& out) {
  f.text("name", out.name);
  f.number("port", out.port, port_range);
  out.protocol = "TCP";
  f.text("protocol", out.protocol);
  f.text("appProtocol", out.app_protocol);
}

void read_addresses(Fields& subset, std::string_view name, bool ready,
                    std::vector<SliceEndpoint>& out) {
  std::vector<SliceEndpoint> endpoints;
  subset.list(name, endpoints, [&](Fields& f, SliceEndpoint& endpoint) {
    if (f.require("ip")) f.text("ip", endpoint.addresses.emplace_back());
    endpoint.ready = endpoint.serving = ready;
    f.text("nodeName", endpoint.node);
    read_target(f, endpoint);
  });
  out.insert(out.end(), endpoints.begin(), endpoints.end());
}

}  // namespace

void read_endpoint_slice(Fields& f, const Meta& meta, EndpointSlice& out) {
  const auto service = meta.labels.find("kubernetes.io/service-name");
  if (service != meta.labels.end()) out.service = service->second;
  out.address_type = "IPv4";
  f.choice<std::string>("addressType", out.address_type,
                        {{"IPv4", "IPv4"}, {"IPv6", "IPv6"}, {"FQDN", "FQDN"}});
  f.list("ports", out.ports, read_slice_port);
  f.list("endpoints", out.endpoints, read_endpoint);
}

void read_endpoints_subset(Fields& f, EndpointSlice& out) {
  f.list("ports", out.ports, read_slice_port);
  read_addresses(f, "addresses", true, out.endpoints);
  read_addresses(f, "notReadyAddresses", false, out.endpoints);
  const auto is_v6 = [](const SliceEndpoint& endpoint) {
    return !endpoint.addresses.empty() && endpoint.addresses.front().find(':') != std::string::npos;
  };
  const bool v6 = !out.endpoints.empty() && is_v6(out.endpoints.front());
  out.address_type = v6 ? "IPv6" : "IPv4";
}

}  // namespace graymesh::model
