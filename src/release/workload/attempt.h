// One question to an application, put without ever waiting: does HTTP answer, do the ports accept
// connections. Whoever polls hands in what became possible and gets the outcome when it is there.
#pragma once

#include <poll.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/descriptor.h"

namespace graymesh::workload {

struct Outcome {
  bool well = false;
  bool answered = false;  // there was an answer, if a bad one
  std::string what = {};  // for people, if not well
};

class Attempt {
 public:
  static constexpr std::size_t reply_bytes_max = std::size_t{16} * 1024;

  explicit Attempt(const Clock& clock) : clock_(clock) {}

  bool busy() const { return busy_; }
  // 200 to 399 is well.
  void http(const std::string& address, std::uint16_t port, const std::string& path,
            std::chrono::milliseconds timeout);
  // One port after the other; none is well.
  void tcp(const std::string& address, std::vector<std::uint16_t> ports,
           std::chrono::milliseconds timeout);
  void cancel();

  pollfd interest() const;
  Clock::Steady deadline() const { return deadline_; }
  std::optional<Outcome> advance(short events);

  // The text of the last answer, for a sidecar tells there why it is not ready.
  const std::string& body() const { return body_; }

 private:
  void begin(const std::string& address, std::chrono::milliseconds timeout);
  void connect();
  Outcome end(Outcome outcome);
  std::optional<Outcome> exchange();
  std::optional<Outcome> read_reply(bool closed);

  const Clock& clock_;
  bool busy_ = false;
  bool connected_ = false;
  std::string address_;
  std::vector<std::uint16_t> ports_;  // the last one is asked
  bool http_ = false;
  std::string url_;
  std::string out_;
  std::string in_;
  std::string body_;
  Descriptor socket_;
  int refused_ = 0;  // errno of a connect() that failed at once
  Clock::Steady deadline_{};
};

}  // namespace graymesh::workload
