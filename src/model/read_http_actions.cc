// What a route does to a request besides choosing its destination.
#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "model/kinds.h"
#include "model/read_http.h"
#include "model/rules.h"
#include "model/scalars.h"

namespace graymesh::model {
namespace {

constexpr Range http_status{200, 599};

// gRPC's statuses by number.
constexpr std::array<std::string_view, 17> grpc_statuses = {
    "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED"};

void read_operations(Fields& f, bool request, HeaderOperations& out) {
  // The authority is set by name in requests alone.
  const Check set = request ? check_set_request_header : check_header_operation;
  f.text_map("set", out.set, set, check_header_value);
  f.text_map("add", out.add, set, check_header_value);
  f.texts("remove", out.remove, check_header_operation);
}

// Envoy counts in millionths, so that the least share above 0 is 0.0001 percent.
void read_fault_percent(Fields& f, double& out) {
  read_percent(f, out);
  if (out > 0 && out < 0.0001) f.error("value", "must be 0, or 0.0001 to 100");
}

// Istio's default is no request at all, which whoever leaves the share out hardly means.
constexpr std::string_view no_share = "has no percentage: no effect";

void read_delay(Fields& f, FaultDelay& out) {
  f.at_most_one({"fixedDelay", "exponentialDelay"});
  std::optional<Duration> delay;
  f.duration("fixedDelay", delay);
  out.fixed = delay.value_or(Duration::zero());
  f.without_effect({"exponentialDelay"});
  if (f.has("percent")) {
    std::int32_t percent = 0;
    f.number("percent", percent, {0, 100});
    out.percent = percent;
    f.warn("percent", "is deprecated, use percentage");
  }
  f.object("percentage", out.percent, read_fault_percent);
  if (out.fixed > Duration::zero() && !f.has("percentage") && !f.has("percent"))
    f.warn({}, no_share);
}

void read_abort(Fields& f, FaultAbort& out) {
  f.at_most_one({"httpStatus", "grpcStatus", "http2Error"});
  f.number("httpStatus", out.http_status, http_status);
  if (f.has("grpcStatus")) {
    std::string name;
    f.text("grpcStatus", name);
    const auto* found = std::find(grpc_statuses.begin(), grpc_statuses.end(), name);
    if (found == grpc_statuses.end())
      f.error("grpcStatus", "must be the name of a gRPC status, such as UNAVAILABLE");
    else
      out.grpc_status = static_cast<std::uint32_t>(found - grpc_statuses.begin());
  }
  f.without_effect({"http2Error"});
  f.object("percentage", out.percent, read_fault_percent);
  if (!f.has("httpStatus") && !f.has("grpcStatus") && !f.has("http2Error"))
    f.warn({}, "has no httpStatus and no grpcStatus: no effect");
  else if (!f.has("http2Error") && !f.has("percentage"))
    f.warn({}, no_share);
}

}  // namespace

void read_headers(Fields& f, Headers& out) {
  f.object("request", out.request, [](Fields& fields, HeaderOperations& operations) {
    read_operations(fields, true, operations);
  });
  f.object("response", out.response, [](Fields& fields, HeaderOperations& operations) {
    read_operations(fields, false, operations);
  });
}

void read_redirect(Fields& f, const std::vector<HttpMatch>& matches, Redirect& out) {
  f.text("uri", out.uri, check_one_line);
  f.text("prefixRewrite", out.prefix_rewrite, check_one_line);
  f.text("authority", out.authority, check_one_line);
  f.text("scheme", out.scheme, [](std::string_view text) -> std::string_view {
    return text.empty() || text == "http" || text == "https" ? "" : "must be http or https";
  });
  f.number("port", out.port, {0, 65535});
  f.choice<Redirect::PortFrom>("derivePort", out.derive_port,
                               {{"FROM_PROTOCOL_DEFAULT", Redirect::PortFrom::protocol_default},
                                {"FROM_REQUEST_PORT", Redirect::PortFrom::request_port}});
  std::uint32_t code = 0;
  f.number("redirectCode", code);
  constexpr std::array<std::uint32_t, 6> codes = {0, 301, 302, 303, 307, 308};
  if (std::find(codes.begin(), codes.end(), code) == codes.end())
    f.error("redirectCode", "must be 301, 302, 303, 307 or 308, as Envoy redirects with no other");
  out.code = code;
  f.at_most_one({"port", "derivePort"});
  if (!out.uri.empty() && !out.prefix_rewrite.empty())
    f.error({}, "must not have uri and prefixRewrite together");
  if (out.uri.empty() && out.prefix_rewrite.empty() && out.authority.empty() &&
      out.scheme.empty() && !f.has("port") && !f.has("derivePort")) {
    f.error({}, "must have uri, prefixRewrite, authority, scheme or port");
  }
  if (out.prefix_rewrite.empty()) return;
  for (const auto& match : matches) {
    if (match.uri && match.uri->kind != StringMatch::Kind::prefix) {
      f.error("prefixRewrite", "must not be beside a match whose uri is not a prefix");
      return;
    }
  }
}

void read_direct_response(Fields& f, DirectResponse& out) {
  if (f.require("status")) f.number("status", out.status, http_status);
  f.visit("body", [&](Fields& body) {
    body.at_most_one({"string", "bytes"});
    std::string text;
    body.text("string", text);
    if (body.has("bytes")) {
      body.text("bytes", text);
      auto bytes = from_base64(text);
      if (!bytes) body.error("bytes", "must be base64");
      text = std::move(bytes).value_or("");
    }
    constexpr std::size_t bytes_max = 1 << 20;
    constexpr std::size_t large = 100 << 10;
    if (text.size() > bytes_max)
      body.error({}, "must be at most 1 MiB");
    else if (text.size() > large)
      body.warn({}, "is larger than 100 KiB, and goes to every proxy");
    out.body = std::move(text);
  });
}

void read_rewrite(Fields& f, Rewrite& out) {
  f.text("uri", out.uri, check_one_line);
  f.text("authority", out.authority, check_one_line);
  f.object("uriRegexRewrite", out.uri_regex, [](Fields& regex, RegexRewrite& rewrite) {
    for (const std::string_view name : {"match", "rewrite"}) regex.require(name);
    if (regex.has("match")) regex.text("match", rewrite.match, check_regex);
    if (regex.has("rewrite")) regex.text("rewrite", rewrite.rewrite, check_filled_line);
  });
  if (!out.uri.empty() && out.uri_regex)
    f.error({}, "must not have uri and uriRegexRewrite together");
  if (out.uri.empty() && out.authority.empty() && !out.uri_regex)
    f.error({}, "must have uri, uriRegexRewrite or authority");
}

void read_fault(Fields& f, Fault& out) {
  f.object("delay", out.delay, read_delay);
  f.object("abort", out.abort, read_abort);
  if (!f.has("delay") && !f.has("abort")) f.error({}, "must have a delay or an abort");
  // What Envoy is not to do is not there.
  if (out.delay && out.delay->fixed == Duration::zero()) out.delay.reset();
  if (out.abort && out.abort->http_status == 0 && !out.abort->grpc_status) out.abort.reset();
}

void read_cors(Fields& f, CorsPolicy& out) {
  using Preflights = CorsPolicy::UnmatchedPreflights;
  f.list("allowOrigins", out.allow_origins, [](Fields& origin, StringMatch& match) {
    read_string_match(origin, match);
    if (match.value.empty())
      origin.error({}, "must have exact, prefix or regex, not empty");
    else if (match.kind == StringMatch::Kind::regex) {
      if (const auto rule = check_regex(match.value); !rule.empty()) origin.error("regex", rule);
    }
  });
  std::vector<std::string> old_origins;
  f.texts("allowOrigin", old_origins);
  if (!old_origins.empty()) f.warn("allowOrigin", "is deprecated, use allowOrigins");
  // Istio looks at the old field only if the new one is empty.
  if (out.allow_origins.empty()) {
    for (auto& origin : old_origins)
      out.allow_origins.push_back({StringMatch::Kind::exact, std::move(origin)});
  }
  f.texts("allowMethods", out.allow_methods, check_cors_method);
  f.texts("allowHeaders", out.allow_headers, check_cors_header);
  f.texts("exposeHeaders", out.expose_headers, check_cors_header);
  f.duration("maxAge", out.max_age);
  if (out.max_age && *out.max_age % std::chrono::seconds(1) != Duration::zero())
    f.error("maxAge", "must be whole seconds");
  f.flag("allowCredentials", out.allow_credentials);
  f.choice<Preflights>("unmatchedPreflights", out.unmatched_preflights,
                       {{"UNSPECIFIED", Preflights::unspecified},
                        {"FORWARD", Preflights::forward},
                        {"IGNORE", Preflights::ignore}});
}

}  // namespace graymesh::model
