// One HTTP request at a time to Envoy's admin, without ever waiting for it: whoever polls hands in
// what became possible and gets the reply, or its absence, when it is there. Each request has a
// connection of its own, so that an Envoy that stalled once is not waited for forever.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "sidecar/socket.h"

namespace graymesh::sidecar {

struct Reply {
  int status = 0;  // 0: there was no reply
  std::string body;
};

class Probe {
 public:
  // More than any answer we ask for; a longer one counts as none.
  static constexpr std::size_t reply_bytes_max = std::size_t{1} << 20;

  Probe(const Clock& clock, Address address) : clock_(clock), address_(address) {}

  bool busy() const { return static_cast<bool>(socket_); }
  void begin(std::string_view method, std::string_view path, std::chrono::milliseconds timeout);
  void cancel() { socket_.reset(); }

  pollfd interest() const;
  Clock::Steady deadline() const { return deadline_; }
  // After a poll: the reply, if this ended it.
  std::optional<Reply> advance(short events);

 private:
  std::optional<Reply> finish();
  Reply give_up();

  const Clock& clock_;
  const Address address_;
  Descriptor socket_;
  Clock::Steady deadline_{};
  std::string out_;  // of the request, still to be sent
  std::string in_;
};

// Takes apart a whole HTTP/1 response whose body ends with the connection or is chunked.
std::optional<Reply> parse_reply(std::string_view bytes);

}  // namespace graymesh::sidecar
