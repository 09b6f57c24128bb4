#include "api/answers.h"

#include <fmt/core.h>

#include <charconv>

namespace graymesh::api {
namespace {

using nlohmann::json;

int http_status(Code code) {
  switch (code) {
    case Code::invalid_argument:
    case Code::out_of_range:
      return 400;
    case Code::unauthenticated:
      return 401;
    case Code::permission_denied:
      return 403;
    case Code::not_found:
      return 404;
    case Code::already_exists:
    case Code::aborted:
    case Code::failed_precondition:
      return 409;
    case Code::resource_exhausted:
      return 429;
    case Code::unimplemented:
      return 501;
    case Code::unavailable:
      return 503;
    default:
      return 500;
  }
}

}  // namespace

std::string dump(const json& page, int indent) {
  return page.dump(indent, ' ', false, json::error_handler_t::replace) + "\n";
}

void send_json(httplib::Response& response, const json& page) {
  response.set_content(dump(page, 1), "application/json");
}

Refusal refusal_of(const Error& error) {
  Refusal out{.error = error};
  std::string_view rest = error.message;
  while (error.code == Code::failed_precondition && !rest.empty()) {
    const auto end = rest.find('\n');
    out.errors.push_back({{"message", rest.substr(0, end)}});
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  }
  return out;
}

void send_refusal(httplib::Response& response, const Refusal& refusal) {
  response.status = refusal.status != 0 ? refusal.status : http_status(refusal.error.code);
  json problem = {{"type", "about:blank"},
                  {"title", name_of(refusal.error.code)},
                  {"status", response.status},
                  {"detail", refusal.error.message}};
  if (!refusal.errors.empty()) problem["errors"] = refusal.errors;
  response.set_content(dump(problem, 1), "application/problem+json");
}

std::optional<Refusal> precondition(const httplib::Request& request, const std::string& what,
                                    const std::string& etag) {
  const std::string match = request.get_header_value("If-Match");
  const std::string none = request.get_header_value("If-None-Match");
  const auto is_among = [&](const std::string& list) {
    return !etag.empty() && (list == "*" || list.find(etag) != std::string::npos);
  };
  const std::string now = etag.empty() ? "it is not there" : "it is " + etag;
  if (!match.empty() && !is_among(match)) {
    return Refusal{.error = {Code::failed_precondition,
                             fmt::format("{} must be {} (If-Match), {}", what, match, now)},
                   .status = 412};
  }
  if (!none.empty() && is_among(none)) {
    return Refusal{.error = {Code::failed_precondition,
                             fmt::format("{} must not be {} (If-None-Match), {}", what, none, now)},
                   .status = 412};
  }
  return std::nullopt;
}

Result<std::uint64_t> number_of(const httplib::Request& request, const std::string& name,
                                const Bounds& bounds) {
  if (!request.has_param(name.c_str())) return bounds.otherwise;
  const std::string text = request.get_param_value(name.c_str());
  std::uint64_t value = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (fault != std::errc() || end != text.data() + text.size() || value < bounds.least ||
      value > bounds.most) {
    return Error{Code::invalid_argument,
                 fmt::format("{} is {}, must be {} to {}", name, text, bounds.least, bounds.most)};
  }
  return value;
}

}  // namespace graymesh::api
