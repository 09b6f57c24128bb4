#include "cli/up_wait.h"

#include <fmt/core.h>
#include <httplib.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <thread>

#include "cli/client.h"
#include "cli/platform.h"

namespace graymesh::cli {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;
using Steady = std::chrono::steady_clock;

constexpr auto look_every = 100ms;

Result<UpPages> pages_of(const UpWait& wait) {
  UpPages out;
  const Common common{wait.server};
  // Only kinds that were given: a mesh of many Services has large pages.
  std::map<std::string, bool> kinds;
  for (const json& object : wait.objects) kinds[text_at(object, "/kind")] = true;
  for (const auto& [kind, there] : kinds) {
    const json page = TRY(get(wait.server, "/api/v1/objects?kind=" + percent_encoded(kind)));
    for (const json& item : page.value("items", json::array())) out.objects.push_back(item);
  }
  out.applications = TRY(all_items(common, "/api/v1/applications?"));
  json instances = TRY(get(wait.server, "/api/v1/instances"));
  out.instances = instances["items"];
  if (kinds.contains("GrayRelease")) out.releases = TRY(all_items(common, "/api/v1/releases?"));
  json proxies = TRY(get(wait.server, "/api/v1/proxies"));
  out.proxies = proxies["items"];
  return out;
}

// True if what is behind the gateway answers, whatever it says: Envoy tells by a header that the
// answer is not its own.
bool answers(const std::string& url_and_host) {
  const std::string rest = url_and_host.substr(std::string_view("http://").size());
  const std::string authority = rest.substr(0, rest.find('/'));
  const auto quote = rest.find("Host: ");
  // No resolver need know hello.localhost.
  const auto port = authority.rfind(':');
  const bool loopback = authority.substr(0, port).ends_with("localhost");
  httplib::Client client("http://" + (loopback ? "127.0.0.1" + authority.substr(port) : authority));
  client.set_connection_timeout(2);
  client.set_read_timeout(2);
  const std::string host =
      quote == std::string::npos ? authority : rest.substr(quote + 6, rest.size() - quote - 7);
  const auto answer = client.Get("/", httplib::Headers{{"Host", host}});
  return answer && answer->has_header("x-envoy-upstream-service-time");
}

std::string lines_of(const UpStanding& standing) {
  std::string out;
  for (const UpApplication& one : standing.applications) {
    if (!one.waits_for.empty())
      out += fmt::format("{}/{}: {}\n", one.namespace_, one.name, one.waits_for);
  }
  for (const std::string& what : standing.waits_for) out += fmt::format("waits for {}\n", what);
  return out;
}

class Progress {
 public:
  void tell(const UpStanding& standing) {
    live_ ? redraw(lines_of(standing)) : print_changes(standing);
  }
  void clear() {
    if (live_) redraw("");
  }

 private:
  void redraw(const std::string& text) {
    if (text == told_) return;
    if (const auto lines = std::count(told_.begin(), told_.end(), '\n'); lines > 0)
      fmt::print(stderr, "\x1b[{}A", lines);
    std::string out;
    for (const char c : text) out += c == '\n' ? "\x1b[K\n" : std::string(1, c);
    fmt::print(stderr, "{}\x1b[J", out);
    std::fflush(stderr);
    told_ = text;
  }

  void print_changes(const UpStanding& standing) {
    for (const UpApplication& one : standing.applications) {
      std::string& said = said_[one.namespace_ + "/" + one.name];
      // Why, in brackets, changes with every look.
      const std::string now = one.up ? "ready" : one.waits_for.substr(0, one.waits_for.find(" ("));
      if (now != said)
        fmt::print(stderr, "{}/{}: {}\n", one.namespace_, one.name, one.up ? now : one.waits_for);
      said = now;
    }
    std::string rest;
    for (const std::string& what : standing.waits_for) rest += (rest.empty() ? "" : ", ") + what;
    if (rest != told_ && !rest.empty()) fmt::print(stderr, "waits for {}\n", rest);
    told_ = rest;
    std::fflush(stderr);
  }

  const bool live_ = ::isatty(STDERR_FILENO) == 1;
  std::string told_;
  std::map<std::string, std::string> said_;
};

}  // namespace

Result<UpStanding> wait_until_up(const UpWait& wait) {
  const auto deadline = Steady::now() + wait.timeout;
  Progress progress;
  for (;;) {
    const auto pages = pages_of(wait);
    // It answers, and its first snapshot is not built yet.
    if (!pages && pages.error().code == Code::failed_precondition && Steady::now() < deadline) {
      std::this_thread::sleep_for(look_every);
      continue;
    }
    if (!pages) {
      progress.clear();
      return pages.error();
    }
    UpStanding now = standing(wait.objects, *pages);
    for (UpApplication& one : now.applications) {
      if (!now.up || one.urls.empty() || answers(one.urls.front())) continue;
      one.up = now.up = false;
      one.waits_for = fmt::format("an answer at {}", one.urls.front());
    }
    if (now.up || !now.hopeless.empty() || Steady::now() >= deadline) {
      progress.clear();
      return now;
    }
    progress.tell(now);
    std::this_thread::sleep_for(look_every);
  }
}

}  // namespace graymesh::cli
