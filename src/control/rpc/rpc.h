// gRPC's side of a server, over HTTP/2 in plain text: a port where calls come in, each of them
// messages both ways on one stream (PROTOCOL-HTTP2.md of gRPC, RFC 9113).
//
//   client ══ socket ─ Connection ─ Session (HTTP/2) ─ Call ──> Reactor (who takes the calls)
//              └──────────── one Loop, a thread ─────┘
//
// A few loops own the connections, each some of them wholly: their sockets, streams and buffers are
// touched by one thread, without locks. What other threads ask of a Call goes through a mailbox,
// whose bell is rung only when the loop sleeps; what many ask in one turn leaves together, with one
// write for each connection.
//
// Nobody makes it hold much. The windows of HTTP/2 let a message come in when it is asked for, and
// for as many bytes as its head says, which is looked at first; of what is not asked for some
// kilobytes come. Of each call one message goes out at a time, and what it shares with others is
// not copied.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace graymesh::rpc {

// Bytes, and what keeps them there.
struct Slice {
  std::string_view bytes{};
  std::shared_ptr<const void> owner{};
};

// One message: `head`, then `body`, which other messages may share.
struct Message {
  std::string head{};
  Slice body{};
  std::size_t size() const { return head.size() + body.bytes.size(); }
};

using Metadata = std::vector<std::pair<std::string, std::string>>;  // names in lower case

// Hears what happens on one call. The call's loop calls, one thing at a time, and never from inside
// a method of Call, so those may be called under a lock that is taken here. Others of the loop wait
// meanwhile: return soon.
class Reactor {
 public:
  virtual ~Reactor() = default;
  // Call::read() brought this.
  virtual void on_message(std::string bytes) = 0;
  // Or this: the client has nothing more to say, and waits for finish().
  virtual void on_end() = 0;
  // The kernel has all of what write() was given.
  virtual void on_written() = 0;
  // The last that is heard: the call is over. `end`: what the client was told; cancelled: it went
  // by itself, or was cut off; unavailable, if that was not told: it answered no ping.
  virtual void on_done(const Status& end) = 0;
};

// The other end of a connection.
struct Peer;

class Mailbox;
struct Exchange;

// One call, as its reactor sees it. Every method may be called from any thread, returns at once,
// and does nothing once the call is over.
class Call : public std::enable_shared_from_this<Call> {
 public:
  Call(std::string method, std::shared_ptr<const Peer> peer, std::shared_ptr<Mailbox> mailbox,
       Exchange* exchange);

  const std::string& method() const { return method_; }  // "/package.Service/Method"
  const std::string& peer() const;                       // "ipv4:127.0.0.1:41234"
  std::chrono::microseconds distance() const;  // the network's way there and back (TCP_INFO)

  // Asks for the next message: one at a time.
  void read();
  // Not before the message of the last write() is written.
  void write(Message message);
  // Ends the call, behind what is being written. The first one counts.
  void finish(Status status, Metadata trailers = {});
  // Ends it without a word; what is being written is lost.
  void cancel();

 private:
  friend class Session;
  friend class Loop;
  const std::string method_;
  const std::shared_ptr<const Peer> peer_;
  const std::shared_ptr<Mailbox> mailbox_;
  Exchange* exchange_;  // the loop's; null: it is over
};

using CallPtr = std::shared_ptr<Call>;

// While there is one, what its thread asks of calls is kept; they are asked when it goes. Who asks
// many rings the bell of each loop once. Not one inside another.
class Together {
 public:
  Together();
  ~Together();
  Together(const Together&) = delete;
  Together& operator=(const Together&) = delete;
};

// Who takes calls of one method; from a loop. Null: nobody hears of it, and it has been finished.
// The reactor is kept until it is done.
using Taker = std::function<std::shared_ptr<Reactor>(const CallPtr&)>;

struct Options {
  std::string name = "gRPC";               // whose port it is, for messages
  std::string address = "127.0.0.1:0";     // "host:port"; port 0: a free one
  std::map<std::string, Taker> methods{};  // by path; others are UNIMPLEMENTED
  // One that says it is longer ends its call with RESOURCE_EXHAUSTED, before it has come.
  std::size_t message_bytes_max = std::size_t{16} << 20;
  // Of all messages that are on their way in on one connection, together; one more waits for its
  // window.
  std::size_t incoming_bytes_max = std::size_t{64} << 20;
  // Of one connection, at a time. A proxy has a stream of xDS, and two for each of its workers.
  std::uint32_t calls_max = 256;
  // Who has said nothing for so long is pinged, and ended after `ping_timeout` more of silence.
  // Looked at twice a second.
  std::chrono::milliseconds ping_every{1000};
  std::chrono::milliseconds ping_timeout{3000};
  // Who gets no further for so long is given up: with the preface of the connection, with a message
  // of which a part has come, with reading how its call ended.
  std::chrono::milliseconds patience{30'000};
  // Threads; 0: one for each core, four at most.
  std::size_t loops = 0;
};

class Listener;
class Loop;

class Server {
 public:
  // Listens at once. unavailable: the port is taken, the host is none of ours; invalid_argument: no
  // "host:port".
  static Result<std::unique_ptr<Server>> start(Options options);
  // Ends every connection; each call is done when this returns.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  int port() const;
  // From now on nobody new, and those who are there are told so (GOAWAY). Calls go on.
  void close();

 private:
  explicit Server(Options options);
  const Options options_;
  std::vector<std::unique_ptr<Loop>> loops_;
  std::unique_ptr<Listener> listener_;
};

}  // namespace graymesh::rpc
