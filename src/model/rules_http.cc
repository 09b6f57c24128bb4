// The rules about HTTP: headers, methods, retries, regular expressions, protocols.
#include <re2/re2.h>

#include <algorithm>
#include <array>

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
  return is_token(text) || contains(pseudo, text) || is_jwt_claim(text) ? "" : header_rule;
}

std::string_view check_set_request_header(std::string_view text) {
  if (text.empty()) return "must have a header's name that is not empty";
  return text.starts_with(':') && !is_authority(text)
             ? "must be a header's name that does not begin with ':'"
             : "";
}

std::string_view check_header_operation(std::string_view text) {
  if (text.empty()) return "must have a header's name that is not empty";
  if (same_word(text, "host")) return "must not be Host, which cannot be changed here";
  return text.starts_with(':') ? "must be a header's name that does not begin with ':'" : "";
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

namespace {

// Envoy's format commands in a header's value: "%VAR%", "%VAR(text)%", "%VAR(["a", "b"])%"; "%%" is
// a percent sign. Only the form is looked at, for Envoy to be the judge of the names.
class ValueForm {
 public:
  explicit ValueForm(std::string_view text) : text_(text) {}

  std::string_view check() {
    while (at_ < text_.size()) {
      if (take() != '%') continue;
      if (at_ < text_.size() && text_[at_] == '%') {
        ++at_;
      } else if (!command()) {
        return "must have its % doubled, or in pairs around an Envoy command";
      }
    }
    return {};
  }

 private:
  char take() { return text_[at_++]; }
  bool more() const { return at_ < text_.size(); }
  void skip_blanks() {
    while (more() && text_[at_] == ' ') ++at_;
  }

  // After the first '%': up to and with the last.
  bool command() {
    while (more()) {
      const char c = take();
      if (c == '%') return true;
      if (c == '(') {
        if (!arguments()) return false;
        skip_blanks();
        return more() && take() == '%';
      }
    }
    return false;
  }

  // After '(': up to and with ')'.
  bool arguments() {
    skip_blanks();
    if (!more()) return false;
    if (text_[at_] != '[') return string();
    do {
      ++at_;
      skip_blanks();
      if (!more() || take() != '"') return false;
      if (!string()) return false;
      if (text_[at_ - 1] == ')') return true;
      skip_blanks();
    } while (more() && text_[at_] == ',');
    if (!more() || take() != ']') return false;
    skip_blanks();
    return more() && take() == ')';
  }

  // Up to and with a '"' or a ')'.
  bool string() {
    while (more()) {
      const char c = take();
      if (c == '\\') {
        if (!more()) return false;
        ++at_;
      } else if (c == ')' || c == '"') {
        return true;
      }
    }
    return false;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

std::string_view check_header_value(std::string_view text) {
  const bool printable = std::none_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\t') || byte == 0x7F;
  });
  return printable ? ValueForm(text).check()
                   : "must be a header's value, without control characters";
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
