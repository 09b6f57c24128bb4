#include "main/fetch.h"

#include <fmt/core.h>
#include <httplib.h>

#include <chrono>

namespace graymesh {
namespace {

using namespace std::chrono_literals;

constexpr auto connect_within = 500ms;
constexpr auto answer_within = 2s;
// An Envoy tells some hundred bytes of each cluster that was asked for.
constexpr std::size_t body_bytes_max = 8 << 20;

struct Place {
  std::string host, path;
};

Place place_of(const std::string& url) {
  const std::size_t path = url.find('/', std::string_view("http://").size());
  return {url.substr(0, path), path == std::string::npos ? "/" : url.substr(path)};
}

void set(httplib::Client& client) {
  client.set_connection_timeout(connect_within);
  client.set_read_timeout(answer_within);
  client.set_url_encode(false);  // it is already
}

}  // namespace

Status post(const std::string& url) {
  const auto [host, path] = place_of(url);
  httplib::Client client(host);
  set(client);
  const auto answer = client.Post(path);
  if (!answer)
    return Error{Code::unavailable,
                 fmt::format("{}: {}", host, httplib::to_string(answer.error()))};
  if (answer->status != 200)
    return Error{Code::unavailable, fmt::format("{}: answered {}", host, answer->status)};
  return {};
}

Result<std::string> fetch(const std::string& url) {
  const auto [host, path] = place_of(url);
  httplib::Client client(host);
  set(client);
  std::string body;
  bool too_long = false, too_slow = false;
  // The client's own patience is for each read.
  const auto end = std::chrono::steady_clock::now() + answer_within;
  const auto answer = client.Get(path, [&](const char* bytes, std::size_t size) {
    too_long = body.size() + size > body_bytes_max;
    too_slow = std::chrono::steady_clock::now() >= end;
    if (!too_long) body.append(bytes, size);
    return !too_long && !too_slow;
  });
  if (too_slow) return Error{Code::unavailable, fmt::format("{}: answers too slowly", host)};
  if (too_long) return Error{Code::unavailable, fmt::format("{}: answers more than 8 MiB", host)};
  if (!answer)
    return Error{Code::unavailable,
                 fmt::format("{}: {}", host, httplib::to_string(answer.error()))};
  if (answer->status != 200)
    return Error{Code::unavailable, fmt::format("{}: answered {}", host, answer->status)};
  return body;
}

}  // namespace graymesh
