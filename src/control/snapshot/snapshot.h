// The whole mesh at one instant: every name resolved, every lookup indexed, what is visible to whom
// worked out. A Snapshot never changes, so any thread may read it for as long as it likes.
//
// Values are shared with the Snapshot before: what did not change keeps its address. So "equal
// pointers" means "nothing to do", and a memo keyed by pointers (translate) stays warm.
// Semantics are istiod's: docs/translation.md, sections 1 to 4, 6, 7.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/model.h"

namespace graymesh::snapshot {

// docs/translation.md 1. `automatic` is Istio's Unsupported: sniffed.
enum class Protocol : std::uint8_t {
  automatic,
  http,
  http_proxy,
  http2,
  grpc,
  grpc_web,
  https,
  tls,
  tcp,
  mongo,
  mysql,
  redis,
  udp
};
bool is_http(Protocol protocol);                 // http, http_proxy, http2, grpc, grpc_web
bool is_http2(Protocol protocol);                // http2, grpc, grpc_web
bool is_tcp(Protocol protocol);                  // tcp, https, tls, mongo, mysql, redis
bool is_tls(Protocol protocol);                  // https, tls
Protocol protocol_named(std::string_view word);  // ServiceEntry, Gateway, Sidecar ports
Protocol protocol_of(const model::ServicePort& port);

struct Port {
  std::string name;
  std::uint32_t number = 0;
  Protocol protocol = Protocol::automatic;
  std::uint32_t target_port = 0;  // on the workload; 0 where it depends on the pod (named port)
  std::string target_port_name;

  bool operator==(const Port&) const = default;
};

enum class Resolution : std::uint8_t {
  endpoints,        // EDS: Kubernetes with a ClusterIP, ServiceEntry STATIC
  dns,              // STRICT_DNS
  dns_round_robin,  // LOGICAL_DNS
  passthrough,      // headless Kubernetes Services, ServiceEntry NONE
};

enum class Health : std::uint8_t { healthy, unhealthy, draining };

struct Locality {
  std::string region, zone, sub_zone;
  auto operator<=>(const Locality&) const = default;
};
// By the label topology.istio.io/locality or istio-locality: "r/z/s", or "r.z.s", as label values
// cannot hold a slash. Nothing if there is none.
std::optional<Locality> locality_label(const model::Labels& labels);

struct Endpoint {
  std::string address;  // IP; DNS name where the resolution is dns; "unix:///path"
  std::uint32_t port = 0;
  model::Labels labels;
  std::string namespace_;
  std::string workload;  // "web", "web-0"
  std::string service_account;
  std::string network;
  std::string cluster_id;
  std::string node;  // where it runs; empty: unknown
  Locality locality;
  std::uint32_t weight = 1;
  Health health = Health::healthy;

  bool operator==(const Endpoint&) const = default;
};

// Endpoints of a service, by the index of its port. Apart from the Service, so that an endpoint
// that comes or goes leaves the Service's address alone. Sorted by (locality, address, port):
// stable bytes.
struct Endpoints {
  std::vector<std::vector<Endpoint>> by_port;

  bool operator==(const Endpoints&) const = default;
};

// To whom an object is visible: exportTo, resolved against its namespace and the mesh's default.
struct Visibility {
  bool everywhere = true;
  std::vector<std::string> namespaces;  // sorted; where !everywhere; none: nobody ("~")

  bool to(std::string_view namespace_) const;
  bool operator==(const Visibility&) const = default;
};

struct Service {
  std::string host;  // "web.fe-pre.svc.cluster.local"
  std::string name;  // "web"; for a ServiceEntry the host
  std::string namespace_;
  std::vector<std::string> addresses;  // virtual IPs; for a ServiceEntry also CIDRs; may be empty
  std::vector<Port> ports;             // without UDP
  Resolution resolution = Resolution::endpoints;
  bool kubernetes = true;  // from a Kubernetes Service (short names exist), or from a ServiceEntry
  bool headless = false;
  bool external = false;    // MESH_EXTERNAL
  bool node_local = false;  // a client reaches endpoints of its own node only
  // Which endpoints come first. Unless `any`, those of a Kubernetes Service that are not ready are
  // among its Endpoints.
  model::TrafficDistribution distribution = model::TrafficDistribution::any;
  Visibility visible;
  model::Labels selector;
  std::vector<std::string> aliases;  // hosts of ExternalName Services that lead here
  std::vector<std::string> subject_alt_names;
  model::Key origin;  // the Service or ServiceEntry
  std::int64_t created = 0;

  bool operator==(const Service&) const = default;
};
using ServicePtr = std::shared_ptr<const Service>;
using EndpointsPtr = std::shared_ptr<const Endpoints>;

// A VirtualService with its names resolved: hosts and destinations are full (Kubernetes short names
// expanded against its namespace), gateways are "mesh" or "namespace/name", delegates are merged
// in. `spec.http[...].match[...].gateways` are resolved likewise. A destination keeps subset and
// port. In views, fragments of one host (label graymesh.io/precedence) are one VirtualService:
// docs/translation.md 13.4.
struct VirtualService {
  model::Key origin;  // of fragments, the team's, else the first
  std::int64_t created = 0;
  model::VirtualService spec;
  Visibility visible;
  // Whose routes are merged in, delegates' and fragments'; a refusal may be theirs.
  std::vector<model::Key> delegates;

  bool operator==(const VirtualService&) const = default;
};
using VirtualServicePtr = std::shared_ptr<const VirtualService>;

// A DestinationRule with its host resolved, merged with others of the same host as Istio merges.
struct DestinationRule {
  std::vector<model::Key> origins;  // the first gives the policy
  std::string namespace_;
  model::DestinationRule spec;
  Visibility visible;

  const model::Subset* subset(std::string_view name) const;  // null if there is none
  bool operator==(const DestinationRule&) const = default;
};
using DestinationRulePtr = std::shared_ptr<const DestinationRule>;

// One host as seen from one place: with the policy that applies there. `rule` may be null.
struct SeenService {
  ServicePtr service;
  DestinationRulePtr rule;

  bool operator==(const SeenService&) const = default;
};

// One egress listener of a Sidecar, or, without a Sidecar, the one that takes everything.
struct Egress {
  std::optional<model::SidecarPort> port;  // none: all ports not claimed by a listener with one
  std::string bind;
  model::CaptureMode capture_mode = model::CaptureMode::default_;
  std::vector<SeenService> services;  // sorted by host
  std::vector<VirtualServicePtr>
      virtual_services;  // for gateway "mesh"; in Istio's order of precedence

  bool operator==(const Egress&) const = default;
};

// What the sidecars of one namespace and one Sidecar object see outbound. Equal addresses in two
// Snapshots mean that nothing in it changed, but for endpoints, which are asked of the Snapshot.
struct View {
  std::string namespace_;
  std::optional<model::Key> sidecar;  // the Sidecar object that shaped it
  std::shared_ptr<const model::Sidecar> sidecar_spec;
  std::vector<Egress> egress;  // at least one
  model::OutboundTraffic outbound_traffic = model::OutboundTraffic::allow_any;
  // Every service of all egress listeners, once, sorted by host: the clusters.
  std::vector<SeenService> services;
  // True if any visible VirtualService looks at sourceLabels: then a proxy's labels are part of its
  // scope.
  bool source_labels_matter = false;

  bool operator==(const View&) const = default;
};
using ViewPtr = std::shared_ptr<const View>;

// A service port that a workload serves.
struct Inbound {
  ServicePtr service;
  std::size_t port = 0;           // index in service->ports
  std::uint32_t target_port = 0;  // where the workload is reached
  DestinationRulePtr rule;  // of the workload's own namespace: only connectionPool counts inbound

  bool operator==(const Inbound&) const = default;
};

// A Gateway object that selects the asking gateway workload.
struct GatewayServers {
  model::Key origin;
  std::int64_t created = 0;
  std::shared_ptr<const model::Gateway> spec;

  bool operator==(const GatewayServers&) const = default;
};

// "web.example.com" of "shop/Web.example.com": without the namespace, in lower case.
std::string server_host(std::string_view text);
// The hosts that a server and a VirtualService both allow, in lower case: of two that overlap, the
// narrower. A server's "shop/web.example.com" allows it to VirtualServices of that namespace only.
std::set<std::string> common_hosts(const model::GatewayServer& server,
                                   const GatewayServers& gateway, const VirtualService& service);

// What one class of gateway workloads serves.
struct GatewayView {
  std::string namespace_;
  std::vector<GatewayServers> gateways;  // in Istio's order of precedence
  std::vector<VirtualServicePtr>
      virtual_services;               // attached to any of them, in order of precedence
  std::vector<SeenService> services;  // visible to the gateway's namespace, sorted by host
  // Service port -> target port, of the services that select the gateway workload (an Istio server
  // with port 80 listens on 8080 if the gateway's Service says targetPort: 8080).
  std::vector<std::pair<std::uint32_t, std::uint32_t>> target_ports;
  // As of a View: then the gateway's own labels are part of its scope.
  bool source_labels_matter = false;

  bool operator==(const GatewayView&) const = default;
};
using GatewayViewPtr = std::shared_ptr<const GatewayView>;

class Snapshot {
 public:
  struct Data;  // snapshot_data.h, inside this room
  explicit Snapshot(std::shared_ptr<const Data> data);
  ~Snapshot();

  std::uint64_t number() const;
  const model::MeshConfig& mesh() const;
  std::shared_ptr<const model::MeshConfig> mesh_ptr() const;

  std::span<const ServicePtr> services() const;  // sorted by (host, namespace)
  // Null if unknown; of several, the one that goes before: Kubernetes', else the oldest.
  ServicePtr service(std::string_view host) const;
  // By the index of the port in `service`, which may be one that a View has reduced to some ports.
  // Never null; empty lists where there are none.
  EndpointsPtr endpoints(const Service& service) const;
  // In creation order. Delegates are merged into these and do not stand alone.
  std::span<const VirtualServicePtr> virtual_services() const;
  std::span<const DestinationRulePtr> destination_rules() const;

  // Never null. The workload's labels choose a Sidecar by its workloadSelector, and
  // DestinationRules by theirs. Computed once for each choice and kept. Any thread.
  ViewPtr view(std::string_view namespace_, const model::Labels& labels) const;
  // What the workload with one of these addresses serves: where an endpoint names the address,
  // ready or not, and where a service of its namespace selects its labels. The labels are those of
  // the pod or WorkloadEntry with the address, else the given ones. Sorted by (target port, host).
  std::vector<Inbound> inbound(std::string_view namespace_, std::span<const std::string> addresses,
                               const model::Labels& labels) const;
  GatewayViewPtr gateway(std::string_view namespace_, std::span<const std::string> addresses,
                         const model::Labels& labels) const;
  // Labels and locality of the pod or workload entry with this address; null if unknown.
  const Endpoint* workload(std::string_view address) const;
  // Whether the sidecar at this address may stamp its lane on requests (docs/translation.md 13.2):
  // false where the pod's annotation says so.
  bool lane_stamp(std::string_view address) const;

  // What does not hold together across objects: a DestinationRule's subset that selects nothing, a
  // VirtualService's destination that does not exist, delegates in a circle, clashing hosts. The
  // object is used as far as it holds (Istio's behaviour): a warning names a field without effect,
  // or one that leads nowhere; an error names a route that is left out. Put together when asked.
  std::vector<model::Problem> problems() const;

  // Whether all that is declared is the same, by address: services, rules, routes, the mesh's
  // settings. Then only who runs may differ, and a View of one is that of the other.
  bool same_declared(const Snapshot& other) const;
  // The services whose endpoints() differ by address, of a Snapshot that is same_declared().
  std::vector<ServicePtr> moved(const Snapshot& since) const;
  // Whether the two say the same of the proxy with these addresses: its view, inbound, gateway,
  // workload, lane_stamp.
  bool same_place(const Snapshot& other, std::string_view namespace_,
                  std::span<const std::string> addresses) const;

  const Data& data() const { return *data_; }  // for `build`

 private:
  std::shared_ptr<const Data> data_;
};
using SnapshotPtr = std::shared_ptr<const Snapshot>;

// Resolves the serving objects against each other. Values equal to those of `previous` (may be
// null) are shared with it. `number` is the new Snapshot's.
SnapshotPtr build(std::span<const model::ObjectPtr> objects,
                  std::shared_ptr<const model::MeshConfig> mesh, const Snapshot* previous,
                  std::uint64_t number);

// Serving objects that are no longer, and that are new; one that is another now is in both.
struct Changes {
  std::vector<model::ObjectPtr> gone, come;
};

// The same of all objects of `previous` but for `changes`, at the cost of what those touch.
SnapshotPtr build(const Changes& changes, std::shared_ptr<const model::MeshConfig> mesh,
                  const Snapshot& previous, std::uint64_t number);

}  // namespace graymesh::snapshot
