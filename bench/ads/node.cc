#include "bench/ads/node.h"

#include <fmt/core.h>
#include <google/protobuf/util/json_util.h>

#include <fstream>

#include "base/json.h"
#include "envoy/config/core/v3/base.pb.h"

namespace graymesh::ads {
namespace {

using Json = nlohmann::json;

Json metadata_of(const Json& from, const std::string& name, const std::string& space) {
  const std::string ip = from.at("ip");
  const std::string app = from.value("svc", name);
  Json metadata = {
      {"NAME", name},
      {"NAMESPACE", space},
      {"WORKLOAD_NAME", app},
      {"OWNER", fmt::format("kubernetes://apis/apps/v1/namespaces/{}/deployments/{}", space, app)},
      {"SERVICE_ACCOUNT", app},
      {"LABELS", from.value("labels", Json::object())},
      {"INSTANCE_IPS", ip},
      {"INTERCEPTION_MODE", "REDIRECT"},
      {"CLUSTER_ID", "Kubernetes"},
      {"MESH_ID", "cluster.local"},
      {"DNS_DOMAIN", fmt::format("{}.svc.cluster.local", space)},
      {"ISTIO_VERSION", "1.30.0"},
      {"ENVOY_STATUS_PORT", 15021},
      {"ENVOY_PROMETHEUS_PORT", 15090},
  };
  metadata.update(from.value("metadata", Json::object()));
  return metadata;
}

Result<Node> node_of(const Json& from) {
  const std::string name = from.at("name"), space = from.at("ns"), ip = from.at("ip");
  Node node{.id = fmt::format("sidecar~{}~{}.{}~{}.svc.cluster.local", ip, name, space, space)};
  envoy::config::core::v3::Node message;
  message.set_id(node.id);
  message.set_cluster(fmt::format("{}.{}", from.value("svc", name), space));
  message.set_user_agent_name("envoy");
  auto& version = *message.mutable_user_agent_build_version()->mutable_version();
  version.set_major_number(1);
  version.set_minor_number(40);
  const std::string text = metadata_of(from, name, space).dump();
  if (const auto read =
          google::protobuf::util::JsonStringToMessage(text, message.mutable_metadata());
      !read.ok())
    return Error{Code::invalid_argument, "metadata: " + read.ToString()};
  node.wire = message.SerializeAsString();
  return node;
}

}  // namespace

Result<std::vector<Node>> read_nodes(const std::string& file, std::size_t count) {
  std::ifstream in(file);
  if (!in) return Error{Code::not_found, file + ": cannot be read"};
  std::vector<Node> nodes;
  std::string line;
  for (std::size_t number = 1; nodes.size() < count && std::getline(in, line); ++number) {
    try {
      nodes.push_back(TRY(node_of(Json::parse(line))));
    } catch (const Json::exception& fault) {
      return Error{Code::invalid_argument, fmt::format("{}:{}: {}", file, number, fault.what())};
    }
  }
  if (nodes.size() < count)
    return Error{Code::out_of_range,
                 fmt::format("{}: {} nodes, {} are wanted", file, nodes.size(), count)};
  return nodes;
}

}  // namespace graymesh::ads
