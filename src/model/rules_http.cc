// The rules about HTTP: headers, methods, retries, regular expressions, protocols.
#include <re2/re2.h>

#include <algorithm>
#include <array>

#include "model/model.h"
#include "model/rules.h"
#include "model/rules_text.h"

namespace graymesh::model {

using namespace rules;

namespace {

template <std::size_t N>
bool contains(const std::array<std::string_view, N>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

constexpr std::string_view header_rule =
    "must be a header's name: letters, digits and !#$%&'*+-.^_`|~";

constexpr std::string_view empty_name_rule = "must have a header's name that is not empty";

// Envoy takes any other byte in a header, but with one of these refuses all routes of the table.
bool has_line_break(std::string_view text) {
  return text.find_first_of(std::string_view("\0\r\n", 3)) != std::string_view::npos;
}

bool is_token(std::string_view text) {
  static constexpr std::string_view others = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return is_alphanumeric(c) || others.find(c) != std::string_view::npos;
  });
}

constexpr std::array<std::string_view, 13> protocols = {
    "tcp", "udp",   "grpc",  "grpc-web", "http", "http_proxy", "http2", "https",
    "tls", "mongo", "redis", "mysql",    ""};

bool is_one_of(std::string_view protocol, std::initializer_list<std::string_view> names) {
  return std::any_of(names.begin(), names.end(),
                     [&](std::string_view name) { return same_word(name, protocol); });
}

}  // namespace

bool is_http_protocol(std::string_view protocol) {
  return is_one_of(protocol, {"http", "http2", "http_proxy", "grpc", "grpc-web"});
}
bool is_tls_protocol(std::string_view protocol) { return is_one_of(protocol, {"https", "tls"}); }

std::string_view check_protocol(std::string_view text) {
  const bool known = std::any_of(protocols.begin(), protocols.end(),
                                 [&](std::string_view name) { return same_word(name, text); });
  return known ? ""
               : "must be one of HTTP, HTTPS, GRPC, GRPC-WEB, HTTP2, MONGO, MYSQL, REDIS, TCP, "
                 "TLS, UDP";
}

bool is_authority(std::string_view header) {
  return same_word(header, ":authority") || same_word(header, "host");
}

bool is_jwt_claim(std::string_view header) {
  constexpr std::string_view prefix = "@request.auth.claims";
  if (header.size() < prefix.size() || !same_word(header.substr(0, prefix.size()), prefix))
    return false;
  header.remove_prefix(prefix.size());
  return (header.starts_with('.') && header.size() > 1) ||
         (header.starts_with('[') && header.ends_with(']') && header.size() > 2);
}

std::string_view check_header_name(std::string_view text) {
  return is_token(text) ? "" : header_rule;
}

std::string_view check_match_header(std::string_view text) {
  constexpr std::array<std::string_view, 5> pseudo = {":method", ":scheme", ":authority", ":path",
                                                      ":status"};
  return is_token(text) || contains(pseudo, text) || (is_jwt_claim(text) && !has_line_break(text))
             ? ""
             : header_rule;
}

std::string_view check_set_request_header(std::string_view text) {
  if (text.empty()) return empty_name_rule;
  return text.starts_with(':') && !is_authority(text)
             ? "must be a header's name that does not begin with ':'"
             : check_one_line(text);
}

std::string_view check_header_operation(std::string_view text) {
  if (text.empty()) return empty_name_rule;
  if (same_word(text, "host")) return "must not be Host, which cannot be changed here";
  return text.starts_with(':') ? "must be a header's name that does not begin with ':'"
                               : check_one_line(text);
}

std::string_view check_cors_header(std::string_view text) {
  return text == "*" ? "" : check_header_name(text);
}

std::string_view check_cors_method(std::string_view text) {
  constexpr std::array<std::string_view, 10> methods = {
      "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "*"};
  return contains(methods, text)
             ? ""
             : "must be one of GET, HEAD, POST, PUT, PATCH, DELETE, CONNECT, OPTIONS, TRACE, *";
}

std::string_view check_retry_on(std::string_view text) {
  constexpr std::array<std::string_view, 16> policies = {"5xx",
                                                         "gateway-error",
                                                         "reset",
                                                         "reset-before-request",
                                                         "connect-failure",
                                                         "retriable-4xx",
                                                         "refused-stream",
                                                         "retriable-status-codes",
                                                         "retriable-headers",
                                                         "envoy-ratelimited",
                                                         "http3-post-connect-failure",
                                                         "cancelled",
                                                         "deadline-exceeded",
                                                         "internal",
                                                         "resource-exhausted",
                                                         "unavailable"};
  // Statuses that have a name; Istio takes no others.
  constexpr std::array<std::string_view, 62> statuses = {
      "100", "101", "102", "103", "200", "201", "202", "203", "204", "205", "206", "207", "208",
      "226", "300", "301", "302", "303", "304", "305", "307", "308", "400", "401", "402", "403",
      "404", "405", "406", "407", "408", "409", "410", "411", "412", "413", "414", "415", "416",
      "417", "418", "421", "422", "423", "424", "425", "426", "428", "429", "431", "451", "500",
      "501", "502", "503", "504", "505", "506", "507", "508", "510", "511"};
  if (text.empty()) return {};
  for (const std::string_view policy : parts_of(text, ',')) {
    if (!contains(policies, policy) && !contains(statuses, policy)) {
      return "must be retry conditions such as 5xx, connect-failure or 503, with ',' between and "
             "no blanks";
    }
  }
  return {};
}

std::string_view check_header_value(std::string_view text) {
  const bool printable = std::none_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\t') || byte == 0x7F;
  });
  if (!printable) return "must be a header's value, without control characters";
  return is_header_format(text) ? ""
                                : "must have each % doubled, or in pairs around a known command of "
                                  "Envoy\'s, such as %REQ(x-lane)%";
}

std::string_view check_one_line(std::string_view text) {
  return has_line_break(text) ? "must not have a line break or NUL, which no header can hold" : "";
}

std::string_view check_filled_line(std::string_view text) {
  return text.empty() ? check_not_empty(text) : check_one_line(text);
}

std::string_view check_query_parameter(std::string_view text) {
  if (text.empty()) return "must have a parameter's name that is not empty";
  return text.size() > 1024 ? "must have a parameter's name of at most 1024 bytes" : "";
}

std::string_view check_regex(std::string_view text) {
  if (text.empty()) return "must not be empty";
  if (text.size() > 1024) return "must be at most 1024 bytes of regular expression";
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(8 << 20);  // RE2's default; the most a hostile expression can take here
  return RE2(re2::StringPiece(text.data(), text.size()), options).ok()
             ? ""
             : "must be a regular expression of RE2 (https://github.com/google/re2/wiki/Syntax)";
}

}  // namespace graymesh::model
