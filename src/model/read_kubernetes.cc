// Kubernetes' Namespace, Node, Pod and Service, as `kubectl get -o yaml` exports them: only what we
// use is looked at.
#include <algorithm>

#include "model/distribution.h"
#include "model/kinds.h"
#include "model/rules.h"
#include "model/scalars.h"

namespace graymesh::model {
namespace {

void read_container_port(Fields& f, ContainerPort& out) {
  f.text("name", out.name);
  f.number("containerPort", out.number, port_range);
  out.protocol = "TCP";
  f.text("protocol", out.protocol);
}

void read_containers(Fields& f, std::string_view name, Pod& out) {
  std::vector<int> ignored;
  f.list(name, ignored, [&](Fields& container, int&) {
    std::string restart;
    container.text("restartPolicy", restart);
    // Of the init containers only those that stay (native sidecars) serve ports.
    if (name == "initContainers" && restart != "Always") return;
    std::vector<ContainerPort> ports;
    container.list("ports", ports, read_container_port);
    out.ports.insert(out.ports.end(), ports.begin(), ports.end());
  });
}

// "web-7d4b9c" of a ReplicaSet with the pod's hash 7d4b9c is the Deployment "web"; "tidy-28412345"
// of a Job is the CronJob "tidy", by the minute in its name (Istio's way to tell).
std::string workload_of(std::string_view kind, std::string_view owner, const Labels& labels) {
  const auto hash = labels.find("pod-template-hash");
  if (kind == "ReplicaSet" && hash != labels.end() && owner.ends_with("-" + hash->second)) {
    return std::string(owner.substr(0, owner.size() - hash->second.size() - 1));
  }
  const std::size_t dash = owner.rfind('-');
  if (kind == "Job" && dash != std::string_view::npos && dash > 0) {
    const std::string_view minute = owner.substr(dash + 1);
    const bool digits =
        std::all_of(minute.begin(), minute.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (digits && minute.size() >= 8 && minute.size() <= 10)
      return std::string(owner.substr(0, dash));
  }
  return std::string(owner);
}

void read_owner(Fields& metadata, const Labels& labels, std::string& workload) {
  std::vector<int> ignored;
  metadata.list("ownerReferences", ignored, [&](Fields& owner, int&) {
    bool controller = false;
    std::string kind, name;
    owner.flag("controller", controller);
    owner.text("kind", kind);
    owner.text("name", name);
    if (controller && !name.empty()) workload = workload_of(kind, name, labels);
  });
}

void read_pod_status(Fields& f, Pod& out) {
  f.text("phase", out.phase);
  std::string ip;
  f.text("podIP", ip);
  if (!ip.empty()) out.ips.push_back(ip);
  std::vector<int> ignored;
  f.list("podIPs", ignored, [&](Fields& entry, int&) {
    std::string other;
    entry.text("ip", other);
    if (!other.empty() && std::find(out.ips.begin(), out.ips.end(), other) == out.ips.end())
      out.ips.push_back(other);
  });
  f.list("conditions", ignored, [&](Fields& condition, int&) {
    std::string type, status;
    condition.text("type", type);
    condition.word("status", status);
    if (type == "Ready") out.ready = status == "True";
  });
}

void read_service_port(Fields& f, ServicePort& out) {
  f.text("name", out.name);
  if (f.require("port")) f.number("port", out.port, port_range);
  out.protocol = "TCP";
  f.text("protocol", out.protocol);
  f.text("appProtocol", out.app_protocol);
  const Element* target = f.find("targetPort");
  if (target == nullptr) return;
  if (target->is_scalar() && (!target->plain || !to_integer(target->text)))
    f.text("targetPort", out.target_port_name);
  else
    f.number("targetPort", out.target_port, port_range);
}

// Kubernetes checks the words; those that it will have are no preference to us.
void read_distribution_field(Fields& f, std::optional<TrafficDistribution>& out) {
  std::string word;
  f.text("trafficDistribution", word);
  if (word.empty()) return;
  out = distribution_named(word);
  if (!out) f.warn("trafficDistribution", unknown_distribution);
}

void read_service_spec(Fields& f, Service& out) {
  f.text("type", out.type);
  f.texts("clusterIPs", out.cluster_ips);
  std::string ip;
  f.text("clusterIP", ip);
  if (out.cluster_ips.empty() && !ip.empty()) out.cluster_ips.push_back(ip);
  f.text("externalName", out.external_name);
  f.list("ports", out.ports, read_service_port);
  f.text_map("selector", out.selector);
  f.flag("publishNotReadyAddresses", out.publish_not_ready);
  std::string internal;
  f.text("internalTrafficPolicy", internal);
  out.node_local = internal == "Local";
  read_distribution_field(f, out.distribution);
  f.text("sessionAffinity", out.session_affinity);
  if (out.type == "ExternalName" && out.external_name.empty())
    f.error("externalName", "is required by type ExternalName");
  const bool none = !out.cluster_ips.empty() && out.cluster_ips.front() == "None";
  if (out.ports.empty() && out.type != "ExternalName" && !none)
    f.warn("ports", "is missing: nothing can be routed to this Service");
}

}  // namespace

void read_namespace(Fields& f, const Meta& meta, Namespace& out) {
  read_distribution(f.reading(), f.node(), meta, out.distribution);
}

void read_node(Fields& f, Node& out) {
  f.visit("status", [&](Fields& status) {
    std::vector<int> ignored;
    status.list("addresses", ignored, [&](Fields& entry, int&) {
      std::string type, address;
      entry.text("type", type);
      entry.text("address", address);
      if (type == "InternalIP" || type == "ExternalIP") out.addresses.push_back(address);
    });
  });
}

void read_pod(Fields& f, const Meta& meta, Pod& out) {
  out.workload = meta.key.name;
  const auto stamp = meta.annotations.find("graymesh.io/lane-stamp");
  out.lane_stamp = stamp == meta.annotations.end() || stamp->second != "false";
  f.visit("metadata", [&](Fields& metadata) {
    out.terminating = metadata.has("deletionTimestamp");
    read_owner(metadata, meta.labels, out.workload);
  });
  f.visit("spec", [&](Fields& spec) {
    spec.text("nodeName", out.node);
    spec.text("serviceAccountName", out.service_account);
    spec.flag("hostNetwork", out.host_network);
    read_containers(spec, "containers", out);
    read_containers(spec, "initContainers", out);
  });
  f.visit("status", [&](Fields& status) { read_pod_status(status, out); });
}

void read_service(Fields& f, const Meta& meta, Service& out) {
  if (f.require("spec")) f.visit("spec", [&](Fields& spec) { read_service_spec(spec, out); });
  if (!out.distribution) read_distribution(f.reading(), f.node(), meta, out.distribution);
}

}  // namespace graymesh::model
