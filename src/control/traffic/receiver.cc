#include <condition_variable>
#include <utility>

#include "control/traffic/traffic.h"

namespace graymesh::traffic {
namespace {

// For streams to end as those who read do, before they are cut off.
constexpr std::chrono::milliseconds goodbye_max{1000};

Status going_away() { return Error{Code::unavailable, "the control plane is going away"}; }

metrics::Counter& requests_counter(metrics::Registry& metrics, const char* result) {
  return metrics.counter("graymesh_lane_log_requests_total",
                         "logged requests, by what became of them", {{"result", result}});
}

}  // namespace

struct Receiver::Shared {
  Table& table;
  std::string lane_header;
  const Listener listener;
  metrics::Gauge& open;
  metrics::Counter& malformed;
  metrics::Counter &in_lanes, &others, &unknown, &full;

  std::mutex mutex;
  std::condition_variable empty;
  std::set<std::shared_ptr<Stream>> streams;
  bool stopping = false;
};

// One proxy's one worker and one side.
class Receiver::Stream final : public rpc::Reactor, public std::enable_shared_from_this<Stream> {
 public:
  Stream(Shared& shared, rpc::CallPtr call)
      : shared_(shared), call_(std::move(call)), reader_(shared.lane_header) {}

  rpc::Call& call() { return *call_; }

  void on_message(std::string bytes) override {
    const auto requests = reader_.read(bytes, shared_.listener.wants_details());
    if (!requests) {
      shared_.malformed.add();
      return call_->finish(Error{Code::invalid_argument, requests.error().message});
    }
    const Table::Counts counts = shared_.table.record(reader_.teller(), *requests);
    shared_.listener.told(reader_.teller(), *requests);
    shared_.in_lanes.add(counts.in_lanes);
    shared_.others.add(counts.others);
    shared_.unknown.add(counts.unknown);
    shared_.full.add(counts.full);
    call_->read();
  }

  void on_end() override { call_->finish({}); }

  void on_written() override {}  // nothing is answered

  void on_done(const Status&) override {
    std::lock_guard lock(shared_.mutex);
    shared_.open.add(-1);
    shared_.streams.erase(shared_from_this());
    if (shared_.streams.empty()) shared_.empty.notify_all();
  }

 private:
  Shared& shared_;
  const rpc::CallPtr call_;
  Reader reader_;  // the loop's
};

Receiver::Receiver(Table& table, std::string lane_header, metrics::Registry& metrics,
                   Listener listener)
    : shared_(new Shared{
          .table = table,
          .lane_header = std::move(lane_header),
          .listener = std::move(listener),
          .open = metrics.gauge("graymesh_lane_log_streams", "open streams of logged requests"),
          .malformed = metrics.counter("graymesh_lane_log_malformed_total",
                                       "streams of logged requests ended for what they sent"),
          .in_lanes = requests_counter(metrics, "lane"),
          .others = requests_counter(metrics, "other"),
          .unknown = requests_counter(metrics, "unknown"),
          .full = metrics.counter("graymesh_lane_log_full_total",
                                  "times that a count had no room in the table"),
          .mutex = {},
          .empty = {},
          .streams = {},
          .stopping = false}) {}

Receiver::~Receiver() { stop(); }

std::shared_ptr<rpc::Reactor> Receiver::open(rpc::CallPtr call) {
  auto stream = std::make_shared<Stream>(*shared_, std::move(call));
  std::lock_guard lock(shared_->mutex);
  shared_->streams.insert(stream);
  shared_->open.add(1);
  if (shared_->stopping)
    stream->call().finish(going_away());
  else
    stream->call().read();
  return stream;
}

void Receiver::stop() {
  std::unique_lock lock(shared_->mutex);
  const auto gone = [this] { return shared_->streams.empty(); };
  shared_->stopping = true;
  for (const auto& stream : shared_->streams) stream->call().finish(going_away());
  if (shared_->empty.wait_for(lock, goodbye_max, gone)) return;
  for (const auto& stream : shared_->streams) stream->call().cancel();
  shared_->empty.wait(lock, gone);
}

}  // namespace graymesh::traffic
