// The nouns that say what runs where: Kubernetes' Namespace, Node, Pod, Service, EndpointSlice, and
// Istio's ServiceEntry and WorkloadEntry.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "model/meta.h"

namespace graymesh::model {

// Which of a service's endpoints a proxy turns to first, and to which when those are not ready:
// the nearer ones. Kubernetes' trafficDistribution, where PreferClose is PreferSameZone.
enum class TrafficDistribution : std::uint8_t { any, same_zone, same_node };

struct Namespace {
  // Of services that do not say themselves; nothing: not given either.
  std::optional<TrafficDistribution> distribution;

  bool operator==(const Namespace&) const = default;
};

// Labels (topology.kubernetes.io/region, zone; topology.istio.io/subzone) are in the Meta.
struct Node {
  std::vector<std::string> addresses;  // InternalIP and ExternalIP
  bool operator==(const Node&) const = default;
};

struct ContainerPort {
  std::string name;
  std::uint32_t number = 0;
  std::string protocol;  // TCP, UDP, SCTP

  bool operator==(const ContainerPort&) const = default;
};

struct Pod {
  std::string node;
  std::string service_account;
  std::string phase;             // Pending, Running, Succeeded, Failed, Unknown; empty: not given
  std::vector<std::string> ips;  // podIP first
  bool host_network = false;
  bool ready = false;        // condition Ready is True
  bool terminating = false;  // metadata.deletionTimestamp is set
  std::vector<ContainerPort> ports;
  // Owner's name without the ReplicaSet's hash, as Istio derives the workload's name.
  std::string workload;
  bool lane_stamp = true;  // ours: the annotation graymesh.io/lane-stamp is not "false"

  bool operator==(const Pod&) const = default;
};

struct ServicePort {
  std::string name;
  std::uint32_t port = 0;
  std::string protocol;           // TCP, UDP, SCTP
  std::string app_protocol;       // appProtocol
  std::uint32_t target_port = 0;  // 0: see target_port_name
  std::string target_port_name;   // a container port's name; both unset: `port` itself

  bool operator==(const ServicePort&) const = default;
};

struct Service {
  std::string type;  // ClusterIP, NodePort, LoadBalancer, ExternalName; empty: ClusterIP
  std::vector<std::string> cluster_ips;  // {"None"}: headless; empty: none assigned yet
  std::string external_name;
  std::vector<ServicePort> ports;
  Labels selector;
  bool publish_not_ready = false;
  std::optional<TrafficDistribution> distribution;  // of the spec, else of the annotation
  bool node_local = false;  // internalTrafficPolicy Local: clients reach endpoints of their node
  std::string session_affinity;

  // Only an explicit "None" is headless: a Service written by hand has no clusterIP yet.
  bool headless() const { return !cluster_ips.empty() && cluster_ips.front() == "None"; }
  bool operator==(const Service&) const = default;
};

struct SliceEndpoint {
  std::vector<std::string> addresses;
  bool ready = true;  // absent condition means ready
  bool serving = true;
  bool terminating = false;
  std::string pod;  // targetRef of kind Pod; empty: none
  std::string pod_namespace;
  std::string node;
  std::string zone;

  bool operator==(const SliceEndpoint&) const = default;
};

struct SlicePort {
  std::string name;
  std::uint32_t port = 0;  // 0: any
  std::string protocol;
  std::string app_protocol;

  bool operator==(const SlicePort&) const = default;
};

struct EndpointSlice {
  std::string service;       // label kubernetes.io/service-name, or the name of Endpoints
  std::string address_type;  // IPv4, IPv6, FQDN
  std::vector<SlicePort> ports;
  std::vector<SliceEndpoint> endpoints;

  bool operator==(const EndpointSlice&) const = default;
};

struct WorkloadEntry {
  std::string address;  // IP, DNS name, or unix:///path
  std::map<std::string, std::uint32_t> ports;
  Labels labels;
  std::string network;
  std::string locality;  // region/zone/subzone
  std::uint32_t weight = 0;
  std::string service_account;
  // False: health checks are on for it, and its last one, if there was any, did not pass.
  bool healthy = true;

  bool operator==(const WorkloadEntry&) const = default;
};

struct ServiceEntry {
  enum class Location : std::uint8_t { mesh_external, mesh_internal };
  enum class Resolution : std::uint8_t { none, static_, dns, dns_round_robin, dynamic_dns };
  struct Port {
    std::uint32_t number = 0;
    std::string protocol;
    std::string name;
    std::uint32_t target_port = 0;  // 0: `number`
    bool operator==(const Port&) const = default;
  };
  std::vector<std::string> hosts;
  std::vector<std::string> addresses;  // IPs or CIDRs
  std::vector<Port> ports;
  Location location = Location::mesh_external;
  Resolution resolution = Resolution::none;
  std::vector<WorkloadEntry> endpoints;
  Labels workload_selector;  // empty: none
  std::vector<std::string> export_to;
  std::vector<std::string> subject_alt_names;
  std::optional<TrafficDistribution> distribution;  // of the annotation

  bool operator==(const ServiceEntry&) const = default;
};

}  // namespace graymesh::model
