#include "control/xds/node.h"

#include <arpa/inet.h>
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "envoy/config/core/v3/base.pb.h"

namespace graymesh::xds {
namespace {

using Struct = google::protobuf::Struct;
constexpr std::size_t id_bytes_max = 1024;  // Kubernetes' names end at 253 each; the rest is abuse

std::vector<std::string> split(std::string_view text, char at) {
  std::vector<std::string> parts;
  for (;;) {
    const auto end = text.find(at);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

bool is_ip(const std::string& text) {
  std::array<unsigned char, sizeof(in6_addr)> bytes;
  return inet_pton(AF_INET, text.c_str(), bytes.data()) == 1 ||
         inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1;
}

// Empty if absent or not a string.
std::string text(const Struct& fields, const char* name) {
  const auto found = fields.fields().find(name);
  return found == fields.fields().end() ? std::string() : found->second.string_value();
}

// A number, or text that is one; 0 for all else.
std::uint32_t number(const Struct& fields, const char* name) {
  const auto found = fields.fields().find(name);
  if (found == fields.fields().end()) return 0;
  const double value = found->second.number_value();
  if (value >= 1 && value <= 65535) return static_cast<std::uint32_t>(value);
  const std::string& digits = found->second.string_value();
  std::uint32_t out = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out);
  return error == std::errc{} && end == digits.data() + digits.size() && out <= 65535 ? out : 0;
}

// As Go writes durations: "1h30m", "1.5s", "0". None for all else, and for what Envoy would not
// take.
std::optional<std::chrono::nanoseconds> duration(std::string_view text) {
  constexpr std::pair<std::string_view, double> units[] = {
      {"ns", 1}, {"us", 1e3}, {"µs", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
  constexpr double most = 10 * 365 * 24 * 3600e9;  // ten years, for no reason but a bound
  if (text == "0") return std::chrono::nanoseconds(0);
  if (text.empty()) return std::nullopt;
  double total = 0;
  while (!text.empty()) {
    double value = 0;
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
    if (error != std::errc{} || !(value >= 0)) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    const std::string_view unit = text.substr(0, text.find_first_of("0123456789."));
    const auto found = std::ranges::find(units, unit, &std::pair<std::string_view, double>::first);
    if (found == std::end(units)) return std::nullopt;
    text.remove_prefix(unit.size());
    total += value * found->second;
  }
  if (total > most) return std::nullopt;
  return std::chrono::nanoseconds(static_cast<std::int64_t>(total));
}

Error bad_id(const std::string& id, std::string_view why) {
  return Error{Code::invalid_argument, fmt::format("node.id \"{}\": {}", id, why)};
}

// `kind~IP~name.namespace~domain`
Status read_id(resource::Node& node) {
  const auto parts = split(node.id, '~');
  if (parts.size() != 4) {
    return bad_id(node.id,
                  fmt::format("has {} parts, must be kind~IP~name.namespace~domain", parts.size()));
  }
  if (!is_ip(parts[1]))
    return bad_id(node.id, fmt::format("\"{}\" is not an IP address", parts[1]));
  const auto dot = parts[2].rfind('.');
  if (dot == std::string::npos || dot == 0 || dot + 1 == parts[2].size()) {
    return bad_id(node.id, fmt::format("\"{}\" is not name.namespace", parts[2]));
  }
  node.address = parts[1];
  node.name = parts[2].substr(0, dot);
  node.namespace_ = parts[2].substr(dot + 1);
  return {};
}

void read_addresses(const Struct& metadata, resource::Node& node) {
  if (!node.address.empty()) node.addresses.push_back(node.address);
  for (auto& address : split(text(metadata, "INSTANCE_IPS"), ',')) {
    if (is_ip(address) && std::ranges::find(node.addresses, address) == node.addresses.end()) {
      node.addresses.push_back(std::move(address));
    }
  }
  if (node.address.empty() && !node.addresses.empty()) node.address = node.addresses.front();
}

// Its bootstrap's word goes before its Pod's.
void read_vhds(const Struct& metadata, resource::Node& node) {
  std::string vhds = text(metadata, "GRAYMESH_VHDS");
  const auto annotations = metadata.fields().find("ANNOTATIONS");
  if (vhds.empty() && annotations != metadata.fields().end())
    vhds = text(annotations->second.struct_value(), "graymesh.io/vhds");
  if (vhds == "on" || vhds == "off") node.vhds = vhds == "on";
}

void read_metadata(const Struct& metadata, resource::Node& node) {
  if (auto name = text(metadata, "NAME"); !name.empty()) node.name = std::move(name);
  if (auto name = text(metadata, "NAMESPACE"); !name.empty()) node.namespace_ = std::move(name);
  if (node.namespace_.empty()) node.namespace_ = "default";
  if (const auto labels = metadata.fields().find("LABELS"); labels != metadata.fields().end()) {
    for (const auto& [name, value] : labels->second.struct_value().fields())
      node.labels[name] = value.string_value();
  }
  const auto mode = text(metadata, "INTERCEPTION_MODE");
  if (mode == "TPROXY") node.interception = resource::Node::Interception::tproxy;
  if (mode == "NONE") node.interception = resource::Node::Interception::none;
  node.app_address = text(metadata, "APP_ADDRESS");
  node.http_proxy_port = number(metadata, "HTTP_PROXY_PORT");
  node.unprivileged = text(metadata, "UNPRIVILEGED_POD") == "true";
  node.http10 = text(metadata, "HTTP10") == "1";
  node.idle_timeout = duration(text(metadata, "IDLE_TIMEOUT"));
  node.takes_lane_log = text(metadata, "GRAYMESH_LANE_LOG") == "xds-grpc";
  node.counts_requests = text(metadata, "GRAYMESH_REQUEST_METRICS") == "stats";
  read_vhds(metadata, node);
  node.cluster_id = text(metadata, "CLUSTER_ID");
  node.node_name = text(metadata, "NODE_NAME");
  node.network = text(metadata, "NETWORK");
  node.service_account = text(metadata, "SERVICE_ACCOUNT");
  node.workload = text(metadata, "WORKLOAD_NAME");
  read_addresses(metadata, node);
}

// "envoy 1.40.0": Envoy sends its version as a build version, gRPC as a word.
std::string agent(const envoy::config::core::v3::Node& message) {
  std::string version = message.user_agent_version();
  if (message.has_user_agent_build_version()) {
    const auto& build = message.user_agent_build_version().version();
    version = fmt::format("{}.{}.{}", build.major_number(), build.minor_number(), build.patch());
  }
  return version.empty() ? message.user_agent_name() : message.user_agent_name() + " " + version;
}

}  // namespace

Result<resource::Node> read_node(const envoy::config::core::v3::Node& message) {
  resource::Node node;
  node.id = message.id();
  if (node.id.empty())
    return Error{Code::invalid_argument,
                 "node.id is empty; the first request of a stream names its node"};
  if (node.id.size() > id_bytes_max) {
    return Error{Code::invalid_argument,
                 fmt::format("node.id has {} bytes, at most {}", node.id.size(), id_bytes_max)};
  }
  if (node.id.starts_with("sidecar~")) node.kind = resource::Node::Kind::sidecar;
  if (node.id.starts_with("router~")) node.kind = resource::Node::Kind::router;
  if (node.kind != resource::Node::Kind::other) TRY(read_id(node));
  read_metadata(message.metadata(), node);
  node.region = message.locality().region();
  node.zone = message.locality().zone();
  node.sub_zone = message.locality().sub_zone();
  node.user_agent = agent(message);
  return node;
}

}  // namespace graymesh::xds
