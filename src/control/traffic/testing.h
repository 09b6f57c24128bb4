// For tests: messages of Envoy's access log service, as it sends them.
#pragma once

#include <initializer_list>
#include <map>
#include <string>

#include "envoy/service/accesslog/v3/als.pb.h"

namespace graymesh::traffic::testing {

struct Entry {
  std::map<std::string, std::string> headers = {};
  std::string cluster = {};
  bool sent = false;  // the application sent the lane header itself
  std::string id = {};
};

inline std::string message(const std::string& log, const std::map<std::string, std::string>& labels,
                           std::initializer_list<Entry> entries,
                           const std::string& proxy = "sidecar~1") {
  envoy::service::accesslog::v3::StreamAccessLogsMessage out;
  if (!log.empty()) {
    auto& identifier = *out.mutable_identifier();
    identifier.set_log_name(log);
    identifier.mutable_node()->set_id(proxy);
    auto& fields = *identifier.mutable_node()->mutable_metadata()->mutable_fields();
    fields["NAMESPACE"].set_string_value("fe-pre");
    auto& to = *fields["LABELS"].mutable_struct_value()->mutable_fields();
    for (const auto& [name, value] : labels) to[name].set_string_value(value);
  }
  for (const Entry& entry : entries) {
    auto& to = *out.mutable_http_logs()->add_log_entry();
    to.mutable_common_properties()->set_upstream_cluster(entry.cluster);
    to.mutable_request()->set_request_id(entry.id);
    for (const auto& [name, value] : entry.headers)
      (*to.mutable_request()->mutable_request_headers())[name] = value;
    if (entry.sent) {
      auto& ours = (*to.mutable_common_properties()
                         ->mutable_metadata()
                         ->mutable_filter_metadata())["graymesh"];
      (*ours.mutable_fields())["lane_sent"].set_string_value("x");
    }
  }
  return out.SerializeAsString();
}

}  // namespace graymesh::traffic::testing
