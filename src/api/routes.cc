#include "api/routes.h"

#include <algorithm>

#include "api/answers.h"

namespace graymesh::api {
namespace {

constexpr std::size_t name_bytes_max = 128;

// "ann" may not become two lines of a log.
std::string printable(std::string name) {
  name.resize(std::min(name.size(), name_bytes_max));
  for (char& c : name) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return name;
}

// Who it is; none if a token is wrong, or an act comes without one where tokens are asked for.
std::optional<release::Actor> actor(const httplib::Request& request, const Tokens* tokens) {
  release::Actor who{"anonymous", request.remote_addr};
  if (tokens == nullptr) {
    const std::string name = printable(request.get_header_value("X-Graymesh-User"));
    if (!name.empty()) who.name = name;
    return who;
  }
  const std::string header = request.get_header_value("Authorization");
  if (header.empty()) {
    if (request.method == "GET") return who;
    return std::nullopt;
  }
  constexpr std::string_view scheme = "Bearer ";
  if (!header.starts_with(scheme)) return std::nullopt;
  auto name = tokens->name_of(std::string_view(header).substr(scheme.size()));
  if (!name) return std::nullopt;
  who.name = *std::move(name);
  return who;
}

std::string pattern_of(const std::string& path) {
  std::string pattern;
  bool inside = false;
  for (const char c : path) {
    if (c == '{') pattern += "([^/]+)";
    inside = inside ? c != '}' : c == '{';
    if (!inside && c != '}') pattern += c;
  }
  return pattern;
}

}  // namespace

void Routes::add(const std::string& method, const std::string& path,
                 std::function<void(const Call&)> answer) {
  all_.emplace_back(method, path);
  if (instead_) {
    answer = [error = *instead_](const Call& call) { send_error(call.response, error); };
  }
  const auto guarded = [answer = std::move(answer), tokens = tokens_](
                           const httplib::Request& request, httplib::Response& response) {
    const auto who = actor(request, tokens);
    if (!who) {
      response.set_header("WWW-Authenticate", "Bearer");
      return send_error(response, {Code::unauthenticated,
                                   "a token that graymeshd knows must stand in Authorization: "
                                   "Bearer TOKEN"});
    }
    answer({request, response, *who});
  };
  const std::string pattern = pattern_of(path);
  if (method == "GET") {
    http_.Get(pattern, guarded);
  } else if (method == "POST") {
    http_.Post(pattern, guarded);
  } else {
    http_.Delete(pattern, guarded);
  }
}

}  // namespace graymesh::api
