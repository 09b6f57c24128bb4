// Commands in header values, as Envoy 1.40 was found to take them (`envoy --mode validate`, each
// one with and without parameters). CEL, COALESCE and COMMON_DURATION are left out: their
// parameters are languages of their own, in which a mistake would cost everybody's routes.
// The one list: rules_http.cc refuses by it what users write, control/translate relies on it.
#include <algorithm>
#include <array>
#include <string>

#include "model/model.h"
#include "model/rules_text.h"

namespace graymesh::model {

using namespace rules;

namespace {

template <std::size_t N>
using Words = std::array<std::string_view, N>;

// Without parameters.
constexpr Words<129> plain = {"ACCESS_LOG_TYPE",
                              "BYTES_RECEIVED",
                              "BYTES_RETRANSMITTED",
                              "BYTES_SENT",
                              "CONNECTION_ID",
                              "CONNECTION_TERMINATION_DETAILS",
                              "CUSTOM_FLAGS",
                              "DOWNSTREAM_CX_RTT",
                              "DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED",
                              "DOWNSTREAM_DECOMPRESSED_HEADER_BYTES_SENT",
                              "DOWNSTREAM_DETECTED_CLOSE_TYPE",
                              "DOWNSTREAM_DIRECT_LOCAL_ADDRESS",
                              "DOWNSTREAM_DIRECT_LOCAL_ADDRESS_ENDPOINT_ID",
                              "DOWNSTREAM_DIRECT_LOCAL_PORT",
                              "DOWNSTREAM_DIRECT_REMOTE_ADDRESS",
                              "DOWNSTREAM_DIRECT_REMOTE_PORT",
                              "DOWNSTREAM_HANDSHAKE_DURATION",
                              "DOWNSTREAM_HEADER_BYTES_RECEIVED",
                              "DOWNSTREAM_HEADER_BYTES_SENT",
                              "DOWNSTREAM_LOCAL_ADDRESS",
                              "DOWNSTREAM_LOCAL_ADDRESS_ENDPOINT_ID",
                              "DOWNSTREAM_LOCAL_CLOSE_REASON",
                              "DOWNSTREAM_LOCAL_DNS_SAN",
                              "DOWNSTREAM_LOCAL_EMAIL_SAN",
                              "DOWNSTREAM_LOCAL_IP_SAN",
                              "DOWNSTREAM_LOCAL_OTHERNAME_SAN",
                              "DOWNSTREAM_LOCAL_PORT",
                              "DOWNSTREAM_LOCAL_SUBJECT",
                              "DOWNSTREAM_LOCAL_URI_SAN",
                              "DOWNSTREAM_PEER_CERT",
                              "DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_1",
                              "DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_256",
                              "DOWNSTREAM_PEER_CHAIN_SERIALS",
                              "DOWNSTREAM_PEER_DNS_SAN",
                              "DOWNSTREAM_PEER_EMAIL_SAN",
                              "DOWNSTREAM_PEER_FINGERPRINT_1",
                              "DOWNSTREAM_PEER_FINGERPRINT_256",
                              "DOWNSTREAM_PEER_IP_SAN",
                              "DOWNSTREAM_PEER_ISSUER",
                              "DOWNSTREAM_PEER_ISSUER_FINGERPRINT_256",
                              "DOWNSTREAM_PEER_ISSUER_SERIAL",
                              "DOWNSTREAM_PEER_OTHERNAME_SAN",
                              "DOWNSTREAM_PEER_SERIAL",
                              "DOWNSTREAM_PEER_SUBJECT",
                              "DOWNSTREAM_PEER_URI_SAN",
                              "DOWNSTREAM_REMOTE_ADDRESS",
                              "DOWNSTREAM_REMOTE_PORT",
                              "DOWNSTREAM_TLS_CIPHER",
                              "DOWNSTREAM_TLS_GROUP",
                              "DOWNSTREAM_TLS_SESSION_ID",
                              "DOWNSTREAM_TLS_VERSION",
                              "DOWNSTREAM_TRANSPORT_FAILURE_REASON",
                              "DOWNSTREAM_WIRE_BYTES_RECEIVED",
                              "DOWNSTREAM_WIRE_BYTES_SENT",
                              "DURATION",
                              "FILTER_CHAIN_NAME",
                              "GRPC_STATUS",
                              "GRPC_STATUS_NUMBER",
                              "HOSTNAME",
                              "LISTENER_NAME",
                              "LOCAL_REPLY_BODY",
                              "PACKETS_RETRANSMITTED",
                              "PATH",
                              "PROTOCOL",
                              "QUERY_PARAMS",
                              "REQUESTED_SERVER_NAME",
                              "REQUEST_DURATION",
                              "REQUEST_HEADERS_BYTES",
                              "REQUEST_TX_DURATION",
                              "RESPONSE_CODE",
                              "RESPONSE_DURATION",
                              "RESPONSE_FLAGS",
                              "RESPONSE_FLAGS_LONG",
                              "RESPONSE_HEADERS_BYTES",
                              "RESPONSE_TRAILERS_BYTES",
                              "RESPONSE_TX_DURATION",
                              "ROUNDTRIP_DURATION",
                              "ROUTE_NAME",
                              "ROUTE_RESOLUTION_COUNT",
                              "ROUTE_RESOLUTION_TIME_US",
                              "SPAN_ID",
                              "STREAM_ID",
                              "TLS_JA3_FINGERPRINT",
                              "TLS_JA4_FINGERPRINT",
                              "TRACE_ID",
                              "UNIQUE_ID",
                              "UPSTREAM_CLUSTER",
                              "UPSTREAM_CLUSTER_RAW",
                              "UPSTREAM_CONNECTION_ID",
                              "UPSTREAM_CONNECTION_IDS_ATTEMPTED",
                              "UPSTREAM_CONNECTION_POOL_READY_DURATION",
                              "UPSTREAM_DECOMPRESSED_HEADER_BYTES_RECEIVED",
                              "UPSTREAM_DECOMPRESSED_HEADER_BYTES_SENT",
                              "UPSTREAM_DETECTED_CLOSE_TYPE",
                              "UPSTREAM_HEADER_BYTES_RECEIVED",
                              "UPSTREAM_HEADER_BYTES_SENT",
                              "UPSTREAM_HOST",
                              "UPSTREAM_HOSTS_ATTEMPTED",
                              "UPSTREAM_HOSTS_ATTEMPTED_WITHOUT_PORT",
                              "UPSTREAM_HOST_NAME",
                              "UPSTREAM_HOST_NAMES_ATTEMPTED",
                              "UPSTREAM_HOST_NAMES_ATTEMPTED_WITHOUT_PORT",
                              "UPSTREAM_HOST_NAME_WITHOUT_PORT",
                              "UPSTREAM_LOCAL_ADDRESS",
                              "UPSTREAM_LOCAL_CLOSE_REASON",
                              "UPSTREAM_LOCAL_DNS_SAN",
                              "UPSTREAM_LOCAL_IP_SAN",
                              "UPSTREAM_LOCAL_PORT",
                              "UPSTREAM_LOCAL_URI_SAN",
                              "UPSTREAM_PEER_CERT",
                              "UPSTREAM_PEER_DNS_SAN",
                              "UPSTREAM_PEER_IP_SAN",
                              "UPSTREAM_PEER_ISSUER",
                              "UPSTREAM_PEER_SUBJECT",
                              "UPSTREAM_PEER_URI_SAN",
                              "UPSTREAM_PROTOCOL",
                              "UPSTREAM_REMOTE_ADDRESS",
                              "UPSTREAM_REMOTE_ADDRESS_ENDPOINT_ID",
                              "UPSTREAM_REMOTE_PORT",
                              "UPSTREAM_REQUEST_ATTEMPT_COUNT",
                              "UPSTREAM_SERVER_NAME",
                              "UPSTREAM_TLS_CIPHER",
                              "UPSTREAM_TLS_GROUP",
                              "UPSTREAM_TLS_SESSION_ID",
                              "UPSTREAM_TLS_VERSION",
                              "UPSTREAM_TRANSPORT_FAILURE_REASON",
                              "UPSTREAM_WIRE_BYTES_RECEIVED",
                              "UPSTREAM_WIRE_BYTES_SENT",
                              "VIRTUAL_CLUSTER_NAME"};
// With parameters or without.
constexpr Words<15> either = {"DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT",
                              "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT",
                              "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT",
                              "DOWNSTREAM_PEER_CERT_V_END",
                              "DOWNSTREAM_PEER_CERT_V_START",
                              "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT",
                              "EMIT_TIME",
                              "EMIT_TIME_LOCAL",
                              "RESPONSE_CODE_DETAILS",
                              "START_TIME",
                              "START_TIME_LOCAL",
                              "UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT",
                              "UPSTREAM_PEER_CERT_V_END",
                              "UPSTREAM_PEER_CERT_V_START",
                              "UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT"};
// With a header's name, or with two: "REQ(x-lane?x-default-lane)".
constexpr Words<7> of_headers = {
    "REQ",    "REQUEST_HEADER", "RESP", "RESPONSE_HEADER", "RESPONSE_TRAILER", "STREAM_INFO_REQ",
    "TRAILER"};
// With the name of a value.
constexpr Words<6> of_values = {"CLUSTER_METADATA",  "DYNAMIC_METADATA", "ENVIRONMENT",
                                "PER_REQUEST_STATE", "QUERY_PARAM",      "UPSTREAM_METADATA"};
constexpr Words<7> of_metadata = {
    "CLUSTER", "DYNAMIC",       "LISTENER",    "LISTENER_FILTER_CHAIN",
    "ROUTE",   "UPSTREAM_HOST", "VIRTUAL_HOST"};
// Those whose parameters are words of their own.
constexpr Words<14> whole = {"GRPC_STATUS(CAMEL_STRING)",
                             "GRPC_STATUS(NUMBER)",
                             "GRPC_STATUS(SNAKE_STRING)",
                             "PATH(NQ)",
                             "PATH(NQ:ORIG)",
                             "PATH(NQ:PATH)",
                             "PATH(WQ)",
                             "PATH(WQ:ORIG)",
                             "PATH(WQ:ORIG_OR_PATH)",
                             "PATH(WQ:PATH)",
                             "QUERY_PARAMS(DECODED)",
                             "QUERY_PARAMS(ORIG)",
                             "REQUESTED_SERVER_NAME(SNI_FIRST)",
                             "REQUESTED_SERVER_NAME(SNI_ONLY)"};
constexpr Words<2> of_filter_state = {"FILTER_STATE", "UPSTREAM_FILTER_STATE"};

template <std::size_t N>
bool contains(const Words<N>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool consists_of(std::string_view text, std::string_view others) {
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return is_alphanumeric(c) || others.find(c) != std::string_view::npos;
  });
}

bool is_time_format(std::string_view text) {
  return consists_of(text, "%:.,/-+ ") && text.find("%n") == std::string_view::npos;
}

// `parameters` are what stands between the parentheses.
bool is_command(std::string_view name, std::string_view parameters) {
  if (contains(either, name)) return is_time_format(parameters);
  if (contains(of_headers, name)) {
    return !parameters.empty() && consists_of(parameters, ":-_.?") &&
           std::count(parameters.begin(), parameters.end(), '?') <= 1;
  }
  if (contains(of_values, name)) return !parameters.empty() && consists_of(parameters, ":-_./");
  const auto colon = parameters.find(':');
  if (name == "METADATA") {
    return consists_of(parameters, ":-_./") && contains(of_metadata, parameters.substr(0, colon));
  }
  if (contains(of_filter_state, name)) {
    const auto kind = colon == std::string_view::npos ? "PLAIN" : parameters.substr(colon + 1);
    return !parameters.empty() && consists_of(parameters, ":-_./") &&
           (kind == "PLAIN" || kind == "TYPED");
  }
  return contains(whole, std::string(name).append("(").append(parameters).append(")"));
}

// Takes "NAME%", "NAME(parameters)%" or "NAME(parameters):7%" off the front of `text`.
bool take_command(std::string_view& text) {
  const std::size_t name_end = text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
  if (name_end == std::string_view::npos) return false;
  const std::string_view name = text.substr(0, name_end);
  text.remove_prefix(name_end);
  if (text.starts_with('%')) {
    text.remove_prefix(1);
    return contains(plain, name) || contains(either, name);
  }
  const std::size_t close = text.find(')');
  if (!text.starts_with('(') || close == std::string_view::npos) return false;
  const std::string_view parameters = text.substr(1, close - 1);
  text.remove_prefix(close + 1);
  if (text.starts_with(':')) {  // at most so many bytes
    const std::size_t end = text.find_first_not_of("0123456789", 1);
    if (end == std::string_view::npos || end == 1 || end > 6 || contains(either, name))
      return false;
    text.remove_prefix(end);
  }
  if (!text.starts_with('%')) return false;
  text.remove_prefix(1);
  return is_command(name, parameters);
}

}  // namespace

bool is_header_format(std::string_view value) {
  for (;;) {
    const std::size_t percent = value.find('%');
    if (percent == std::string_view::npos) return true;
    value.remove_prefix(percent + 1);
    if (value.starts_with('%')) {
      value.remove_prefix(1);
    } else if (!take_command(value)) {
      return false;
    }
  }
}

}  // namespace graymesh::model
