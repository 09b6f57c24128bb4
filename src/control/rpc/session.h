// What is said on one connection, without its socket: HTTP/2 by nghttp2, and on each stream one
// call of gRPC. Bytes in, bytes out; what happens is told to reactors.
//
// Windows: of what nobody asks for at most one window comes (64 KiB, the first that RFC 9113 6.9.2
// gives every stream). A message that is asked for gets room for all of its length as soon as its
// head has been looked at; what so comes beyond a window is bounded for all of the connection
// together. The connection's own window is open all the time, as the streams' are the bound.
#pragma once

#include <nghttp2/nghttp2.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "control/rpc/framing.h"
#include "control/rpc/headers.h"
#include "control/rpc/mailbox.h"
#include "control/rpc/output.h"
#include "control/rpc/rpc.h"

namespace graymesh::rpc {

using Steady = std::chrono::steady_clock::time_point;

class Connection;
class Session;

// One stream.
struct Exchange {
  Session* session = nullptr;
  std::int32_t stream = 0;
  Headers headers{};
  CallPtr call{};                      // null: it never became one
  std::shared_ptr<Reactor> reactor{};  // null: nobody hears of it
  std::optional<Steady> deadline{};    // by grpc-timeout

  Framing in{};
  bool reading = false;  // the next message was asked for
  bool ended = false;    // the client has nothing more to say
  // Bytes that the client may send by now. Less than nothing: it has sent more, which nghttp2
  // finds.
  std::int64_t room = NGHTTP2_INITIAL_WINDOW_SIZE;
  std::size_t needs = 0;    // of the message that may come in, with its prefix; 0: any that fits
  std::size_t granted = 0;  // of incoming_bytes_max
  bool waiting = false;     // for that
  Steady progress{};        // something came, or was asked for

  Message out{};
  std::array<char, prefix_bytes> prefix{};
  std::size_t out_at = 0;  // of prefix, head and body together
  bool writing = false;
  bool begun = false;                // its first headers are on their way
  std::optional<Ask::Finish> end{};  // as soon as nothing is being written
  Status told{};                     // what on_done() says
};

class Session {
 public:
  // `options` and the mailbox outlive it.
  Session(const Options& options, std::shared_ptr<Mailbox> mailbox,
          std::shared_ptr<const Peer> peer);
  ~Session();  // calls that are open are done, with what lose() said
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Everything below is called by one thread.

  void hear(std::string_view bytes, Steady now);
  void perform(Exchange& exchange, Ask& ask, Steady now);
  // The same, where the call may be over.
  void perform_for(Ask& ask, Steady now) {
    if (ask.call->exchange_ != nullptr) perform(*ask.call->exchange_, ask, now);
  }
  // All that is to be said now. Not before the last was sent.
  void produce(Output& output);
  // The kernel has what produce() gave. True: somebody was told that his message is written.
  bool sent();
  void ping();
  // No more calls.
  void go_away();
  // Why the connection is about to go, if not by the client's will.
  void lose(Error why) { lost_ = std::move(why); }

  // What time alone brings: deadlines, and those who get no further. To be asked now and then.
  void look(Steady now);
  std::optional<Steady> deadline() const {
    return deadline_;
  }  // of look(), when it may not be late

  bool wants_write() const;
  // Nothing can be said any more, or nobody has anything to say.
  bool over() const;
  // The client has begun to speak HTTP/2.
  bool greeted() const { return greeted_; }
  // More answers wait than a client can want that reads any of them.
  bool floods() const;

  Connection* connection = nullptr;  // whose it is; null: it has no socket

 private:
  using Nv = std::vector<nghttp2_nv>;
  void start();
  void settle();
  void open(Exchange& exchange, Steady now);
  void received(Exchange& exchange, std::string_view bytes);
  void advance(Exchange& exchange);
  bool refuses(Exchange& exchange, const Framing::Prefix& prefix);
  void admit(Exchange& exchange, std::size_t bytes);
  void taken(Exchange& exchange);
  void give_room(Exchange& exchange);
  void grant_next();
  void write(Exchange& exchange, Message message);
  void finish(Exchange& exchange, Status status, Metadata trailers = {}, int http_status = 200);
  void cancel(Exchange& exchange, std::uint32_t code);
  void answer(Exchange& exchange, int http_status);
  void forget(std::int32_t stream);
  void count_reset();
  Exchange* find(std::int32_t stream);
  static void add_end(Nv& headers, const Ask::Finish& end, std::array<std::string, 2>& texts);

  ssize_t take_out(Exchange& exchange, std::size_t bytes_max, std::uint32_t& flags);
  void put_out(Exchange& exchange, std::size_t bytes);

  static int on_begin(nghttp2_session*, const nghttp2_frame* frame, void* self);
  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                       std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
                       std::uint8_t, void* self);
  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* self);
  static int on_data(nghttp2_session*, std::uint8_t, std::int32_t stream, const std::uint8_t* data,
                     std::size_t size, void* self);
  static int on_close(nghttp2_session*, std::int32_t stream, std::uint32_t code, void* self);
  static int on_frame_sent(nghttp2_session*, const nghttp2_frame* frame, void* self);
  static ssize_t on_send(nghttp2_session*, const std::uint8_t* data, std::size_t size, int,
                         void* self);
  static int on_send_data(nghttp2_session*, nghttp2_frame* frame, const std::uint8_t* head,
                          std::size_t size, nghttp2_data_source*, void* self);
  static ssize_t on_body(nghttp2_session*, std::int32_t stream, std::uint8_t*, std::size_t size,
                         std::uint32_t* flags, nghttp2_data_source*, void* self);

  const Options& options_;
  const std::shared_ptr<Mailbox> mailbox_;
  const std::shared_ptr<const Peer> peer_;
  nghttp2_session* http_ = nullptr;
  bool dead_ = false, greeted_ = false;
  Steady now_{};
  std::unordered_map<std::int32_t, std::unique_ptr<Exchange>> exchanges_;
  Exchange* newest_ = nullptr;    // that was asked for: an ADS connection has one
  std::vector<CallPtr> written_;  // whose message was produced, and is not with the kernel
  Output* output_ = nullptr;      // during produce()
  std::size_t incoming_ = 0;      // granted, of incoming_bytes_max
  std::deque<std::int32_t> waiting_;
  std::optional<Steady> deadline_;
  Error lost_{Code::cancelled, "the connection is gone"};
  double resets_ = 0;  // a bucket that leaks
  Steady reset_at_{};
};

}  // namespace graymesh::rpc
