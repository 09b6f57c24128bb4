// graymesh-shop: one version of one little service of the demo shop. It says which version it is,
// calls the services after it through its sidecar, and shows the way the request took:
//
//   {"service":"web","version":"feature-a","path":"web[feature-a] > cart[baseline] >
//   pay[feature-a]"}
//
// What a mesh asks of an application is here too: it passes on the headers that carry lane and
// trace; with `--forward none` it does not, as many do not.
//
//   /               the way through the shop     /healthz        200
//   /status/NNN     that status                  /slow?ms=N      after N ms
//   /echo           the request as it came       /counts         requests so far, by path
//   /flaky?times=N&key=K   503 for the first N requests with this key, then 200
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <charconv>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "server.h"

namespace graymesh::shop {
namespace {

using Json = nlohmann::ordered_json;
using namespace std::chrono_literals;

struct Options {
  ServerOptions server;
  std::string service;
  std::string version = "baseline";
  std::string instance;
  std::vector<std::string> calls;
  int timeout_ms = 15'000;
  std::string forward = "all";
  unsigned fail_every = 0;  // 0: never
};

// Carried from the request to the calls it causes.
constexpr const char* passed_on[] = {
    "canarytag", "baggage",      "cookie",      "x-request-id",      "traceparent",  "tracestate",
    "b3",        "x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags"};

int number(std::string_view text, int otherwise, int max) {
  int value = otherwise;
  if (std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc{})
    return otherwise;
  return std::clamp(value, 0, max);
}

class Shop {
 public:
  explicit Shop(Options options) : options_(std::move(options)) {}

  Response handle(const Request& request, Client& client) {
    count(request.path);
    if (request.path == "/healthz") return {200, "ok\n"};
    if (request.path.starts_with("/status/")) {
      const int status = number(std::string_view(request.path).substr(8), 200, 599);
      return answer(std::max(status, 200), self(path_here()));
    }
    if (request.path == "/slow") {
      std::this_thread::sleep_for(number(query_value(request.query, "ms"), 1000, 60'000) * 1ms);
      return answer(200, self(path_here()));
    }
    if (request.path == "/flaky") return flaky(request);
    if (request.path == "/echo") return echo(request);
    if (request.path == "/counts") return counts();
    if (options_.fail_every != 0 && ++journeys_ % options_.fail_every == 0)
      return answer(500, self(path_here()));
    return journey(request, client);
  }

 private:
  std::string path_here() const {
    return fmt::format("{}[{}]", options_.service, options_.version);
  }

  Json self(const std::string& path) const {
    return {{"service", options_.service},
            {"version", options_.version},
            {"instance", options_.instance},
            {"path", path}};
  }

  // Bytes of a header that are not UTF-8 are replaced, not thrown about.
  static Response answer(int status, const Json& json) {
    return {status,
            json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n",
            {{"content-type", "application/json"}}};
  }

  // Calls every service after this one, in order.
  Response journey(const Request& request, Client& client) const {
    Headers headers;
    for (const std::string_view name : passed_on) {
      if (options_.forward == "none" || (options_.forward == "baggage" && name != "baggage") ||
          (options_.forward == "header" && name == "baggage") ||
          (options_.forward == "id" && name != "x-request-id")) {
        continue;
      }
      if (const auto found = request.headers.find(std::string(name));
          found != request.headers.end()) {
        headers.insert(*found);
      }
    }
    std::vector<std::string> ways;
    Json errors = Json::array();
    for (const std::string& url : options_.calls) {
      ways.push_back(call(url, headers, client, errors));
    }
    std::string path = path_here();
    for (std::size_t i = 0; i < ways.size(); ++i) path += (i == 0 ? " > " : " + ") + ways[i];
    Json json = self(path);
    if (errors.empty()) return answer(200, json);
    json["errors"] = std::move(errors);
    return answer(502, json);
  }

  // The way from there on: what the called service says of itself, or `cart(503)`.
  std::string call(const std::string& url, const Headers& headers, Client& client,
                   Json& errors) const {
    const auto host_begin = url.find("//") + 2;
    const std::string name =
        url.substr(host_begin, url.find_first_of(".:/", host_begin) - host_begin);
    const auto outcome = client.get(url, headers, options_.timeout_ms * 1ms);
    if (!outcome.response) {
      errors.push_back(outcome.error);
      return name + "(no answer)";
    }
    const Response& response = *outcome.response;
    const auto json = Json::parse(response.body, nullptr, false);
    const bool speaks = json.is_object() && json.contains("path") && json["path"].is_string();
    if (response.status >= 400) {
      errors.push_back(fmt::format(
          "{} answered {}: {}", url, response.status,
          speaks ? json.value("errors", Json::array()).dump() : response.body.substr(0, 200)));
    }
    return speaks ? json["path"].get<std::string>() : fmt::format("{}({})", name, response.status);
  }

  Response echo(const Request& request) const {
    Json json = self(path_here());
    json["method"] = request.method;
    json["target"] = request.query.empty() ? request.path : request.path + "?" + request.query;
    json["peer"] = request.peer;
    json["headers"] = request.headers;
    json["body"] = request.body;
    return answer(200, json);
  }

  Response flaky(const Request& request) {
    const std::lock_guard lock(mutex_);
    // Enough for any test run; after that every key is used up.
    if (seen_.size() > 10'000) return answer(200, self(path_here()));
    const int seen = seen_[query_value(request.query, "key")]++;
    const bool fails = seen < number(query_value(request.query, "times"), 1, 1000);
    Json json = self(path_here());
    json["attempt"] = seen + 1;
    return answer(fails ? 503 : 200, json);
  }

  void count(const std::string& path) {
    const std::lock_guard lock(mutex_);
    if (counts_.size() < 1000 || counts_.contains(path)) ++counts_[path];
  }

  Response counts() {
    const std::lock_guard lock(mutex_);
    Json json = self(path_here());
    json["counts"] = counts_;
    return answer(200, json);
  }

  const Options options_;
  std::atomic<unsigned> journeys_ = 0;
  std::mutex mutex_;
  std::map<std::string, int> seen_;    // /flaky, by key
  std::map<std::string, int> counts_;  // by path
};

}  // namespace
}  // namespace graymesh::shop

int main(int argc, char** argv) {
  graymesh::shop::Options options;
  CLI::App app("One version of one service of the demo shop.", "graymesh-shop");
  app.add_option("--listen", options.server.listen, "address:port")->required();
  app.add_option("--service", options.service, "its name")->required();
  app.add_option("--version", options.version, "which version it is");
  app.add_option("--instance", options.instance, "the name of this instance");
  app.add_option("--calls", options.calls, "URL of a service to call; repeatable");
  app.add_option("--proxy", options.server.proxy,
                 "address:port of the sidecar's HTTP proxy, or http://address:port");
  app.add_option("--fail-every", options.fail_every, "answers each Nth request with 500; 0: none");
  app.add_option("--timeout-ms", options.timeout_ms, "for each call")
      ->check(CLI::Range(1, 600'000));
  app.add_option("--forward", options.forward,
                 "which headers it passes on: header is all but baggage, id is x-request-id")
      ->check(CLI::IsMember({"all", "none", "header", "baggage", "id"}));
  CLI11_PARSE(app, argc, argv);
  if (options.server.proxy.starts_with("http://")) options.server.proxy.erase(0, 7);
  graymesh::shop::Shop shop(options);
  return graymesh::shop::serve(options.server, [&shop](const auto& request, auto& client) {
    return shop.handle(request, client);
  });
}
