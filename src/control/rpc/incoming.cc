// The part of Session that takes messages in: one at a time, when it is asked for.
#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "control/rpc/session.h"

namespace graymesh::rpc {
namespace {

constexpr std::int64_t window = NGHTTP2_INITIAL_WINDOW_SIZE;

}  // namespace

void Session::received(Exchange& exchange, std::string_view bytes) {
  exchange.room -= static_cast<std::int64_t>(bytes.size());
  if (exchange.end || !exchange.reactor) return;  // the end of the call is on its way
  exchange.in.add(bytes);
  exchange.progress = now_;
  advance(exchange);
}

// Gives the reactor what it asked for, if that is here, or makes room for it.
void Session::advance(Exchange& exchange) {
  if (!exchange.reading || exchange.end || !exchange.reactor) return;
  if (const auto prefix = exchange.in.prefix()) {
    if (refuses(exchange, *prefix)) return;
    if (auto message = exchange.in.take()) {
      exchange.reading = false;
      taken(exchange);
      return exchange.reactor->on_message(*std::move(message));
    }
    admit(exchange, prefix_bytes + prefix->bytes);
  }
  if (!exchange.ended) return;
  if (exchange.in.held() > 0)
    return finish(exchange, Error{Code::internal, "the last message is not whole"});
  exchange.reading = false;
  exchange.reactor->on_end();
}

bool Session::refuses(Exchange& exchange, const Framing::Prefix& prefix) {
  if (prefix.bytes > options_.message_bytes_max) {
    finish(exchange, Error{Code::resource_exhausted,
                           fmt::format("a message of {} bytes; {} are the most that is taken",
                                       prefix.bytes, options_.message_bytes_max)});
    return true;
  }
  if (prefix.flag == not_compressed) return false;
  const std::string& encoding = exchange.headers.encoding;
  // gRPC's compression.md: what is not in grpc-accept-encoding is UNIMPLEMENTED; compressed without
  // a word of how is INTERNAL.
  if (prefix.flag == compressed && !encoding.empty() && encoding != "identity") {
    finish(exchange,
           Error{Code::unimplemented, "messages may not be compressed, here by " + encoding});
  } else {
    finish(exchange, Error{Code::internal, "a message that is compressed, and does not say how"});
  }
  return true;
}

// The message that is asked for has so many bytes, with its prefix.
void Session::admit(Exchange& exchange, std::size_t bytes) {
  if (exchange.needs > 0 || exchange.waiting) return;
  if (static_cast<std::int64_t>(bytes) > window) {
    // One at least, whatever the bounds are.
    if (incoming_ > 0 && incoming_ + bytes > options_.incoming_bytes_max) {
      exchange.waiting = true;
      waiting_.push_back(exchange.stream);
      return;
    }
    exchange.granted = bytes;
    incoming_ += bytes;
    exchange.in.expect(bytes);
  }
  exchange.needs = bytes;
  give_room(exchange);
}

void Session::taken(Exchange& exchange) {
  exchange.needs = 0;
  give_room(exchange);
  if (exchange.granted == 0) return;
  incoming_ -= std::exchange(exchange.granted, 0);
  grant_next();
}

// So that the message can come which may, and else one window. (nghttp2 would do it by itself for
// bytes that it is told are consumed, half a window at a time: too late for a message that is a
// little longer.)
void Session::give_room(Exchange& exchange) {
  if (exchange.ended || exchange.end) return;
  const auto held = static_cast<std::int64_t>(exchange.in.held());
  const auto needs = static_cast<std::int64_t>(exchange.needs) - held;
  const std::int64_t lacks = std::max(needs, window - held) - exchange.room;
  if (exchange.room >= needs && lacks < window / 2) return;
  (void)nghttp2_submit_window_update(http_, NGHTTP2_FLAG_NONE, exchange.stream,
                                     static_cast<std::int32_t>(lacks));
  exchange.room += lacks;
}

void Session::grant_next() {
  while (!waiting_.empty()) {
    Exchange* next = find(waiting_.front());
    const auto prefix = next != nullptr ? next->in.prefix() : std::nullopt;
    const std::size_t bytes = prefix ? prefix_bytes + prefix->bytes : 0;
    if (prefix && incoming_ > 0 && incoming_ + bytes > options_.incoming_bytes_max) return;
    waiting_.pop_front();
    if (next == nullptr) continue;
    next->waiting = false;
    next->progress = now_;
    if (prefix) admit(*next, bytes);
  }
}

}  // namespace graymesh::rpc
