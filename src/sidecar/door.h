// The readiness endpoint: a few small HTTP answers on one port, bounded in everything. A probe
// connects, asks, is answered and closed; who stalls is closed after two seconds; who comes when
// all places are taken waits in the kernel's queue.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "sidecar/probe.h"
#include "sidecar/socket.h"

namespace graymesh::sidecar {

class Door {
 public:
  using Answer = std::function<Reply(std::string_view path)>;

  static constexpr std::size_t guests_max = 16;
  static constexpr std::size_t request_bytes_max = std::size_t{8} * 1024;
  static constexpr std::chrono::seconds patience{2};

  // unavailable if the port is taken.
  static Result<Door> open(const Clock& clock, const std::string& ip, std::uint16_t port,
                           Answer answer);

  std::uint16_t port() const { return port_; }  // the real one, if 0 was asked for

  // Adds what to poll for; `advance` takes the same entries back.
  void interest(std::vector<pollfd>& polled) const;
  void advance(const pollfd* first);
  // Of the guest who has waited longest; far away if there is none.
  Clock::Steady deadline() const;

 private:
  struct Guest {
    Descriptor socket;
    Clock::Steady deadline;
    std::string in;
    std::string out;  // the rest of the answer, once there is one
  };

  Door(const Clock& clock, Descriptor listener, std::uint16_t port, Answer answer)
      : clock_(&clock), listener_(std::move(listener)), port_(port), answer_(std::move(answer)) {}

  bool serve(Guest& guest, short events);  // false: it is over
  void accept();

  const Clock* clock_;
  Descriptor listener_;
  std::uint16_t port_;
  Answer answer_;
  std::vector<Guest> guests_;
};

// What to send to a guest who sent `head`, up to and with the empty line.
std::string answer_to(std::string_view head, const Door::Answer& answer);

}  // namespace graymesh::sidecar
