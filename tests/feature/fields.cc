#include "fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "base/json.h"
#include "control/resource/node.h"
#include "control/resource/resource.h"
#include "control/snapshot/snapshot.h"
#include "control/translate/translate.h"
#include "mesh.h"
#include "model/model.h"

namespace graymesh::feature {
namespace {

using testing::IsEmpty;

// Beside every example. Two HTTP ports, so that a port is a choice; a TCP port; two versions.
constexpr const char* around = R"(
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: fe-pre}
spec:
  clusterIP: 10.96.0.1
  selector: {app: cart}
  ports: [{name: http, port: 8080}, {name: http-more, port: 9090}, {name: tcp-db, port: 5432},
    {name: tcp-db-more, port: 5433}, {name: tls, port: 8443}, {name: tls-more, port: 8444}]
---
apiVersion: v1
kind: Service
metadata: {name: pay, namespace: fe-pre}
spec: {clusterIP: 10.96.0.2, selector: {app: pay}, ports: [{name: http, port: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: pay, namespace: fe-online}
spec: {clusterIP: 10.96.0.3, selector: {app: pay}, ports: [{name: http, port: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: cart-0, namespace: fe-pre, labels: {app: cart, version: a}}
spec: {nodeName: n, containers: [{name: app}]}
status: {phase: Running, podIP: 10.1.0.1, conditions: [{type: Ready, status: "True"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: cart-1, namespace: fe-pre, labels: {app: cart, version: b}}
spec: {nodeName: n2, containers: [{name: app}]}
status: {phase: Running, podIP: 10.1.0.2, conditions: [{type: Ready, status: "True"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: cart-2, namespace: fe-pre, labels: {app: cart, version: b}}
spec: {nodeName: n3, containers: [{name: app}]}
status: {phase: Running, podIP: 10.1.0.4, conditions: [{type: Ready, status: "True"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: pay-0, namespace: fe-pre, labels: {app: pay}}
spec: {nodeName: n, containers: [{name: app}]}
status: {phase: Running, podIP: 10.1.0.3, conditions: [{type: Ready, status: "True"}]}
---
apiVersion: v1
kind: Node
metadata: {name: n, labels: {topology.kubernetes.io/region: r1, topology.kubernetes.io/zone: z1}}
---
apiVersion: v1
kind: Node
metadata: {name: n2, labels: {topology.kubernetes.io/region: r2, topology.kubernetes.io/zone: z2}}
---
apiVersion: v1
kind: Node
metadata: {name: n3, labels: {topology.kubernetes.io/region: r3, topology.kubernetes.io/zone: z3}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: door, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}
  - {port: {number: 9443, name: tls, protocol: TLS}, hosts: ["*"], tls: {mode: PASSTHROUGH}}
  - {port: {number: 9444, name: more, protocol: TLS}, hosts: ["*"], tls: {mode: PASSTHROUGH}}
---
)";

resource::Node on_loopback(const std::string& app) {
  resource::Node node = sidecar_node(app);
  node.address = "127.1.0.1";
  node.addresses = {node.address};
  node.app_address = "127.65.0.1";
  node.interception = resource::Node::Interception::none;
  node.http_proxy_port = 15001;
  return node;
}

resource::Node proxyless() {
  resource::Node node = sidecar_node("web");
  node.kind = resource::Node::Kind::other;
  node.user_agent = "gRPC Go 1.76.0";
  return node;
}

resource::Node other_gateway() {
  resource::Node node = gateway_node();
  node.labels["istio"] = "egressgateway";
  node.id += "-other";
  return node;
}

// What all of them are sent: version by proxy, type and name.
using Sent = std::map<std::string, std::uint64_t>;

struct Told {
  std::vector<std::string> refused;
  std::string warnings;  // of the object and of what holds together, line by line
  Sent sent;
};

Told tell(const Json& object, const std::string& more, const std::string& mesh_config) {
  Told told;
  const auto config = model::read_mesh_config(mesh_config, "mesh-config.yaml");
  for (const auto& problem : config.errors) told.refused.push_back(model::to_string(problem));
  for (const auto& problem : config.warnings) told.warnings += model::to_string(problem) + "\n";
  std::vector<model::ObjectPtr> objects;
  const std::string all = around + more + (object.is_null() ? "" : object.dump());
  for (const auto& document : model::read(all, "mesh.yaml")) {
    for (const auto& problem : document.errors) told.refused.push_back(model::to_string(problem));
    if (!document.object) continue;
    for (const auto& problem : document.object->warnings)
      told.warnings += model::to_string(problem) + "\n";
    objects.push_back(document.object);
  }
  std::ranges::sort(objects, {}, [](const auto& one) { return one->meta.key; });
  const auto built = snapshot::build(
      objects, std::make_shared<const model::MeshConfig>(config.config), nullptr, 1);
  for (const auto& problem : built->problems()) told.warnings += model::to_string(problem) + "\n";
  const translate::Generation generation(built, nullptr);
  for (resource::Node node : {sidecar_node("web"), sidecar_node("pay"), sidecar_node("cart"),
                              sidecar_node("web", "fe-online"), on_loopback("web"), gateway_node(),
                              other_gateway(), proxyless()}) {
    node.region = "r1";
    node.zone = "z1";
    const auto sent = generation.config_for(node);
    for (const resource::Type type : resource::all_types) {
      for (const auto& set : sent->of(type)) {
        for (const auto& resource : set->all()) {
          told.sent[node.id + node.address + node.user_agent + "|" +
                    std::to_string(static_cast<int>(type)) + "|" + resource->name()] =
              resource->version();
        }
      }
    }
  }
  return told;
}

// "http[0].match[0].uri.prefix", as problems write it, of every part of `json`.
void collect(const Json& json, const std::string& path, const Json::json_pointer& at,
             std::vector<std::pair<std::string, Json::json_pointer>>& out) {
  if (json.is_object()) {
    for (const auto& [name, value] : json.items()) {
      const std::string below = path.empty() ? name : path + "." + name;
      out.emplace_back(below, at / name);
      collect(value, below, at / name, out);
    }
  } else if (json.is_array()) {
    for (std::size_t i = 0; i < json.size(); ++i) {
      const std::string below = path + "[" + std::to_string(i) + "]";
      out.emplace_back(below, at / i);
      collect(json[i], below, at / i, out);
    }
  }
}

Json without(Json object, const Json::json_pointer& part) {
  Json& parent = object.at(part.parent_pointer());
  if (parent.is_array()) {
    parent.erase(static_cast<std::size_t>(std::stoul(part.back())));
  } else {
    parent.erase(part.back());
  }
  return object;
}

// That it, or what it is a part of, does nothing.
bool is_told(const std::string& warnings, std::string path) {
  while (!path.empty()) {
    if (warnings.find(" " + path + " ") != std::string::npos) return true;
    const auto cut = path.find_last_of(".[");
    path.resize(cut == std::string::npos ? 0 : cut);
  }
  return false;
}

// Parts of `object` (all of it, or its spec) without effect of which nobody is told.
std::vector<std::string> silent(const Json& object, const Json::json_pointer& from,
                                const std::set<std::string>& on_purpose,
                                const std::function<Told(const Json&)>& tell_of) {
  const Told whole = tell_of(object);
  EXPECT_THAT(whole.refused, IsEmpty());
  std::vector<std::pair<std::string, Json::json_pointer>> parts;
  collect(object.at(from), "", from, parts);
  std::vector<std::string> out;
  for (const auto& [path, pointer] : parts) {
    if (on_purpose.contains(path)) continue;
    const Told less = tell_of(without(object, pointer));
    if (!less.refused.empty() || less.sent != whole.sent) continue;
    const auto told = [&](const auto& part) {
      return is_told(whole.warnings, part.first) || on_purpose.contains(part.first);
    };
    // What has parts is told of if each of them is.
    const bool all_below = std::ranges::all_of(parts, [&](const auto& part) {
      const bool leaf = object.at(part.second).empty() || object.at(part.second).is_primitive();
      return !leaf || !part.first.starts_with(path) || told(part);
    });
    if (!all_below) out.push_back(path);
  }
  return out;
}

}  // namespace

std::vector<std::string> silent(const Example& example) {
  return silent(Json::parse(example.object), Json::json_pointer("/spec"), example.on_purpose,
                [&](const Json& object) { return tell(object, example.more, ""); });
}

std::string istio(const std::string& kind, const std::string& spec) {
  return R"({"apiVersion": "networking.istio.io/v1", "kind": ")" + kind +
         R"(", "metadata": {"name": "x", "namespace": "fe-pre"}, "spec": )" + spec + "}";
}

std::vector<std::string> silent_of_mesh(const std::string& config, const std::string& more,
                                        const std::set<std::string>& on_purpose) {
  return silent(Json::parse(config), Json::json_pointer(""), on_purpose,
                [&](const Json& less) { return tell(nullptr, more, less.dump()); });
}

}  // namespace graymesh::feature
