// One thread of a Fleet.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <random>
#include <thread>

#include "bench/ads/connection.h"
#include "bench/ads/fleet.h"

namespace graymesh::ads {

class Fleet::Worker {
 public:
  Worker(const FleetOptions& options, std::vector<const Node*> nodes, std::uint64_t seed);
  ~Worker();

  // Runs `act` on the thread, and returns when it is done.
  void run(const std::function<void(Worker&)>& act);

  // Inside of run().
  void add_to(Figures& figures);
  void reset();
  void drop(bool forget);
  void read(Reading reading);
  void read_all(Reading reading);
  std::size_t size() const { return members_.size(); }
  void counts_of_each(std::string& out);
  Watch watch;

 private:
  struct Member {
    Member(const Node& its_node, bool delta, Texts& texts, Watch& watch)
        : node(&its_node), proxy(its_node, delta, texts, watch) {}
    const Node* node;
    Proxy proxy;
    std::unique_ptr<Connection> connection;
    std::size_t server = 0;
    double backoff = 0;
    std::int64_t next_ping = 0;
    Reading reading{};
    std::uint32_t events = 0;  // of epoll
  };

  void work();
  void acts();
  void look(std::int64_t now);  // at all that waits for time
  void look_at(std::size_t index, std::int64_t now);
  void reads(std::size_t index, Reading reading);
  void keep_alive(std::size_t index, std::int64_t now);
  void ready(std::size_t index, std::uint32_t events, std::int64_t now);
  void open(std::size_t index, std::int64_t now);
  void ended(std::size_t index, std::int64_t now);
  void arm(std::size_t index);
  double chance() { return std::uniform_real_distribution<double>(0, 1)(random_); }

  const FleetOptions options_;
  std::mt19937_64 random_;
  Texts texts_;
  std::deque<Member> members_;
  std::vector<std::int64_t> due_;  // by member: when to look at it
  int poll_, bell_;
  std::uint64_t connects_ = 0, wire_bytes_ = 0;
  std::map<std::string, std::uint64_t> ended_;

  std::mutex mutex_;
  std::condition_variable acted_;
  const std::function<void(Worker&)>* act_ = nullptr;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace graymesh::ads
