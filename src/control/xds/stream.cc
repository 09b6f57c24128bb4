#include "control/xds/stream.h"

#include <array>
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

Stream* Stream::open(Shared& shared, bool delta, std::string peer) {
  const auto stream = std::make_shared<Stream>(shared, delta, std::move(peer));
  stream->self_ = stream;
  shared.opened(*stream);
  std::lock_guard lock(stream->mutex_);
  stream->StartRead(&stream->read_);
  return stream.get();
}

Stream::Stream(Shared& shared, bool delta, std::string peer)
    : shared_(&shared),
      peer_(std::move(peer)),
      connected_(shared.clock.wall()),
      session_(delta, shared.limits, shared.diffs),
      deadline_(never) {}

void Stream::OnReadDone(bool ok) {
  std::string bytes;
  bool want_node = false;
  {
    std::lock_guard lock(mutex_);
    if (!ok) return finish_locked(grpc::Status::OK);  // it has said all it wanted
    bytes = from_bytes(read_);
    read_.Clear();
    want_node = !node_;
  }
  if (session_.delta()) hear(decode_delta(bytes, want_node));
  else hear(decode_sotw(bytes, want_node));
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
    if (const auto heard = hear_locked(*std::move(request)); !heard) {
      instruments().unbounded.add();
      return finish_locked(to_grpc(heard.error()));
    }
    pump_locked();
    StartRead(&read_);
  }
  if (joins) shared_->joined(shared_from_this());
}

template <typename Request>
Status Stream::hear_locked(Request request) {
  const auto total = [this](auto count) {
    std::array<std::uint64_t, resource::type_count> all{};
    for (const auto type : resource::all_types) all[static_cast<std::size_t>(type)] = session_.channel(type).counts().*count;
    return all;
  };
  using Counts = Channel::Counts;
  const auto acked = total(&Counts::acked), nacked = total(&Counts::nacked), stale = total(&Counts::stale);
  const auto ignored = session_.ignored();
  auto heard = session_.hear(std::move(request), shared_->now());
  for (std::size_t i = 0; i < resource::type_count; ++i) {
    instruments().acks.add(total(&Counts::acked)[i] - acked[i]);
    instruments().of_type[i].nacks->add(total(&Counts::nacked)[i] - nacked[i]);
    instruments().stale.add(total(&Counts::stale)[i] - stale[i]);
  }
  instruments().unknown_type.add(session_.ignored() - ignored);
  return heard;
}

void Stream::refresh() {
  std::lock_guard order(refresh_mutex_);
  queued = false;
  const auto published = shared_->published();
  auto config = shared_->source.config_for(*node_);
  std::lock_guard lock(mutex_);
  if (finish_) return;
  if (const auto updated = session_.update(std::move(config), published, shared_->now()); !updated) {
    instruments().unbounded.add();
    return finish_locked(to_grpc(updated.error()));
  }
  pump_locked();
}

// One response is being written at any time; of each type at most one awaits its ACK. So a proxy
// that doesn't read costs the server four responses at most.
void Stream::pump_locked() {
  if (finish_ || writing_) return;
  const auto now = shared_->now();
  if (const auto response = session_.next(now)) {
    write_ = to_bytes(*response, session_.delta(), shared_->frames);
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
  const auto self = std::move(self_);
  shared_->closed(*this);
}

ProxyStatus Stream::status() const {
  std::lock_guard lock(mutex_);
  return {.node = *node_, .peer = peer_, .delta = session_.delta(), .connected = connected_,
          .snapshot = session_.snapshot(), .types = session_.types(), .refusals = session_.refusals()};
}

resource::ConfigPtr Stream::acked() const {
  std::lock_guard lock(mutex_);
  return session_.acked();
}

}  // namespace graymesh::xds
