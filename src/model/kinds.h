// How each kind is read: from the fields of its spec (Istio) or of the whole object (Kubernetes).
#pragma once

#include "model/fields.h"
#include "model/model.h"

namespace graymesh::model {

// Of the spec.
void read_virtual_service(Fields& f, VirtualService& out);
void read_destination_rule(Fields& f, DestinationRule& out);
void read_service_entry(Fields& f, ServiceEntry& out);
void read_workload_entry(Fields& f, WorkloadEntry& out);
void read_gateway(Fields& f, Gateway& out);
void read_sidecar(Fields& f, Sidecar& out);
void read_application(Fields& f, Application& out);
void read_gray_release(Fields& f, GrayRelease& out);
void read_lane(Fields& f, Lane& out);
void read_environment(Fields& f, Environment& out);

// Of the whole object.
void read_namespace(Fields& f, const Meta& meta, Namespace& out);
void read_node(Fields& f, Node& out);
void read_pod(Fields& f, const Meta& meta, Pod& out);
void read_service(Fields& f, const Meta& meta, Service& out);
void read_endpoint_slice(Fields& f, const Meta& meta, EndpointSlice& out);
void read_endpoints_subset(Fields& f, EndpointSlice& out);  // of Endpoints

// What annotations and labels of ours (graymesh.io/...) at the object's `root` add to its spec.
void read_own(Reading& reading, const Element& root, const Meta& meta, VirtualService& out);
void read_own(Reading& reading, const Element& root, const Meta& meta, DestinationRule& out);

// What Istio says outside of the spec, at the object's `root`: annotations and conditions.
void read_own(Reading& reading, const Element& root, const Meta& meta, ServiceEntry& out);
void read_own(Reading& reading, const Element& root, const Meta& meta, WorkloadEntry& out);

// Parts that more than one kind has.
void read_http_route(Fields& f, bool delegate, HttpRoute& out);
void read_retries(Fields& f, Retries& out);
void read_destination(Fields& f, Destination& out);
void check_total(Fields& f, const std::vector<WeightedDestination>& route);  // of weights
void read_traffic_policy(Fields& f, TrafficPolicy& out);
void read_connection_pool(Fields& f, ConnectionPool& out);
void read_tcp_keepalive(Fields& f, TcpKeepalive& out);
void read_load_balancer(Fields& f, bool ejects, LoadBalancer& out);
void read_locality_lb(Fields& f, bool ejects, LocalityLb& out);
void read_server_tls(Fields& f, ServerTls& out);
void read_cipher_suites(Fields& f, std::vector<std::string>& out);
void read_ecdh_curves(Fields& f, std::vector<std::string>& out);
// The annotation networking.istio.io/traffic-distribution, if it is there: one of Kubernetes' words
// in any case; any other means no preference.
void read_distribution(Reading& reading, const Element& root, const Meta& meta,
                       std::optional<TrafficDistribution>& out);
void read_outbound_traffic(Fields& f, std::optional<OutboundTraffic>& out);

// `exportTo`: ".", "*", or namespaces; "~" for services (`to_none`).
void read_export_to(Fields& f, bool to_none, std::vector<std::string>& out);
// {number: 80}
void read_port_selector(Fields& f, std::uint32_t& out);
// {value: 12.5}, 0 to 100
void read_percent(Fields& f, double& out);

}  // namespace graymesh::model
