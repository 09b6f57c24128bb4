#include <algorithm>

#include "control/traffic/details.h"
#include "control/traffic/traffic.h"
#include "envoy/data/accesslog/v3/accesslog.pb.h"
#include "envoy/service/accesslog/v3/als.pb.h"

namespace graymesh::traffic {
namespace {

using envoy::data::accesslog::v3::HTTPAccessLogEntry;
using envoy::service::accesslog::v3::StreamAccessLogsMessage;
using google::protobuf::Struct;

constexpr std::string_view lane_member = "canarytag";  // of baggage
constexpr std::size_t text_bytes_max = 253;            // names are DNS names; the rest is abuse
constexpr std::size_t cluster_bytes_max = 600;         // a host, a subset and a port

Error invalid(std::string message) { return {Code::invalid_argument, std::move(message)}; }

std::string text(const Struct& fields, const char* name) {
  const auto found = fields.fields().find(name);
  return found == fields.fields().end() ? "" : found->second.string_value();
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") + 1 - first);
}

// The member of W3C baggage, `a=1, canarytag=feature-a;p=q`; empty if there is none.
std::string_view lane_in(std::string_view baggage) {
  while (!baggage.empty()) {
    const auto end = std::min(baggage.find(','), baggage.size());
    const auto member = baggage.substr(0, end);
    baggage.remove_prefix(std::min(end + 1, baggage.size()));
    const auto equals = member.find('=');
    if (equals == std::string_view::npos || trimmed(member.substr(0, equals)) != lane_member)
      continue;
    const auto value = member.substr(equals + 1);
    return trimmed(value.substr(0, value.find(';')));
  }
  return {};
}

// "cart.fe-pre" of "outbound|8080|feature-a|cart.fe-pre.svc.cluster.local".
std::string service_of(std::string_view cluster) {
  if (!cluster.starts_with("outbound|")) return {};
  const auto host = cluster.substr(cluster.rfind('|') + 1);
  const auto name = host.find('.');
  if (name == std::string_view::npos) return {};
  const auto space = host.find(".svc", name + 1);
  if (space == std::string_view::npos || host.size() > text_bytes_max) return {};
  return std::string(host.substr(0, space));
}

std::string_view header(const HTTPAccessLogEntry& entry, const std::string& name) {
  const auto& headers = entry.request().request_headers();
  const auto found = headers.find(name);
  return found == headers.end() ? std::string_view() : std::string_view(found->second);
}

// Whether the application's own header was seen, before the stamp and before routes.
bool sent_header(const HTTPAccessLogEntry& entry) {
  const auto& all = entry.common_properties().metadata().filter_metadata();
  const auto ours = all.find("graymesh");
  return ours != all.end() && ours->second.fields().contains("lane_sent");
}

// Of W3C's traceparent, "00-<32 digits>-<16 digits>-01"; empty: there is none, or nobody keeps it.
std::string sampled_trace(std::string_view traceparent) {
  constexpr std::size_t size = 55, id_at = 3, id_size = 32, flags_at = 53;
  if (traceparent.size() != size || traceparent[2] != '-' || traceparent[id_at + id_size] != '-' ||
      traceparent[flags_at - 1] != '-')
    return {};
  const auto digits = [](std::string_view text) {
    return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
  };
  const auto id = traceparent.substr(id_at, id_size);
  if (!digits(id) || id.find_first_not_of('0') == std::string_view::npos) return {};
  const char flags = traceparent.back();
  const bool sampled = digits({&flags, 1}) && (flags >= 'a' ? flags - 'a' + 10 : flags - '0') % 2;
  return sampled ? std::string(id) : std::string();
}

double milliseconds(const google::protobuf::Duration& span) {
  return static_cast<double>(span.seconds()) * 1e3 + static_cast<double>(span.nanos()) / 1e6;
}

Request read_entry(const HTTPAccessLogEntry& entry, const std::string& lane_header,
                   const Teller& teller) {
  const std::string_view by_header = header(entry, lane_header);
  const std::string_view by_baggage = lane_in(header(entry, "baggage"));
  const std::string_view lane = by_header.empty() ? by_baggage : by_header;
  Request out;
  // No label is longer: such a lane cannot be known.
  out.lane = lane.size() > text_bytes_max ? lane.substr(0, text_bytes_max) : lane;
  out.carrier = sent_header(entry)    ? Carrier::header
                : teller.stamped      ? Carrier::stamp
                : !by_baggage.empty() ? Carrier::baggage
                                      : Carrier::match;
  out.to = service_of(entry.common_properties().upstream_cluster());
  out.id = entry.request().request_id().substr(0, text_bytes_max);
  out.cluster = entry.common_properties().upstream_cluster().substr(0, cluster_bytes_max);
  out.code = static_cast<std::uint16_t>(entry.response().response_code().value());
  out.ms = milliseconds(entry.common_properties().time_to_last_downstream_tx_byte());
  out.trace = sampled_trace(header(entry, "traceparent"));
  return out;
}

Result<Teller> read_teller(const StreamAccessLogsMessage::Identifier& identifier) {
  Teller out;
  const auto& name = identifier.log_name();
  if (name == "graymesh.gateway") {
    out.side = Teller::Side::gateway;
  } else if (name == "graymesh.outbound" || name == "graymesh.outbound.stamped") {
    out.side = Teller::Side::outbound;
    out.stamped = name.ends_with(".stamped");
  } else if (name != "graymesh.inbound") {
    return invalid("identifier.log_name \"" + name.substr(0, text_bytes_max) +
                   "\": must be one that graymesh configures");
  }
  if (identifier.node().id().empty())
    return invalid("identifier.node.id is empty; the first message of a stream names its node");
  const Struct& metadata = identifier.node().metadata();
  out.proxy = identifier.node().id();
  out.who.namespace_ = text(metadata, "NAMESPACE");
  const auto labels = metadata.fields().find("LABELS");
  if (labels != metadata.fields().end()) {
    const Struct& all = labels->second.struct_value();
    out.who.application = text(all, "app");
    out.who.tag = text(all, "stage") == "gray" ? text(all, "canarytag") : "";
    out.who.revision = text(all, "graymesh.io/revision");
    out.version = text(all, "version");
  }
  for (const auto* field : {&out.proxy, &out.version, &out.who.namespace_, &out.who.application,
                            &out.who.tag, &out.who.revision}) {
    if (field->size() > 4 * text_bytes_max)
      return invalid("identifier.node has a name of " + std::to_string(field->size()) + " bytes");
  }
  return out;
}

}  // namespace

Result<std::vector<Request>> Reader::read(std::string_view bytes, bool details) {
  if (bytes.size() > message_bytes_max)
    return invalid("the message has " + std::to_string(bytes.size()) + " bytes, at most " +
                   std::to_string(message_bytes_max));
  StreamAccessLogsMessage message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return invalid("the message is not a " + message.GetTypeName());
  if (!teller_) teller_ = TRY(read_teller(message.identifier()));
  std::vector<Request> out;
  out.reserve(static_cast<std::size_t>(message.http_logs().log_entry_size()));
  for (const auto& entry : message.http_logs().log_entry()) {
    out.push_back(read_entry(entry, lane_header_, *teller_));
    if (details) out.back().details = details_of(entry);
  }
  return out;
}

}  // namespace graymesh::traffic
