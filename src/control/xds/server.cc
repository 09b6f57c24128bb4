// The ADS server: keeps the list of the streams that come in, and has workers that ask the source
// for their Configs.
//
// publish() only rings a bell. A worker puts every stream on the queue (once, however often it
// rings), and the workers take them from there; so config_for() is called from the workers alone,
// under no lock that anybody waits for in publish(). A stream that puts a change off until an ACK
// comes takes it from config_at_hand() then, on its call's own thread, and only if that has nothing
// at hand goes to the queue.
#include <fmt/core.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <unordered_map>

#include "control/rpc/rpc.h"
#include "control/xds/stream.h"
#include "control/xds/xds.h"

namespace graymesh::xds {
namespace {

constexpr std::chrono::milliseconds tick{
    500};  // how often streams that wait for time are looked at
constexpr std::size_t dropped_max = 64;
constexpr unsigned workers_max = 4;
constexpr std::size_t batch_max = 16;                   // streams that a worker takes at a time
constexpr std::chrono::milliseconds goodbye_max{1000};  // for streams to end by themselves
constexpr std::string_view service_path = "/envoy.service.discovery.v3.AggregatedDiscoveryService/";

// For those that are sent away: another replica may have room at once, this one only when some have
// gone.
constexpr int pushback_ms_min = 1'000, pushback_ms_max = 10'000;

class AdsServer final : public Server, private Shared {
 public:
  AdsServer(const ServerOptions& server_options, ConfigSource& config_source,
            metrics::Registry& registry, const Clock& time)
      : Shared(server_options, config_source, registry, time) {}
  ~AdsServer() override;

  Status listen();

  int port() const override { return port_; }
  void publish(std::optional<Written> change) override;
  std::vector<ProxyStatus> status() const override;
  std::vector<Reach> reached() const override;
  resource::ConfigPtr config_of(const std::string& node_id) const override;
  void recap() override;
  std::vector<Dropped> dropped() const override;

 private:
  void opened(std::shared_ptr<Stream> stream) override;
  void joined(Stream& stream) override;
  void closed(Stream& stream) override;
  void wake(const void* stream) override;
  void receive(const void* stream) override;
  void heard_much(Stream& stream) override;
  void dropped(Dropped one) override;
  Clock::Steady published() const override;

  std::shared_ptr<rpc::Reactor> take(const rpc::CallPtr& call, bool delta);
  bool full() const;
  void turn_away(rpc::Call& call) const;
  void work();
  void work_long();
  void look_locked(std::unique_lock<std::mutex>& lock, Clock::Steady time);
  void enqueue_locked(const std::shared_ptr<Stream>& stream);
  std::vector<std::shared_ptr<Stream>> streams(bool only_joined = true) const;

  std::unique_ptr<rpc::Server> transport_;
  int port_ = 0;

  mutable std::mutex mutex_;
  std::condition_variable bell_;   // for workers
  std::condition_variable empty_;  // the last stream is gone
  struct Entry {
    std::shared_ptr<Stream> stream{};
    bool joined = false;  // it has named its node
  };
  std::unordered_map<const void*, Entry> streams_;  // by address
  std::deque<Dropped> dropped_;
  std::deque<std::shared_ptr<Stream>> queue_;
  bool published_now_ = false;
  std::atomic<Clock::Steady> published_at_{};  // when that was written
  std::atomic<Clock::Steady> faded_at_{};
  bool stopping_ = false;
  std::condition_variable long_bell_;
  std::deque<std::shared_ptr<Stream>> long_queue_;  // that have said much
  std::vector<std::thread> workers_;
};

Status AdsServer::listen() {
  rpc::Options transport{.name = "xDS",
                         .address = options.address,
                         .methods = options.methods,
                         .message_bytes_max = options.request_bytes_max,
                         .incoming_bytes_max = options.connection_bytes_max,
                         .ping_every = options.ping_every,
                         .ping_timeout = options.ping_timeout};
  for (const bool delta : {true, false}) {
    const auto* name = delta ? "DeltaAggregatedResources" : "StreamAggregatedResources";
    transport.methods[std::string(service_path) + name] = [this, delta](const rpc::CallPtr& call) {
      return take(call, delta);
    };
  }
  transport_ = TRY(rpc::Server::start(std::move(transport)));
  port_ = transport_->port();
  const std::size_t count = std::clamp(std::thread::hardware_concurrency(), 1u, workers_max);
  for (std::size_t i = 0; i < count; ++i) workers_.emplace_back([this] { work(); });
  // Half of the cores at most, so that the others go on meanwhile.
  for (std::size_t i = 0; i < std::max<std::size_t>(1, count / 2); ++i)
    workers_.emplace_back([this] { work_long(); });
  return {};
}

AdsServer::~AdsServer() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  bell_.notify_all();
  long_bell_.notify_all();
  for (auto& worker : workers_) worker.join();
  if (!transport_) return;
  transport_->close();
  for (const auto& stream : streams(false))
    stream->close(Error{Code::unavailable, "the control plane is going away"});
  {
    std::unique_lock lock(mutex_);
    empty_.wait_for(lock, goodbye_max, [this] { return streams_.empty(); });
  }
  transport_.reset();  // every call is done
}

std::shared_ptr<rpc::Reactor> AdsServer::take(const rpc::CallPtr& call, bool delta) {
  if (!full()) return Stream::open(*this, delta, call);
  turn_away(*call);
  return nullptr;
}

// Beyond all bounds, and so the one case in which a proxy is sent away: with gRPC's own words for
// when to come back, and not all at once.
void AdsServer::turn_away(rpc::Call& call) const {
  instruments.turned_away.add();
  thread_local std::minstd_rand random{std::random_device{}()};
  std::uniform_int_distribution pushback_ms(pushback_ms_min, pushback_ms_max);
  call.finish(Error{Code::unavailable,
                    fmt::format("{} streams are open, and no more may be", options.streams_max)},
              {{"grpc-retry-pushback-ms", std::to_string(pushback_ms(random))}});
}

void AdsServer::opened(std::shared_ptr<Stream> stream) {
  std::lock_guard lock(mutex_);
  const void* key = stream.get();
  streams_.emplace(key, Entry{std::move(stream)});
}

void AdsServer::joined(Stream& stream) {
  std::lock_guard lock(mutex_);
  const auto found = streams_.find(&stream);
  if (found == streams_.end()) return;  // it went while a worker dealt with what it had said
  Entry& entry = found->second;
  entry.joined = true;
  (stream.is_delta() ? instruments.delta_streams : instruments.sotw_streams).add(1);
  instruments.opened.add();
  enqueue_locked(entry.stream);
  bell_.notify_one();
}

void AdsServer::closed(Stream& stream) {
  Entry last;  // let go outside of the lock
  std::lock_guard lock(mutex_);
  const auto found = streams_.find(&stream);
  last = std::move(found->second);
  streams_.erase(found);
  if (last.joined)
    (stream.is_delta() ? instruments.delta_streams : instruments.sotw_streams).add(-1);
  if (options.on_reach) options.on_reach();
  if (streams_.empty()) empty_.notify_all();
}

void AdsServer::wake(const void* stream) {
  std::lock_guard lock(mutex_);
  const auto found = streams_.find(stream);
  if (found == streams_.end() || !found->second.joined) return;
  enqueue_locked(found->second.stream);
  bell_.notify_one();
}

bool AdsServer::full() const {
  std::lock_guard lock(mutex_);
  return streams_.size() >= options.streams_max;
}

void AdsServer::receive(const void* stream) {
  std::shared_ptr<Stream> found;
  {
    std::lock_guard lock(mutex_);
    if (const auto at = streams_.find(stream); at != streams_.end()) found = at->second.stream;
  }
  if (found) found->begin();
}

void AdsServer::heard_much(Stream& stream) {
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return;
    long_queue_.push_back(streams_.at(&stream).stream);
  }
  long_bell_.notify_one();
}

void AdsServer::work_long() {
  std::unique_lock lock(mutex_);
  for (;;) {
    long_bell_.wait(lock, [this] { return stopping_ || !long_queue_.empty(); });
    if (stopping_) return;
    auto stream = std::move(long_queue_.front());
    long_queue_.pop_front();
    lock.unlock();
    stream->work();
    stream.reset();
    lock.lock();
  }
}

void AdsServer::dropped(Dropped one) {
  instruments.dropped(one.reason).add();
  if (options.on_drop) options.on_drop(one);
  std::lock_guard lock(mutex_);
  dropped_.push_back(std::move(one));
  if (dropped_.size() > dropped_max) dropped_.pop_front();
}

std::vector<Dropped> AdsServer::dropped() const {
  std::lock_guard lock(mutex_);
  return {dropped_.begin(), dropped_.end()};
}

Clock::Steady AdsServer::published() const { return published_at_; }

void AdsServer::publish(std::optional<Written> change) {
  if (change) changes.write(change->snapshot, change->at);
  {
    std::lock_guard lock(mutex_);
    const auto written = change ? change->at : clock.now();
    published_at_ = published_now_ ? std::min(published_at_.load(), written) : written;
    published_now_ = true;
  }
  bell_.notify_one();
}

void AdsServer::enqueue_locked(const std::shared_ptr<Stream>& stream) {
  if (stopping_ || stream->queued.exchange(true)) return;
  queue_.push_back(stream);
}

void AdsServer::work() {
  std::vector<std::shared_ptr<Stream>> batch;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    bell_.wait_for(lock, tick, [this] { return stopping_ || published_now_ || !queue_.empty(); });
    if (stopping_) return;
    const bool all = std::exchange(published_now_, false);
    if (all || queue_.empty()) {
      const auto time = clock.now();
      for (const auto& [key, entry] : streams_) {
        if (entry.joined && (all || entry.stream->due(time))) enqueue_locked(entry.stream);
      }
      if (queue_.size() > 1) bell_.notify_all();
      look_locked(lock, time);
    }
    // Some at a time, so that the lock is seldom taken, and few, so that none waits for another.
    const std::size_t count = std::min(queue_.size() / workers_max + 1, batch_max);
    for (; batch.size() < count && !queue_.empty(); queue_.pop_front())
      batch.push_back(std::move(queue_.front()));
    lock.unlock();
    {
      rpc::Together together;
      for (auto& stream : batch) {
        stream->refresh();
        stream.reset();  // perhaps the last one to know it: not under the lock
      }
    }
    batch.clear();
    lock.lock();
  }
}

// Turns calls wake(), which takes the lock.
void AdsServer::look_locked(std::unique_lock<std::mutex>& lock, Clock::Steady time) {
  lock.unlock();
  turns.look(time);
  reception.look(time);
  if (time - faded_at_.load() >= tick && time - faded_at_.exchange(time) >= tick) frames.fade();
  const auto counts = turns.counts();
  instruments.bytes_in_flight.set(static_cast<double>(counts.bytes));
  instruments.cold_bytes.set(static_cast<double>(counts.cold_bytes));
  instruments.waits_for_admission.set(static_cast<double>(counts.to_admit));
  instruments.waits_for_reception.set(static_cast<double>(reception.in_line()));
  instruments.waits_for_turn.set(static_cast<double>(counts.in_line));
  lock.lock();
}

std::vector<std::shared_ptr<Stream>> AdsServer::streams(bool only_joined) const {
  std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<Stream>> all;
  for (const auto& [key, entry] : streams_) {
    if (entry.joined || !only_joined) all.push_back(entry.stream);
  }
  return all;
}

std::vector<ProxyStatus> AdsServer::status() const {
  std::vector<ProxyStatus> all;
  for (const auto& stream : streams()) all.push_back(stream->status());
  std::ranges::sort(all, [](const ProxyStatus& a, const ProxyStatus& b) {
    return std::tie(a.node.id, a.connected, a.peer) < std::tie(b.node.id, b.connected, b.peer);
  });
  return all;
}

std::vector<Reach> AdsServer::reached() const {
  std::vector<Reach> all;
  for (const auto& stream : streams()) all.push_back(stream->reached());
  return all;
}

resource::ConfigPtr AdsServer::config_of(const std::string& node_id) const {
  std::shared_ptr<Stream> newest;
  for (const auto& stream : streams()) {
    if (stream->node_id() == node_id && (!newest || newest->connected() <= stream->connected()))
      newest = stream;
  }
  return newest ? newest->acked() : nullptr;
}

void AdsServer::recap() {
  for (const auto& stream : streams()) stream->recap();
}

}  // namespace

Result<std::unique_ptr<Server>> Server::start(const ServerOptions& options, ConfigSource& source,
                                              metrics::Registry& metrics, const Clock& clock) {
  auto server = std::make_unique<AdsServer>(options, source, metrics, clock);
  TRY(server->listen());
  return std::unique_ptr<Server>(std::move(server));
}

}  // namespace graymesh::xds
