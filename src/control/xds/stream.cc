#include "control/xds/stream.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <limits>
#include <utility>

namespace graymesh::xds {
namespace {

// ACKs and single names are shorter, and cost a few microseconds.
constexpr std::size_t short_bytes_max = 16u << 10;
// The same names once more cost one look at their bytes: no more of them than others can wait for.
constexpr std::size_t same_bytes_max = 512u << 10;

constexpr auto never = std::numeric_limits<Clock::Steady::rep>::max();

}  // namespace

std::shared_ptr<Stream> Stream::open(Shared& shared, bool delta, rpc::CallPtr call) {
  auto stream = std::make_shared<Stream>(shared, delta, std::move(call));
  shared.opened(stream);
  if (shared.reception.enter(stream.get(), shared.clock.now())) stream->begin();
  return stream;
}

void Stream::begin() { call_->read(); }

Stream::Stream(Shared& shared, bool delta, rpc::CallPtr call)
    : shared_(&shared),
      call_(std::move(call)),
      connected_(shared.clock.wall()),
      session_(delta, shared.limits, shared.diffs),
      teller_(shared.options.witness, ++shared.streams_opened),
      deadline_(never) {}

void Stream::on_message(std::string bytes) {
  if (bytes.size() <= short_bytes_max) return take(bytes);
  if (bytes.size() <= same_bytes_max && repeats(bytes)) return;
  {
    std::lock_guard lock(mutex_);
    long_ = std::move(bytes);
  }
  shared_->heard_much(*this);
}

void Stream::on_end() { close({}); }  // it has said all it wanted

void Stream::work() {
  std::string message;
  bool ended = false;
  {
    std::lock_guard lock(mutex_);
    message.swap(long_);
    ended = finished_;
  }
  if (!ended) take(message);
}

void Stream::take(const std::string& message) {
  bool want_node = false;
  {
    std::lock_guard lock(mutex_);
    want_node = !node_;
  }
  const bool asked = message.size() > short_bytes_max && message.size() <= same_bytes_max;
  if (session_.delta())
    hear(decode_delta(message, want_node));
  else if (asked || !repeats(message))
    hear(decode_sotw(message, want_node));
  // One that comes back says what it holds in two long requests, of clusters and of endpoints.
  if (message.size() <= short_bytes_max && !received_.exchange(true))
    shared_->reception.leave(this, shared_->clock.now());
}

// Deals with an ACK that only says all names again, as each of state of the world does.
bool Stream::repeats(const std::string& message) {
  if (session_.delta()) return false;
  NamesHashes names{};
  {
    std::lock_guard lock(mutex_);
    names = session_.names_hashes();
  }
  auto same = decode_same(message, names);
  if (!same) return false;
  hear(Result(*std::move(same)));
  return true;
}

template <typename Request>
void Stream::hear(Result<Request> request) {
  if (!request) {
    instruments().malformed.add();
    close(request.error());
    return;
  }
  bool joins = false, goes_on = false;
  {
    std::lock_guard lock(mutex_);
    if (finished_) return;
    joins = request->node && !node_;
    if (joins) node_ = std::move(request->node);
    if (joins) teller_.opened(*node_, peer(), session_.delta());
    if (joins) awaited_.join(shared_->changes);
    const auto listened = teller_.listen(*request);
    const auto now = now_heard();
    const auto heard = session_.hear(*std::move(request), now);
    count_locked();
    teller_.heard(listened, session_);
    if (!heard) {
      instruments().unbounded.add();
      return finish_locked(heard.error());
    }
    pump_locked(now);
    if (!finished_) call_->read();  // it may have been dropped just now
    goes_on = put_off_ && !session_.awaits_endpoints();
  }
  if (joins) shared_->joined(*this);
  if (goes_on && !refresh_at_hand()) shared_->wake(this);
}

Now Stream::now_heard() const {
  Now now = shared_->now();
  now.distance = call_->distance();
  now.telling = !shared_->turns.crowded();
  return now;
}

// Moves the counters by what the session has counted since. All streams share them: what did not
// move is left alone.
void Stream::count_locked() {
  const auto add = [](metrics::Counter& counter, std::uint64_t by) {
    if (by > 0) counter.add(by);
  };
  for (std::size_t i = 0; i < resource::type_count; ++i) {
    const auto& newest = session_.channel(resource::all_types[i]).counts();
    auto& counted = counted_[i];
    add(instruments().acks, newest.acked - counted.acked);
    add(*instruments().of_type[i].nacks, newest.nacked - counted.nacked);
    add(*instruments().of_type[i].resyncs, newest.resyncs - counted.resyncs);
    add(instruments().stale, newest.stale - counted.stale);
    counted = newest;
  }
  add(instruments().unknown_type, session_.ignored() - std::exchange(ignored_, session_.ignored()));
  add(instruments().folded, session_.folded() - std::exchange(folded_, session_.folded()));
}

void Stream::refresh() {
  std::lock_guard order(refresh_mutex_);
  queued = false;
  auto published = shared_->published();
  {
    std::lock_guard lock(mutex_);
    const auto now = shared_->clock.now();
    if (puts_off_locked(now)) {
      if (!put_off_) put_off_ = published;
      return set_deadline_locked(now);
    }
    if (put_off_) published = *std::exchange(put_off_, std::nullopt);
  }
  update(shared_->source.config_for(*node_, kept_), published);
}

// One that was put off, by the call's own loop, if nobody has to wait for it. Others will do it.
bool Stream::refresh_at_hand() {
  const std::unique_lock order(refresh_mutex_, std::try_to_lock);
  if (!order) return false;
  auto config = shared_->source.config_at_hand(*node_, kept_);
  if (!config) return false;
  Clock::Steady published;
  {
    std::lock_guard lock(mutex_);
    if (!put_off_) return true;
    published = *std::exchange(put_off_, std::nullopt);
  }
  update(std::move(config), published);
  return true;
}

void Stream::update(resource::ConfigPtr config, Clock::Steady published) {
  std::lock_guard lock(mutex_);
  if (finished_) return;
  const auto now = shared_->now();
  const auto updated = session_.update(std::move(config), published, now);
  count_locked();
  teller_.heard({}, session_);
  if (!updated) {
    instruments().unbounded.add();
    return finish_locked(updated.error());
  }
  pump_locked(now);
}

// While endpoints change all the time, a proxy has a response of them on its way most of the time.
bool Stream::puts_off_locked(Clock::Steady now) {
  if (in_line_ || !session_.awaits_endpoints()) return false;
  const auto since = session_.channel(resource::Type::endpoints).flight()->at;
  if (now - since >= shared_->options.put_off_max) return false;
  if (put_off_) instruments().folded.add();
  return true;
}

// One response is being written at any time; of each type at most one awaits its ACK. So a proxy
// that doesn't read costs the server five responses at most (that of virtual hosts is not cut), and
// the newest Config, however many came meanwhile.
void Stream::pump_locked(Now now) {
  if (!finished_ && !drop_hopeless_locked(now.steady)) {
    send_next_locked(now);
    count_held_locked(now.steady);
  }
  set_deadline_locked(now.steady);
  note_reach_locked(now);
}

// A turn is asked for where there is something to say; but who is in line is to be heard of, or he
// would hold up those behind him.
void Stream::send_next_locked(Now now) {
  if (writing_) {
    again_ = true;
    if (in_line_) shared_->turns.pass(this);
    return;
  }
  bool asks = in_line_;
  const auto may_push = [&] {
    asks = false;
    return may_push_locked(now.steady);
  };
  const auto response = session_.next(now, std::ref(may_push));
  if (asks) (void)may_push_locked(now.steady);
  if (response) {
    write_locked(*response, now.steady);
  } else if (const auto took = session_.take_convergence(now)) {
    instruments().convergence.observe(std::chrono::duration<double>(*took).count());
  }
}

// Whether there is room for a response of any kind. What has nothing to say gives its turn back.
bool Stream::may_push_locked(Clock::Steady now) {
  in_line_ = true;
  if (!admitted_) {
    if (const auto owed = session_.owed()) admitted_ = shared_->turns.admit(this, *owed, now);
    if (!admitted_ && session_.channel(resource::Type::cluster).heard()) {
      shared_->turns.pass(this);  // it may have come for endpoints before it asked for clusters
      return false;
    }
  }
  if (!shared_->turns.turn(this, shared_->limits.chunk_bytes_max)) return false;
  in_line_ = false;
  held_.reset();
  return true;
}

// What nobody has answered for so long is on no wire any more, and takes nobody's turn.
void Stream::count_held_locked(Clock::Steady now) {
  const auto oldest = session_.oldest_in_flight();
  const bool counts = oldest && now - *oldest < shared_->options.slow_after;
  const std::size_t bytes = counts ? session_.bytes_in_flight() : 0;
  if (held_ != bytes) shared_->turns.holds(this, bytes);
  held_ = bytes;
  if (!complete_ && admitted_ && session_.in_step()) {
    complete_ = true;
    shared_->turns.complete(this);
  }
}

void Stream::write_locked(const Response& response, Clock::Steady now) {
  auto message = to_bytes(response, session_.delta(), shared_->frames);
  const std::size_t size = message.size();
  teller_.sent(response, session_, size);
  awaited_.told();
  for (const auto type : resource::all_types) {
    if (type_url(type) != response.type_url) continue;
    instruments().of_type[static_cast<std::size_t>(type)].pushes->add();
    instruments().of_type[static_cast<std::size_t>(type)].bytes->add(size);
  }
  if (!complete_) shared_->turns.sent(this, size, now);
  writing_ = now;
  call_->write(std::move(message));
}

// Who reads nothing, or answers nothing, for very long will not by itself; a new stream may.
bool Stream::drop_hopeless_locked(Clock::Steady now) {
  const auto& options = shared_->options;
  const auto seconds = [](std::chrono::milliseconds span) {
    return std::chrono::duration<double>(span).count();
  };
  if (writing_ && now - *writing_ >= options.write_max) {
    drop_locked("reads_nothing",
                fmt::format("it has read nothing for {:.0f} s", seconds(options.write_max)));
    call_->cancel();  // its end cannot be written behind what it doesn't read
    return true;
  }
  const auto oldest = session_.oldest_in_flight();
  if (!oldest || now - *oldest < options.answer_max) return false;
  drop_locked("answers_nothing", fmt::format("it has not answered a response for {:.0f} s",
                                             seconds(options.answer_max)));
  return true;
}

void Stream::drop_locked(const char* reason, const std::string& text) {
  shared_->dropped({.node_id = node_ ? node_->id : "",
                    .peer = peer(),
                    .at = shared_->clock.wall(),
                    .reason = reason,
                    .text = text});
  finish_locked(Error{Code::deadline_exceeded, text});
}

void Stream::set_deadline_locked(Clock::Steady now) {
  const auto& options = shared_->options;
  auto first = session_.deadline();
  const auto consider = [&](Clock::Steady time) { first = first ? std::min(*first, time) : time; };
  if (writing_) consider(*writing_ + options.write_max);
  if (const auto oldest = session_.oldest_in_flight()) {
    const bool slow = now - *oldest >= options.slow_after;
    consider(*oldest + (slow ? options.answer_max : options.slow_after));
    if (put_off_) consider(*oldest + options.put_off_max);
  }
  deadline_ = first && !finished_ ? first->time_since_epoch().count() : never;
}

void Stream::note_reach_locked(Now now) {
  awaited_.reach(session_.done(), now.steady);
  const std::uint64_t snapshot = session_.snapshot();
  if (snapshot == reached_) return;
  reached_ = snapshot;
  reached_at_ = now.wall;
  teller_.reached(snapshot);
  if (shared_->options.on_reach) shared_->options.on_reach();
}

void Stream::on_written() {
  std::lock_guard lock(mutex_);
  writing_.reset();
  if (finished_) return;
  const auto now = shared_->now();
  session_.written(now);
  const bool again = std::exchange(again_, false);
  if (!again && session_.awaits_endpoints()) return set_deadline_locked(now.steady);
  pump_locked(now);
}

void Stream::close(const Status& status) {
  std::lock_guard lock(mutex_);
  finish_locked(status);
}

void Stream::finish_locked(const Status& status) {
  if (!std::exchange(finished_, true)) call_->finish(status);
}

void Stream::on_done(const Status& end) {
  {
    std::lock_guard lock(mutex_);
    // A request that is too long is refused before it is here.
    const auto ended_by = [&](Code code) { return !finished_ && !end && end.error().code == code; };
    if (ended_by(Code::resource_exhausted)) instruments().unbounded.add();
    // Who hangs or reads nothing answers no ping either, and that is found first.
    if (ended_by(Code::unavailable)) drop_locked("silent", end.error().message);
    finished_ = true;
    teller_.closed();
    awaited_.leave();
  }
  shared_->turns.leave(this);
  shared_->reception.leave(this, shared_->clock.now());
  shared_->closed(*this);
}

ProxyStatus Stream::status() const {
  std::lock_guard lock(mutex_);
  return {.node = *node_,
          .peer = peer(),
          .delta = session_.delta(),
          .connected = connected_,
          .snapshot = session_.snapshot(),
          .waits = shared_->turns.waits(this),
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
