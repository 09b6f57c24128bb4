// A thread that owns some connections: waits until something comes for any of them, deals with it,
// and then lets each of them send once.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/descriptor.h"
#include "base/result.h"
#include "control/rpc/connection.h"
#include "control/rpc/mailbox.h"

namespace graymesh::rpc {

inline constexpr std::chrono::milliseconds look_every{500};  // at each connection

class Loop {
 public:
  // `options` outlive it. unavailable: no descriptors.
  static Result<std::unique_ptr<Loop>> start(const Options& options);
  ~Loop();  // ends its connections

  void take(Descriptor socket);  // any thread
  std::size_t connections() const { return count_; }
  void close() { mailbox_->close(); }

 private:
  explicit Loop(const Options& options);
  void work();
  void wait();
  bool deal_with_mail();
  void perform(Ask& ask);
  void open(Descriptor socket);
  bool flush();
  void look();
  void read(Connection& connection, bool ends);
  void mark(Connection& connection);
  void remove(Connection& connection);
  void say_goodbye();
  int sleep_ms() const;

  const Options& options_;
  const Descriptor poll_;
  const std::shared_ptr<Mailbox> mailbox_;
  std::atomic<std::size_t> count_ = 0;

  // The thread's.
  std::unordered_map<Connection*, std::unique_ptr<Connection>> connections_;
  std::vector<Connection*> dirty_, again_;
  std::vector<std::unique_ptr<Connection>> gone_;  // until the turn ends
  Mailbox::Mail mail_;
  Output scratch_;
  std::vector<char> buffer_;
  Steady now_{}, next_look_{};
  std::optional<Steady> deadline_;
  bool closing_ = false, stopping_ = false;
  std::thread thread_;
};

}  // namespace graymesh::rpc
