#include "main/fetch.h"

#include <fmt/core.h>
#include <httplib.h>

namespace graymesh {
namespace {

using namespace std::chrono_literals;

constexpr auto connect_within = 500ms;
constexpr auto answer_within = 2s;
// An Envoy tells some hundred bytes of each cluster that was asked for.
constexpr std::size_t body_bytes_max = 8 << 20;

}  // namespace

Result<std::string> fetch(const std::string& url) {
  const std::size_t path = url.find('/', std::string_view("http://").size());
  const std::string host = url.substr(0, path);
  httplib::Client client(host);
  client.set_connection_timeout(connect_within);
  client.set_read_timeout(answer_within);
  client.set_url_encode(false);  // it is already
  std::string body;
  bool too_long = false;
  const auto answer = client.Get(path == std::string::npos ? "/" : url.substr(path).c_str(),
                                 [&](const char* bytes, std::size_t size) {
                                   too_long = body.size() + size > body_bytes_max;
                                   if (!too_long) body.append(bytes, size);
                                   return !too_long;
                                 });
  if (too_long) return Error{Code::unavailable, fmt::format("{}: answers more than 8 MiB", host)};
  if (!answer)
    return Error{Code::unavailable,
                 fmt::format("{}: {}", host, httplib::to_string(answer.error()))};
  if (answer->status != 200)
    return Error{Code::unavailable, fmt::format("{}: answered {}", host, answer->status)};
  return body;
}

}  // namespace graymesh
