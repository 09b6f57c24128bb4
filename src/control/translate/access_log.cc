// The access log that MeshConfig asks for: a file or standard output, as text or JSON, in Istio's
// format unless another is given. The text's last word is the route's name.
#include <google/protobuf/util/json_util.h>

#include "control/translate/http_connection_manager.h"
#include "control/translate/wire.h"
#include "envoy/config/accesslog/v3/accesslog.pb.h"
#include "envoy/extensions/access_loggers/file/v3/file.pb.h"

namespace graymesh::translate {
namespace {

using envoy::config::accesslog::v3::AccessLog;
using envoy::extensions::access_loggers::file::v3::FileAccessLog;

constexpr const char* default_text =
    "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" "
    "%RESPONSE_CODE% "
    "%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "
    "\"%UPSTREAM_TRANSPORT_FAILURE_REASON%\" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% "
    "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" "
    "\"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\" %UPSTREAM_CLUSTER_RAW% "
    "%UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% "
    "%REQUESTED_SERVER_NAME% %ROUTE_NAME%\n";

// Istio's, and the objects that decided: the VirtualService of the route, the DestinationRule of
// the cluster, by their paths in the Kubernetes API; null where there was none.
constexpr std::pair<const char*, const char*> default_json[] = {
    {"rule", "%METADATA(ROUTE:istio:config)%"},
    {"policy", "%METADATA(CLUSTER:istio:config)%"},
    {"start_time", "%START_TIME%"},
    {"route_name", "%ROUTE_NAME%"},
    {"method", "%REQ(:METHOD)%"},
    {"path", "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"},
    {"protocol", "%PROTOCOL%"},
    {"response_code", "%RESPONSE_CODE%"},
    {"response_flags", "%RESPONSE_FLAGS%"},
    {"response_code_details", "%RESPONSE_CODE_DETAILS%"},
    {"connection_termination_details", "%CONNECTION_TERMINATION_DETAILS%"},
    {"bytes_received", "%BYTES_RECEIVED%"},
    {"bytes_sent", "%BYTES_SENT%"},
    {"duration", "%DURATION%"},
    {"upstream_service_time", "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%"},
    {"x_forwarded_for", "%REQ(X-FORWARDED-FOR)%"},
    {"user_agent", "%REQ(USER-AGENT)%"},
    {"request_id", "%REQ(X-REQUEST-ID)%"},
    {"authority", "%REQ(:AUTHORITY)%"},
    {"upstream_host", "%UPSTREAM_HOST%"},
    {"upstream_cluster", "%UPSTREAM_CLUSTER_RAW%"},
    {"upstream_local_address", "%UPSTREAM_LOCAL_ADDRESS%"},
    {"downstream_local_address", "%DOWNSTREAM_LOCAL_ADDRESS%"},
    {"downstream_remote_address", "%DOWNSTREAM_REMOTE_ADDRESS%"},
    {"requested_server_name", "%REQUESTED_SERVER_NAME%"},
    {"upstream_transport_failure_reason", "%UPSTREAM_TRANSPORT_FAILURE_REASON%"},
};

// The user's JSON object; the default's fields if there is none or it is not one.
void set_json(const std::string& format, google::protobuf::Struct& out) {
  if (!format.empty() && google::protobuf::util::JsonStringToMessage(format, &out).ok()) return;
  out.Clear();
  for (const auto& [key, value] : default_json)
    (*out.mutable_fields())[key].set_string_value(value);
}

}  // namespace

bool logs_access(const model::MeshConfig& mesh) { return !mesh.access_log_file.empty(); }

void set_access_log(const model::MeshConfig& mesh, AccessLog& out) {
  FileAccessLog log;
  log.set_path(mesh.access_log_file);
  auto& format = *log.mutable_log_format();
  if (mesh.access_log_json) {
    set_json(mesh.access_log_format, *format.mutable_json_format());
  } else {
    const auto& text = mesh.access_log_format;
    format.mutable_text_format_source()->set_inline_string(text.empty() ? default_text : text);
  }
  out.set_name("envoy.access_loggers.file");
  pack(log, *out.mutable_typed_config());
}

void set_listener_log(const model::MeshConfig& mesh, AccessLog& out) {
  set_access_log(mesh, out);
  out.mutable_filter()->mutable_response_flag_filter()->add_flags("NR");
}

}  // namespace graymesh::translate
