// What a proxy says of itself when it connects: Istio's node id and metadata, read once.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace graymesh::resource {

struct Node {
  enum class Kind : std::uint8_t { sidecar, router, other };  // other: proxyless gRPC and strangers
  enum class Interception : std::uint8_t { redirect, tproxy, none };

  std::string id;  // "sidecar~127.1.2.3~web-0.fe-pre~fe-pre.svc.cluster.local"
  Kind kind = Kind::other;
  std::string address;                 // the instance's IP, from the id; INSTANCE_IPS may add more
  std::vector<std::string> addresses;  // all of them, `address` first
  std::string name;                    // "web-0" (NAME, or from the id)
  std::string namespace_;              // NAMESPACE, or from the id; "default" if neither
  std::map<std::string, std::string, std::less<>> labels;  // LABELS
  Interception interception = Interception::redirect;      // INTERCEPTION_MODE
  // Where the application itself listens, if not on the instance's address or 127.0.0.1: instances
  // that share one machine have a twin address each. Metadata APP_ADDRESS, ours.
  std::string app_address;
  std::uint32_t http_proxy_port = 0;  // HTTP_PROXY_PORT; 0: MeshConfig's proxyHttpPort
  bool unprivileged = false;          // UNPRIVILEGED_POD: no ports below 1024
  bool http10 = false;                // HTTP10: its listeners take HTTP/1.0
  std::optional<std::chrono::nanoseconds> idle_timeout;  // IDLE_TIMEOUT, of connections; 0: none
  // GRAYMESH_LANE_LOG "xds-grpc", ours: its bootstrap has a cluster of that name, which leads to
  // us.
  bool takes_lane_log = false;
  // GRAYMESH_REQUEST_METRICS "stats", ours: its Envoy has the stats logger, and its bootstrap keeps
  // what that counts.
  bool counts_requests = false;
  // GRAYMESH_VHDS "on" or "off", ours, or its Pod's annotation graymesh.io/vhds: its virtual hosts
  // come one by one, or not; else as the mesh has it. Only delta has them.
  std::optional<bool> vhds;
  bool delta = false;                  // speaks delta
  std::string cluster_id;              // CLUSTER_ID
  std::string node_name;               // NODE_NAME: the machine, by Kubernetes' name
  std::string network;                 // NETWORK
  std::string service_account;         // SERVICE_ACCOUNT
  std::string workload;                // WORKLOAD_NAME
  std::string region, zone, sub_zone;  // node.locality
  std::string user_agent;              // "envoy 1.40.0", "gRPC Go 1.76.0"

  bool operator==(const Node&) const = default;
};

}  // namespace graymesh::resource
