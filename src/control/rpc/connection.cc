#include "control/rpc/connection.h"

#include <fmt/core.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "control/rpc/loop.h"
#include "control/rpc/peer.h"

namespace graymesh::rpc {
namespace {

constexpr int reads_max = 4;     // buffers in one turn
constexpr int looks_a_line = 4;  // the distance is asked for at every fourth look

}  // namespace

Connection::Connection(const Options& options, std::shared_ptr<Mailbox> mailbox, Descriptor socket,
                       Steady now)
    : options_(options),
      socket_(std::move(socket)),
      peer_(std::make_shared<Peer>(peer_name(socket_.get()))),
      session_(options, std::move(mailbox), peer_),
      since_(now),
      heard_(now) {
  session_.connection = this;
  if (const auto line = line_of(socket_.get())) peer_->distance_us = line->distance_us;
}

bool Connection::read(std::span<char> buffer, bool ends, Steady now) {
  ends_ = ends_ || ends;
  for (int i = 0; i < reads_max && !over_; ++i) {
    const ssize_t count = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return false;
    if (count <= 0) {
      end();
      return false;
    }
    heard_ = now;
    pinged_ = false;
    const auto size = static_cast<std::size_t>(count);
    session_.hear({buffer.data(), size}, now);
    // Less than there is room for was all that there was; its end is another event.
    if (size < buffer.size() && !ends_) return false;
  }
  return !over_;
}

bool Connection::flush(Output& scratch) {
  if (over_) return false;
  if (left_) {
    const auto sent = left_->send(socket_.get());
    if (sent == Output::Sent::failed) end();
    // What cannot be sent is not made; but answers to what comes wait in the session.
    if (sent == Output::Sent::some && session_.floods()) end();
    if (sent != Output::Sent::all) return false;
    left_.reset();
    session_.sent();
  }
  session_.produce(scratch);
  if (!scratch.empty()) {
    const auto sent = scratch.send(socket_.get());
    if (sent != Output::Sent::all) left_ = std::make_unique<Output>(std::exchange(scratch, {}));
    if (sent == Output::Sent::failed) end();
  }
  if (left_) return false;
  if (session_.over()) end();
  return session_.sent();
}

void Connection::look(Steady now) {
  if (!session_.greeted() && now - since_ >= options_.patience) end();
  look_for_silence(now);
  session_.look(now);
}

void Connection::look_for_silence(Steady now) {
  const bool quiet = now - heard_ >= options_.ping_every;
  if (!quiet && ++looks_ % looks_a_line != 0) return;
  const auto line = line_of(socket_.get());
  if (!line) return;
  peer_->distance_us = line->distance_us;
  const bool came = std::exchange(came_, line->received) != line->received;
  if (!quiet || came || !pinged_) silent_looks_ = 0;
  if (!quiet) return;
  if (!std::exchange(pinged_, true)) {
    session_.ping();
  } else if (!came && ++silent_looks_ >= std::max(1L, options_.ping_timeout / look_every)) {
    const std::chrono::duration<double> time = options_.ping_timeout;
    session_.lose(
        {Code::unavailable, fmt::format("it has not answered a ping for {:.0f} s", time.count())});
    end();
  }
}

}  // namespace graymesh::rpc
