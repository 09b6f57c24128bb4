// Very many proxies on a few threads, each thread with an epoll of its own and its share of them.
// It opens their connections, keeps them alive by pings, and opens them again, after a back-off,
// when they end. All figures are added up over threads when somebody asks.
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "bench/ads/node.h"
#include "bench/ads/proxy.h"
#include "bench/ads/watch.h"

namespace graymesh::ads {

struct FleetOptions {
  std::vector<sockaddr_in> servers;  // each proxy goes on to the next when a connection ends
  bool delta = true;
  std::size_t threads = 1;
  // As graymesh's bootstrap has them. 0: no pings.
  double ping_seconds = 1, ping_timeout_seconds = 3;
  double backoff_seconds = 0.1, backoff_max_seconds = 1;
  std::uint64_t seed = 1;
};

// How some proxies read from now on.
struct Reading {
  enum class How : std::uint8_t { as_usual, slow, stuck } how = How::as_usual;
  std::size_t bytes_per_second = 0;  // of slow ones
};

struct Figures {
  std::size_t streams = 0, connected = 0, synced = 0;
  std::uint64_t connects = 0;                  // streams that were opened
  std::map<std::string, std::uint64_t> ended;  // connections, by why
  std::uint64_t wire_bytes = 0;                // received, HTTP/2 and all
  CountsByType counts{};
  std::vector<std::int64_t> synced_at;                   // CLOCK_MONOTONIC, ns; of those that are
  std::map<std::string, std::vector<std::size_t>> held;  // resources of each proxy, by type
};

class Fleet {
 public:
  Fleet(const FleetOptions& options, const std::vector<Node>& nodes);
  ~Fleet();

  Figures figures();
  void reset();  // counts begin anew
  void watch(std::uint32_t first, std::uint32_t targets);
  // When that change came to each stream.
  std::vector<std::int64_t> times(Mark kind, std::uint32_t number);
  // `count` proxies, chosen by chance: end their connections; let them read otherwise (0: all).
  void drop(std::size_t count, bool forget);
  void read(std::size_t count, Reading reading);
  std::string counts_of_each();  // JSON: by node id

 private:
  class Worker;
  std::vector<std::unique_ptr<Worker>> workers_;
};

std::int64_t now_ns();

}  // namespace graymesh::ads
