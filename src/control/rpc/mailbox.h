// What other threads hand to a loop: asks of calls, sockets that were accepted, and the word to
// end.
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/descriptor.h"
#include "control/rpc/rpc.h"

namespace graymesh::rpc {

struct Peer {
  explicit Peer(std::string name) : address(std::move(name)) {}
  const std::string address;
  mutable std::atomic<std::int64_t> distance_us = 0;
};

struct Ask {
  struct Read {};
  struct Finish {
    Status status;
    Metadata trailers;
  };
  struct Cancel {};
  CallPtr call;
  std::variant<Read, Message, Finish, Cancel> what;
};

// Any thread posts, the loop takes. What the loop's own thread posts, while it is in take() or
// behind it, needs no lock and no bell. Outlives the loop, for calls that somebody still knows.
class Mailbox {
 public:
  struct Mail {
    std::vector<Ask> asks{};
    std::vector<Descriptor> sockets{};
    bool close = false, stop = false;
    bool empty() const { return asks.empty() && sockets.empty() && !close && !stop; }
  };

  Mailbox();
  int bell() const { return bell_.get(); }  // an eventfd, for an edge-triggered poll; -1: none

  void post(Ask ask);  // at once, or when the thread's Together goes
  void post(Descriptor socket);
  void close();
  void stop();

  // From now on it is this thread's.
  void own();
  // All that has come. With nothing there it says false, and whoever posts next rings the bell.
  bool take(Mail& mail, bool to_sleep);
  // The loop is awake again, whoever woke it.
  void wake();
  // Nobody takes any more: what is here and what comes is dropped.
  void shut();

 private:
  friend class Together;
  template <typename Put>
  void put(const Put& put);

  const Descriptor bell_;
  std::mutex mutex_;
  Mail mail_;
  bool sleeping_ = false, shut_ = false;
  std::vector<Ask> own_;  // the owner's
};

}  // namespace graymesh::rpc
