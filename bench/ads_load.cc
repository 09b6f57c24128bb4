// A crowd of sidecars to load a control plane with, and to measure it by: each a connection with an
// ADS stream of its own that subscribes, warms, ACKs, pings and comes back as Envoy does
// (bench/ads/proxy.h), at a hundredth of its weight. What Envoy would do with what it gets is not
// done; bench/load.py puts real Envoys beside it.
//
//   ads_load --server 127.0.0.1:15010 --nodes nodes.jsonl --streams 1100
//
// It obeys lines of standard input, and answers each with a line of JSON; it ends with its input.
//
//   synced SECONDS             waits until all have all they asked for: seconds since the start
//   counts | each              messages, bytes, ACKs, resources by type; of all, of each by node id
//   reset                      counts begin anew
//   watch FIRST TARGETS        changes are looked for from now on (bench/ads/watch.h)
//   wrote KIND NUMBER NS       change NUMBER (endpoint, route) was made then, by CLOCK_MONOTONIC
//   wait KIND FROM TO SECONDS  waits until these changes are at every stream: milliseconds
//   series KIND FROM TO        the same of each of them, and "at": when it was written, after the
//                              first; asked after wait
//   mark | report SECONDS      the same for the next route table, whatever is in it
//   drop N | forget N          ends N connections; the proxy comes back with all, or with nothing
//   stuck N | slow N BYTES | usual   N proxies read no more, or so many bytes a second; all as
//   usual
#include <arpa/inet.h>
#include <fmt/core.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/json.h"
#include "bench/ads/fleet.h"

namespace graymesh::ads {
namespace {

using Json = nlohmann::ordered_json;

// Of sorted values, by nearest rank.
template <typename Value>
Value share(const std::vector<Value>& sorted, std::size_t percent) {
  return sorted[(sorted.size() * percent + 99) / 100 - 1];
}

Json spread(std::vector<double> values) {
  std::ranges::sort(values);
  if (values.empty()) return Json::object();
  return {{"first", values.front()},
          {"p50", share(values, 50)},
          {"p99", share(values, 99)},
          {"last", values.back()}};
}

Json json_of(const Counts& counts) {
  return {{"messages", counts.messages},   {"bytes", counts.bytes},     {"acks", counts.acks},
          {"resources", counts.resources}, {"removed", counts.removed}, {"resent", counts.resent},
          {"emptied", counts.emptied},     {"late", counts.late}};
}

class Session {
 public:
  Session(const FleetOptions& options, const std::vector<Node>& nodes)
      : begun_(now_ns()), fleet_(options, nodes), streams_(nodes.size()) {}

  Json obey(const std::string& line) {
    std::istringstream words(line);
    std::string verb;
    words >> verb;
    if (verb == "synced") return synced(next<double>(words));
    if (verb == "counts") return counts();
    if (verb == "each") return Json::parse(fleet_.counts_of_each());
    if (verb == "watch") return watch(words);
    if (verb == "wrote") return wrote(words);
    if (verb == "wait") return wait(words);
    if (verb == "series") return series(words);
    if (verb == "mark") return mark();
    if (verb == "report") return came({{Mark::tables, 0}}, next<double>(words));
    if (verb == "reset") {
      fleet_.reset();
    } else if (verb == "drop" || verb == "forget") {
      fleet_.drop(next<std::size_t>(words), verb == "forget");
    } else if (verb == "stuck") {
      fleet_.read(next<std::size_t>(words), {.how = Reading::How::stuck});
    } else if (verb == "slow") {
      const auto count = next<std::size_t>(words);
      fleet_.read(count, {.how = Reading::How::slow, .bytes_per_second = next<std::size_t>(words)});
    } else if (verb == "usual") {
      fleet_.read(0, {});
    } else {
      return {{"error", "what is " + verb + "?"}};
    }
    return Json::object();
  }

 private:
  using Change = std::pair<Mark, std::uint32_t>;

  template <typename Value>
  static Value next(std::istringstream& words) {
    Value value{};
    words >> value;
    return value;
  }
  static Mark kind_of(const std::string& name) {
    return name == "route" ? Mark::route : Mark::endpoint;
  }

  // Asks `holds` until it is true or the time is over.
  template <typename Holds>
  static void until(double seconds, const Holds& holds) {
    const auto end = now_ns() + static_cast<std::int64_t>(seconds * 1e9);
    while (!holds() && now_ns() < end) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }

  Json synced(double seconds) {
    Figures figures;
    until(seconds, [&] {
      figures = fleet_.figures();
      return figures.synced == figures.streams;
    });
    std::vector<double> taken;
    for (const auto at : figures.synced_at) taken.push_back(static_cast<double>(at - begun_) / 1e9);
    Json out = spread(std::move(taken));
    out["streams"] = figures.streams;
    out["connected"] = figures.connected;
    out["synced"] = figures.synced;
    return out;
  }

  Json counts() {
    Figures figures = fleet_.figures();
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    const auto seconds = [](const timeval& time) {
      return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    Json out = {{"streams", figures.streams},
                {"connected", figures.connected},
                {"synced", figures.synced},
                {"connects", figures.connects},
                {"ended", figures.ended},
                {"wire_bytes", figures.wire_bytes},
                {"own_cpu", seconds(used.ru_utime) + seconds(used.ru_stime)},
                {"own_rss_mb", used.ru_maxrss / 1024}};
    for (std::size_t i = 0; i < type_count; ++i)
      out["types"][std::string(short_name(Type{static_cast<std::uint8_t>(i)}))] =
          json_of(figures.counts[i]);
    for (auto& [type, held] : figures.held) {
      std::ranges::sort(held);
      out["held"][type] = {{"least", held.front()}, {"most", held.back()}};
    }
    return out;
  }

  Json watch(std::istringstream& words) {
    const auto first = next<std::uint32_t>(words);
    fleet_.watch(first, std::max(1u, next<std::uint32_t>(words)));
    wrote_.clear();
    return Json::object();
  }

  Json wrote(std::istringstream& words) {
    const Mark kind = kind_of(next<std::string>(words));
    const auto number = next<std::uint32_t>(words);
    wrote_[{kind, number}] = next<std::int64_t>(words);
    return Json::object();
  }

  Json wait(std::istringstream& words) {
    const Mark kind = kind_of(next<std::string>(words));
    const auto from = next<std::uint32_t>(words), to = next<std::uint32_t>(words);
    std::vector<Change> changes;
    for (std::uint32_t number = from; number <= to; ++number) changes.emplace_back(kind, number);
    return came(changes, next<double>(words));
  }

  Json series(std::istringstream& words) {
    const Mark kind = kind_of(next<std::string>(words));
    const auto from = next<std::uint32_t>(words), to = next<std::uint32_t>(words);
    const auto ms = [](std::int64_t ns) { return static_cast<double>(ns) / 1e6; };
    Json out = Json::array();
    for (std::uint32_t number = from; number <= to; ++number) {
      const std::int64_t at = wrote_[{kind, number}];
      std::vector<double> taken;
      for (const auto came : fleet_.times(kind, number)) taken.push_back(ms(came - at));
      Json of = spread(std::move(taken));
      of["at"] = ms(at - wrote_[{kind, from}]);
      out.push_back(std::move(of));
    }
    return out;
  }

  Json mark() {
    fleet_.watch(0, 1);
    wrote_.clear();
    wrote_[{Mark::tables, 0}] = now_ns();
    return Json::object();
  }

  Json came(const std::vector<Change>& changes, double seconds) {
    until(seconds, [&] {
      return std::ranges::all_of(changes, [&](const Change& change) {
        return fleet_.times(change.first, change.second).size() >= streams_;
      });
    });
    std::vector<double> taken;
    for (const auto& change : changes) {
      for (const auto at : fleet_.times(change.first, change.second))
        taken.push_back(static_cast<double>(at - wrote_[change]) / 1e6);
    }
    const std::size_t wanted = streams_ * changes.size();
    const std::size_t arrived = taken.size();
    Json out = spread(std::move(taken));
    out["changes"] = changes.size();
    out["arrived"] = arrived;
    out["missing"] = wanted - std::min(wanted, arrived);
    return out;
  }

  std::int64_t begun_;
  Fleet fleet_;
  std::size_t streams_;
  std::map<Change, std::int64_t> wrote_;
};

// "127.0.0.1:15010,127.0.0.1:15020"
Result<std::vector<sockaddr_in>> servers_of(const std::string& text) {
  std::vector<sockaddr_in> servers;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    const auto colon = part.rfind(':');
    const int port = colon == std::string::npos ? 0 : std::atoi(part.c_str() + colon + 1);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    if (port <= 0 || port > 65535 ||
        ::inet_pton(AF_INET, part.substr(0, colon).c_str(), &address.sin_addr) != 1)
      return Error{Code::invalid_argument, "--server " + part + ": must be an IP and a port"};
    servers.push_back(address);
  }
  return servers;
}

Status raise_descriptors(std::size_t wanted) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur >= wanted) return {};
  return Error{
      Code::resource_exhausted,
      fmt::format("{} open files are allowed, {} needed (ulimit -n)", limit.rlim_cur, wanted)};
}

Status run(const FleetOptions& from, const std::string& servers, const std::string& file,
           std::size_t streams) {
  FleetOptions options = from;
  options.servers = TRY(servers_of(servers));
  const auto nodes = TRY(read_nodes(file, streams));
  TRY(raise_descriptors(nodes.size() + 64));
  Session session(options, nodes);
  for (std::string line; std::getline(std::cin, line);) {
    fmt::print("{}\n", session.obey(line).dump());
    std::fflush(stdout);
  }
  return {};
}

}  // namespace
}  // namespace graymesh::ads

int main(int argc, char** argv) {
  CLI::App app{"Very many simulated sidecars; commands on standard input: see bench/ads_load.cc"};
  graymesh::ads::FleetOptions options;
  std::string servers, nodes;
  std::size_t streams = 1;
  bool sotw = false;
  app.add_option("--server", servers, "IP:PORT of the control plane; several: with commas")
      ->required();
  app.add_option("--nodes", nodes, "JSON lines, one sidecar each (tools/gen_mesh.py)")->required();
  app.add_option("--streams", streams, "how many of them")->check(CLI::Range(1, 1'000'000));
  app.add_option("--threads", options.threads)->check(CLI::Range(1, 64));
  app.add_flag("--sotw", sotw, "state of the world instead of delta");
  app.add_option("--ping", options.ping_seconds, "HTTP/2 ping every so many seconds; 0: none");
  app.add_option("--backoff", options.backoff_seconds, "first interval, in seconds");
  app.add_option("--backoff-max", options.backoff_max_seconds, "largest interval, in seconds");
  app.add_option("--seed", options.seed);
  CLI11_PARSE(app, argc, argv);
  options.delta = !sotw;
  const auto done = graymesh::ads::run(options, servers, nodes, streams);
  if (done) return 0;
  fmt::print(stderr, "ads_load: {}\n", done.error().message);
  return 1;
}
