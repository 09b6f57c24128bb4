#include "cli/client.h"

#include <fmt/core.h>
#include <httplib.h>

#include <cctype>
#include <cstdlib>

#include "base/json.h"

namespace graymesh::cli {
namespace {

using nlohmann::json;

Code code_of(int status) {
  switch (status) {
    case 400:
      return Code::invalid_argument;
    case 401:
      return Code::unauthenticated;
    case 403:
      return Code::permission_denied;
    case 404:
      return Code::not_found;
    case 409:
    case 412:
      return Code::failed_precondition;
    case 429:
      return Code::resource_exhausted;
    case 501:
      return Code::unimplemented;
    case 422:
      return Code::invalid_argument;
    default:
      return Code::internal;
  }
}

Result<json> answer(const std::string& server, const httplib::Result& result) {
  if (!result) {
    return Error{Code::unavailable,
                 fmt::format("no answer from graymeshd at {}: {} (is it running? `graymesh up` "
                             "starts one, --server names another)",
                             server, httplib::to_string(result.error()))};
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

// For the history: who acts. A token, where graymeshd asks for one, says it better than a name.
httplib::Headers headers() {
  httplib::Headers out;
  for (const char* name : {"GRAYMESH_USER", "USER"}) {
    const char* user = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nobody sets it
    if (user == nullptr || *user == 0 || out.count("X-Graymesh-User") > 0) continue;
    out.emplace("X-Graymesh-User", user);
  }
  const char* token = std::getenv("GRAYMESH_TOKEN");  // NOLINT(concurrency-mt-unsafe): likewise
  if (token != nullptr && *token != 0) out.emplace("Authorization", std::string("Bearer ") + token);
  return out;
}

httplib::Client client(const std::string& server) {
  httplib::Client client("http://" + server);
  client.set_connection_timeout(2);
  client.set_read_timeout(30);
  client.set_default_headers(headers());
  return client;
}

}  // namespace

Result<json> get(const std::string& server, const std::string& path) {
  return answer(server, client(server).Get(path));
}

Result<json> post(const std::string& server, const std::string& path, const std::string& body) {
  return answer(server, client(server).Post(path, body, "application/yaml"));
}

Result<json> post_once(const std::string& server, const std::string& path, const std::string& body,
                       const std::string& key) {
  httplib::Headers extra;
  if (!key.empty()) extra.emplace("Idempotency-Key", key);
  return answer(server, client(server).Post(path, extra, body, "application/json"));
}

Status watch(const std::string& server, const std::string& path,
             const std::function<bool(const std::string& event, const std::string& data)>& each) {
  std::string text, event, data;
  bool wanted = true;
  int status = 0;
  auto watching = client(server);
  const auto result = watching.Get(
      path, httplib::Headers(),
      [&](const httplib::Response& response) {
        status = response.status;
        return true;
      },
      [&](const char* bytes, std::size_t size) {
        text.append(bytes, size);
        if (status != 200) return true;
        for (auto end = text.find('\n'); wanted && end != std::string::npos;
             end = text.find('\n')) {
          const std::string line = text.substr(0, end);
          text.erase(0, end + 1);
          if (line.starts_with("event: ")) event = line.substr(7);
          if (line.starts_with("data: ")) data = line.substr(6);
          if (!line.empty() || data.empty()) continue;
          wanted = each(event, data);
          event.clear();
          data.clear();
        }
        return wanted;
      });
  if (!wanted) return {};
  if (status != 0 && status != 200) {
    const json body = json::parse(text, nullptr, false);
    return Error{code_of(status), body.is_object() ? body.value("detail", text) : text};
  }
  return Error{Code::unavailable, fmt::format("graymeshd at {} ended the stream of events: {}",
                                              server, httplib::to_string(result.error()))};
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
