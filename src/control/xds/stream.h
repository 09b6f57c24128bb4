// One gRPC stream: carries bytes between a proxy and its Session.
//
// The call's loop calls on_...(), workers call refresh(), people ask for status(): all of it meets
// at one mutex. Nothing of ours is called from inside a method of the call, so those are made under
// it.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "control/rpc/rpc.h"
#include "control/xds/bytes.h"
#include "control/xds/chain.h"
#include "control/xds/instruments.h"
#include "control/xds/reception.h"
#include "control/xds/session.h"
#include "control/xds/teller.h"
#include "control/xds/turns.h"
#include "control/xds/xds.h"

namespace graymesh::xds {

class Stream;

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
        changes({instruments.change, instruments.changes_under_way}),
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
  virtual Clock::Steady published() const = 0;

  Now now() const { return {clock.now(), clock.wall()}; }

  const ServerOptions options;
  std::atomic<resource::Witness::StreamId> streams_opened = 0;
  const Limits limits;
  ConfigSource& source;
  const Clock& clock;
  Instruments instruments;
  Chain changes;
  Diffs diffs;
  SharedFrames frames;
  Turns turns;
  Reception reception;
};

class Stream final : public rpc::Reactor {
 public:
  static std::shared_ptr<Stream> open(Shared& shared, bool delta, rpc::CallPtr call);
  Stream(Shared& shared, bool delta, rpc::CallPtr call);

  // It may be read from.
  void begin();
  // Deals with a long request: no loop does, as others wait for it, and pings.
  void work();
  // Asks the source what the proxy shall run now, and sends what it may be sent; or waits with both
  // for an ACK that is due at any moment, so that what comes meanwhile is asked for once.
  void refresh();
  // Whether time alone lets it go on.
  bool due(Clock::Steady now) const { return deadline_.load() <= now.time_since_epoch().count(); }
  void close(const Status& status);

  ProxyStatus status() const;
  Reach reached() const;
  resource::ConfigPtr acked() const;
  void recap();  // tells the witness what the proxy holds
  const std::string& peer() const { return call_->peer(); }
  bool is_delta() const { return session_.delta(); }
  Clock::Wall connected() const { return connected_; }
  const std::string& node_id() const { return node_->id; }  // once it has joined

  std::atomic<bool> queued = false;  // for refresh()

 private:
  void on_message(std::string bytes) override;
  void on_end() override;
  void on_written() override;
  void on_done(const Status& end) override;

  void take(const std::string& message);
  bool repeats(const std::string& message);
  template <typename Request>
  void hear(Result<Request> request);
  void count_locked();
  bool puts_off_locked(Clock::Steady now);
  bool refresh_at_hand();
  void update(resource::ConfigPtr config, Clock::Steady published);
  Now now_heard() const;
  void pump_locked(Now now);
  void send_next_locked(Now now);
  bool may_push_locked(Clock::Steady now);
  void count_held_locked(Clock::Steady now);
  void write_locked(const Response& response, Clock::Steady now);
  bool drop_hopeless_locked(Clock::Steady now);
  void drop_locked(const char* reason, const std::string& text);
  void set_deadline_locked(Clock::Steady now);
  void note_reach_locked(Now now);
  void finish_locked(const Status& status);
  Instruments& instruments() const { return shared_->instruments; }

  Shared* shared_;
  const rpc::CallPtr call_;
  const Clock::Wall connected_;

  std::mutex
      refresh_mutex_;  // before mutex_: Configs arrive in the order in which they were asked for
  std::shared_ptr<void> kept_;  // the source's; under refresh_mutex_
  mutable std::mutex mutex_;
  std::optional<resource::Node> node_;  // set once, before joined()
  Session session_;
  Teller teller_;
  Awaited awaited_;
  std::uint64_t reached_ = 0;  // session_.snapshot() when it was last looked at
  Clock::Wall reached_at_{};
  std::string long_;  // a request that waits for work(); the next is read behind it
  std::atomic<bool> received_ = false;  // it has said what it came with
  std::array<Channel::Counts, resource::type_count> counted_{};
  std::uint64_t ignored_ = 0, folded_ = 0;
  std::optional<Clock::Steady> put_off_;  // a refresh(), since what was published then
  bool admitted_ = false, complete_ = false;
  bool in_line_ = false;                  // the last that Turns said was no
  std::optional<std::size_t> held_ = 0;   // what Turns was told last; none: it has given a turn
  std::optional<Clock::Steady> writing_;  // since then
  bool again_ = false;                    // it was to be seen meanwhile whether there is more
  bool finished_ = false;
  std::atomic<Clock::Steady::rep> deadline_;
};

}  // namespace graymesh::xds
