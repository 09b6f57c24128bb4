#include "control/xds/stream.h"

#include <chrono>
#include <limits>
#include <utility>

namespace graymesh::xds {
namespace {

constexpr auto never = std::numeric_limits<Clock::Steady::rep>::max();

grpc::Status to_grpc(const Error& error) {
  return {static_cast<grpc::StatusCode>(error.code), error.message};
}

}  // namespace

Stream* Stream::open(Shared& shared, bool delta, std::shared_ptr<Peer> peer) {
  const auto stream = std::make_shared<Stream>(shared, delta, std::move(peer));
  stream->self_ = stream;
  shared.opened(stream);
  std::lock_guard lock(stream->mutex_);
  stream->StartRead(&stream->read_);
  return stream.get();
}

Stream::Stream(Shared& shared, bool delta, std::shared_ptr<Peer> peer)
    : shared_(&shared),
      peer_(std::move(peer)),
      connected_(shared.clock.wall()),
      session_(delta, shared.limits, shared.diffs),
      teller_(shared.options.witness, ++shared.streams_opened),
      deadline_(never) {}

void Stream::OnReadDone(bool ok) {
  std::string bytes;
  bool want_node = false;
  {
    std::lock_guard lock(mutex_);
    if (!ok) return finish_locked(grpc::Status::OK);  // it has said all it wanted
    bytes = from_bytes(read_);
    peer_->heard(bytes.size());
    read_.Clear();
    want_node = !node_;
  }
  if (session_.delta())
    hear(decode_delta(bytes, want_node));
  else
    hear(decode_sotw(bytes, want_node));
}

template <typename Request>
void Stream::hear(Result<Request> request) {
  if (!request) {
    instruments().malformed.add();
    close(to_grpc(request.error()));
    return;
  }
  bool joins = false;
  {
    std::lock_guard lock(mutex_);
    if (finish_) return;
    joins = request->node && !node_;
    if (joins) node_ = std::move(request->node);
    if (joins) teller_.opened(*node_, peer_->address, session_.delta());
    const auto listened = teller_.listen(*request);
    const auto heard = session_.hear(*std::move(request), shared_->now());
    count_locked();
    teller_.heard(listened, session_);
    if (!heard) {
      instruments().unbounded.add();
      return finish_locked(to_grpc(heard.error()));
    }
    pump_locked();
    StartRead(&read_);
  }
  if (joins) shared_->joined(*this);
}

// Moves the counters by what the session has counted since.
void Stream::count_locked() {
  for (std::size_t i = 0; i < resource::type_count; ++i) {
    const auto newest = session_.channel(resource::all_types[i]).counts();
    auto& counted = counted_[i];
    instruments().acks.add(newest.acked - counted.acked);
    instruments().of_type[i].nacks->add(newest.nacked - counted.nacked);
    instruments().stale.add(newest.stale - counted.stale);
    counted = newest;
  }
  instruments().unknown_type.add(session_.ignored() - std::exchange(ignored_, session_.ignored()));
}

void Stream::refresh() {
  std::lock_guard order(refresh_mutex_);
  queued = false;
  const auto published = shared_->published();
  auto config = shared_->source.config_for(*node_);
  std::lock_guard lock(mutex_);
  if (finish_) return;
  const auto updated = session_.update(std::move(config), published, shared_->now());
  count_locked();
  teller_.heard({}, session_);
  if (!updated) {
    instruments().unbounded.add();
    return finish_locked(to_grpc(updated.error()));
  }
  pump_locked();
}

// One response is being written at any time; of each type at most one awaits its ACK. So a proxy
// that doesn't read costs the server four responses at most.
void Stream::pump_locked() {
  send_next_locked();
  note_reach_locked();
}

void Stream::send_next_locked() {
  if (finish_ || writing_) return;
  const auto now = shared_->now();
  if (const auto response = session_.next(now)) {
    write_ = to_bytes(*response, session_.delta(), shared_->frames);
    teller_.sent(*response, session_, write_.Length());
    for (const auto type : resource::all_types) {
      if (type_url(type) != response->type_url) continue;
      instruments().of_type[static_cast<std::size_t>(type)].pushes->add();
      instruments().of_type[static_cast<std::size_t>(type)].bytes->add(write_.Length());
    }
    writing_ = true;
    StartWrite(&write_);
  } else if (const auto took = session_.take_convergence(now)) {
    instruments().convergence.observe(std::chrono::duration<double>(*took).count());
  }
  const auto deadline = session_.deadline();
  deadline_ = deadline ? deadline->time_since_epoch().count() : never;
}

void Stream::note_reach_locked() {
  const std::uint64_t snapshot = session_.snapshot();
  if (snapshot == reached_) return;
  reached_ = snapshot;
  reached_at_ = shared_->clock.wall();
  teller_.reached(snapshot);
  if (shared_->options.on_reach) shared_->options.on_reach();
}

void Stream::OnWriteDone(bool ok) {
  std::lock_guard lock(mutex_);
  writing_ = false;
  write_.Clear();
  if (finish_) {
    if (!std::exchange(finished_, true)) Finish(*finish_);
  } else if (ok) {
    pump_locked();
  }
}

void Stream::OnCancel() { close({grpc::StatusCode::CANCELLED, "the stream is gone"}); }

void Stream::close(const grpc::Status& status) {
  std::lock_guard lock(mutex_);
  finish_locked(status);
}

void Stream::finish_locked(const grpc::Status& status) {
  if (finish_) return;
  finish_ = status;
  if (!writing_ && !std::exchange(finished_, true)) Finish(status);
}

void Stream::OnDone() {
  std::shared_ptr<Stream> self;
  {
    std::lock_guard lock(mutex_);  // sees all that other threads did
    self = std::move(self_);
    teller_.closed();
  }
  shared_->closed(*this);
}

ProxyStatus Stream::status() const {
  std::lock_guard lock(mutex_);
  return {.node = *node_,
          .peer = peer_->address,
          .delta = session_.delta(),
          .connected = connected_,
          .snapshot = session_.snapshot(),
          .types = session_.types(),
          .refusals = session_.refusals()};
}

Reach Stream::reached() const {
  std::lock_guard lock(mutex_);
  return {.node_id = node_->id,
          .address = node_->address,
          .snapshot = reached_,
          .at = reached_at_,
          .refuses = session_.refuses(),
          .takes_lane_log = node_->takes_lane_log};
}

void Stream::recap() {
  std::lock_guard lock(mutex_);
  teller_.recap(session_);
}

resource::ConfigPtr Stream::acked() const {
  std::lock_guard lock(mutex_);
  return session_.acked();
}

}  // namespace graymesh::xds
