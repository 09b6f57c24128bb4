#include "cli/client.h"

#include <fmt/core.h>
#include <httplib.h>

#include <cctype>
#include <nlohmann/json.hpp>

namespace graymesh::cli {
namespace {

using nlohmann::json;

Code code_of(int status) {
  switch (status) {
    case 400:
      return Code::invalid_argument;
    case 404:
      return Code::not_found;
    case 409:
      return Code::failed_precondition;
    default:
      return Code::internal;
  }
}

Result<json> answer(const std::string& server, const httplib::Result& result) {
  if (!result) {
    return Error{
        Code::unavailable,
        fmt::format("no answer from graymeshd at {}: {} (is it running? --server names it)", server,
                    httplib::to_string(result.error()))};
  }
  json body = json::parse(result->body, nullptr, false);
  if (result->status != 200) {
    const std::string detail = body.is_object() ? body.value("detail", result->body) : result->body;
    // 503 is graymeshd itself speaking: it answers, but is not ready.
    return Error{result->status == 503 ? Code::failed_precondition : code_of(result->status),
                 detail};
  }
  if (body.is_discarded()) {
    return Error{Code::internal, fmt::format("{} does not answer as graymeshd does: {}", server,
                                             result->body.substr(0, 64))};
  }
  return body;
}

httplib::Client client(const std::string& server) {
  httplib::Client client("http://" + server);
  client.set_connection_timeout(2);
  client.set_read_timeout(30);
  return client;
}

}  // namespace

Result<json> get(const std::string& server, const std::string& path) {
  return answer(server, client(server).Get(path));
}

Result<json> post(const std::string& server, const std::string& path, const std::string& body) {
  return answer(server, client(server).Post(path, body, "application/yaml"));
}

Result<json> remove(const std::string& server, const std::string& path) {
  return answer(server, client(server).Delete(path));
}

std::string percent_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || c == '-' || c == '.' || c == '_' || c == '~') {
      out.push_back(c);
    } else {
      out += fmt::format("%{:02X}", byte);
    }
  }
  return out;
}

}  // namespace graymesh::cli
