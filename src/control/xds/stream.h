// One gRPC stream: carries bytes between a proxy and its Session.
//
// gRPC calls On...() from its threads, workers call refresh(), people ask for status(): all of it
// meets at one mutex. gRPC calls nothing of ours from inside a Start...(), so those are made under
// it.
#pragma once

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/support/byte_buffer.h>

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "control/xds/bytes.h"
#include "control/xds/instruments.h"
#include "control/xds/reception.h"
#include "control/xds/session.h"
#include "control/xds/teller.h"
#include "control/xds/turns.h"
#include "control/xds/xds.h"

namespace graymesh::xds {

class Stream;

// The other end of a connection, shared by its calls.
struct Peer {
  explicit Peer(std::string name) : address(std::move(name)) {}
  void heard(std::size_t request) {
    ++requests;
    bytes += request;
  }
  const std::string address;                  // "ipv4:127.0.0.1:41234"
  std::atomic<std::uint64_t> requests = 0;    // that came in whole
  std::atomic<std::uint64_t> bytes = 0;       // of those
  std::atomic<int> waiting = 0;               // of those, long ones that are not yet dealt with
  std::atomic<std::int64_t> distance_us = 0;  // the network's way there and back (TCP_INFO)
};

// What streams share, and where they are kept.
struct Shared {
  Shared(const ServerOptions& server_options, ConfigSource& config_source,
         metrics::Registry& registry, const Clock& time)
      : options(server_options),
        limits{.chunk_resources_max = options.chunk_resources_max,
               .chunk_bytes_max = options.chunk_bytes_max,
               .names_max = options.names_max,
               .hold_max = options.hold_max,
               .chunk_hold_max = options.chunk_hold_max},
        source(config_source),
        clock(time),
        instruments(registry),
        turns({.bytes_max = options.push_bytes_max, .cold_bytes_max = options.cold_bytes_max},
              [this](Turns::Key stream) { wake(stream); }),
        reception(options.reception_max, options.reception_patience,
                  [this](Reception::Key stream) { receive(stream); }) {}
  virtual ~Shared() = default;
  virtual void opened(std::shared_ptr<Stream> stream) = 0;
  virtual void joined(Stream& stream) = 0;       // its node is known: it wants its Config
  virtual void closed(Stream& stream) = 0;       // it is gone when this returns
  virtual void wake(const void* stream) = 0;     // the stream of that address, if it is still there
  virtual void receive(const void* stream) = 0;  // may begin(), as that one
  virtual void heard_much(Stream& stream) = 0;   // wants work(), when others are done
  virtual void dropped(Dropped one) = 0;
  virtual bool full() const = 0;  // no more streams may be opened
  virtual Clock::Steady published() const = 0;
  // More is on the way from there than one request may be long.
  virtual void refuse(const std::string& peer) = 0;

  Now now() const { return {clock.now(), clock.wall()}; }

  const ServerOptions options;
  std::atomic<resource::Witness::StreamId> streams_opened = 0;
  const Limits limits;
  ConfigSource& source;
  const Clock& clock;
  Instruments instruments;
  Diffs diffs;
  SharedFrames frames;
  Turns turns;
  Reception reception;
};

class Stream final : public grpc::ServerGenericBidiReactor {
 public:
  // Lives until gRPC is done with it.
  static Stream* open(Shared& shared, bool delta, std::shared_ptr<Peer> peer,
                      grpc::GenericCallbackServerContext& call);
  Stream(Shared& shared, bool delta, std::shared_ptr<Peer> peer,
         grpc::GenericCallbackServerContext& call);

  // It may be read from.
  void begin();
  // Deals with a long request: none of gRPC's threads does, as they answer pings, too.
  void work();
  // Asks the source what the proxy shall run now, and sends what it may be sent.
  void refresh();
  // Whether time alone lets it go on.
  bool due(Clock::Steady now) const { return deadline_.load() <= now.time_since_epoch().count(); }
  void close(const grpc::Status& status);

  ProxyStatus status() const;
  Reach reached() const;
  resource::ConfigPtr acked() const;
  void recap();  // tells the witness what the proxy holds
  const std::string& peer() const { return peer_->address; }
  bool is_delta() const { return session_.delta(); }
  Clock::Wall connected() const { return connected_; }
  const std::string& node_id() const { return node_->id; }  // once it has joined

  std::atomic<bool> queued = false;  // for refresh()

 private:
  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

  void take(const grpc::ByteBuffer& message);
  template <typename Request>
  void hear(Result<Request> request);
  void count_locked();
  Now now_heard() const;
  void pump_locked();
  void send_next_locked();
  bool may_push_locked(Clock::Steady now);
  void count_held_locked(Clock::Steady now);
  void write_locked(const Response& response, Clock::Steady now);
  bool drop_hopeless_locked(Clock::Steady now);
  void drop_locked(const char* reason, const std::string& text, grpc::StatusCode code);
  void set_deadline_locked();
  void note_reach_locked();
  void finish_locked(const grpc::Status& status);
  Instruments& instruments() const { return shared_->instruments; }

  Shared* shared_;
  const std::shared_ptr<Peer> peer_;
  grpc::GenericCallbackServerContext* const call_;  // lives until OnDone()
  const Clock::Wall connected_;
  std::shared_ptr<Stream> self_;

  std::mutex
      refresh_mutex_;  // before mutex_: Configs arrive in the order in which they were asked for
  std::shared_ptr<void> kept_;  // the source's; under refresh_mutex_
  mutable std::mutex mutex_;
  std::optional<resource::Node> node_;  // set once, before joined()
  Session session_;
  Teller teller_;
  std::uint64_t reached_ = 0;  // session_.snapshot() when it was last looked at
  Clock::Wall reached_at_{};
  grpc::ByteBuffer read_, write_;
  grpc::ByteBuffer long_;  // a request that waits for work(); the next is read behind it
  std::atomic<bool> received_ = false;  // it has said what it came with
  std::array<Channel::Counts, resource::type_count> counted_{};
  std::uint64_t ignored_ = 0, folded_ = 0;
  bool admitted_ = false, complete_ = false;
  std::optional<Clock::Steady> writing_;  // since then
  std::optional<grpc::Status> finish_;    // as soon as nothing is being written
  bool finished_ = false;
  std::atomic<Clock::Steady::rep> deadline_;
};

}  // namespace graymesh::xds
