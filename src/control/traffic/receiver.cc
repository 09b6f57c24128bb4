#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/support/byte_buffer.h>

#include <condition_variable>

#include "control/traffic/traffic.h"

namespace graymesh::traffic {
namespace {

std::string to_string(grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string out;
  if (!buffer.Dump(&slices).ok()) return out;
  for (const auto& slice : slices)
    out.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return out;
}

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
  std::set<Stream*> streams;
  bool stopping = false;
};

// One proxy's one worker and one side. gRPC calls one On... at a time, but OnCancel beside any.
class Receiver::Stream final : public Reactor {
 public:
  Stream(Shared& shared, std::function<void(std::size_t)> heard)
      : shared_(shared), heard_(std::move(heard)), reader_(shared.lane_header) {}

  void begin() {
    std::lock_guard lock(mutex_);
    if (!finished_) StartRead(&buffer_);
  }

  void finish(const grpc::Status& status) {
    std::lock_guard lock(mutex_);
    finish_locked(status);
  }

  void OnReadDone(bool ok) override {
    std::lock_guard lock(mutex_);
    if (!ok) return finish_locked(grpc::Status::OK);
    heard_(buffer_.Length());
    const auto requests = reader_.read(to_string(buffer_), shared_.listener.wants_details());
    buffer_.Clear();
    if (!requests) {
      shared_.malformed.add();
      return finish_locked({grpc::StatusCode::INVALID_ARGUMENT, requests.error().message});
    }
    const Table::Counts counts = shared_.table.record(reader_.teller(), *requests);
    shared_.listener.told(reader_.teller(), *requests);
    shared_.in_lanes.add(counts.in_lanes);
    shared_.others.add(counts.others);
    shared_.unknown.add(counts.unknown);
    shared_.full.add(counts.full);
    if (!finished_) StartRead(&buffer_);
  }

  void OnCancel() override { finish({grpc::StatusCode::CANCELLED, "the stream is gone"}); }

  void OnDone() override {
    Shared* shared = nullptr;
    {
      std::lock_guard lock(mutex_);
      shared = &shared_;
    }
    std::lock_guard lock(shared->mutex);
    shared->streams.erase(this);
    shared->open.add(-1);
    if (shared->streams.empty()) shared->empty.notify_all();
    delete this;
  }

 private:
  void finish_locked(const grpc::Status& status) {
    if (!std::exchange(finished_, true)) Finish(status);
  }

  // Guards all below, also against threads that gRPC hands the stream to.
  std::mutex mutex_;
  Shared& shared_;
  const std::function<void(std::size_t)> heard_;
  Reader reader_;
  grpc::ByteBuffer buffer_;
  bool finished_ = false;
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

Receiver::Reactor* Receiver::open(std::function<void(std::size_t)> heard) {
  auto* stream = new Stream(*shared_, std::move(heard));
  bool stopping = false;
  {
    std::lock_guard lock(shared_->mutex);
    shared_->streams.insert(stream);
    shared_->open.add(1);
    stopping = shared_->stopping;
  }
  if (stopping)
    stream->finish({grpc::StatusCode::UNAVAILABLE, "the control plane is going away"});
  else
    stream->begin();
  return stream;
}

void Receiver::stop() {
  std::unique_lock lock(shared_->mutex);
  shared_->stopping = true;
  // Under the lock none of them can be gone; OnDone comes on another thread.
  for (Stream* stream : shared_->streams)
    stream->finish({grpc::StatusCode::UNAVAILABLE, "the control plane is going away"});
  shared_->empty.wait(lock, [this] { return shared_->streams.empty(); });
}

}  // namespace graymesh::traffic
