#include "bench/ads/worker.h"

#include <fmt/core.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

namespace graymesh::ads {
namespace {

constexpr std::int64_t second = 1'000'000'000;
constexpr std::int64_t never = INT64_MAX;
constexpr std::int64_t tick = second / 50;
constexpr std::int64_t look_every = second / 4;  // at a proxy that warms
constexpr std::uint64_t bell_key = UINT64_MAX;
// Of one connection at a time, then the next one has its turn.
constexpr std::size_t turn_bytes = 1u << 20;

std::int64_t ns(double seconds) { return static_cast<std::int64_t>(seconds * second); }

}  // namespace

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

Fleet::Worker::Worker(const FleetOptions& options, std::vector<const Node*> nodes,
                      std::uint64_t seed)
    : options_(options),
      random_(seed),
      poll_(::epoll_create1(EPOLL_CLOEXEC)),
      bell_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  for (const Node* node : nodes) {
    members_.emplace_back(*node, options.delta, texts_, watch);
    members_.back().server = members_.size() % options.servers.size();
  }
  due_.assign(members_.size(), 0);
  epoll_event event{.events = EPOLLIN, .data = {.u64 = bell_key}};
  ::epoll_ctl(poll_, EPOLL_CTL_ADD, bell_, &event);
  thread_ = std::thread([this] { work(); });
}

Fleet::Worker::~Worker() {
  run([](Worker& self) { self.stop_ = true; });
  thread_.join();
  ::close(poll_);
  ::close(bell_);
}

void Fleet::Worker::run(const std::function<void(Worker&)>& act) {
  std::unique_lock lock(mutex_);
  act_ = &act;
  ::eventfd_write(bell_, 1);
  acted_.wait(lock, [&] { return act_ == nullptr; });
}

void Fleet::Worker::acts() {
  eventfd_t count = 0;
  (void)::eventfd_read(bell_, &count);
  std::lock_guard lock(mutex_);
  if (act_) (*act_)(*this);
  act_ = nullptr;
  acted_.notify_all();
}

void Fleet::Worker::work() {
  std::int64_t next_look = 0;
  std::array<epoll_event, 256> events;
  while (!stop_) {
    const int count = ::epoll_wait(poll_, events.data(), events.size(), 10);
    const std::int64_t now = now_ns();
    for (int i = 0; i < count; ++i) {
      const auto& event = events[static_cast<std::size_t>(i)];
      if (event.data.u64 == bell_key)
        acts();
      else
        ready(event.data.u64, event.events, now_ns());
    }
    if (now < next_look) continue;
    next_look = now + tick;
    look(now);
  }
}

void Fleet::Worker::look(std::int64_t now) {
  for (std::size_t i = 0; i < due_.size(); ++i) {
    if (due_[i] <= now) look_at(i, now);
  }
}

void Fleet::Worker::look_at(std::size_t index, std::int64_t now) {
  Member& member = members_[index];
  if (!member.connection) return open(index, now);
  // A connection is tried for as long as Envoy tries. A late look of ours is no late answer.
  if (!member.connection->connected()) {
    if (member.connection->answered()) return ready(index, EPOLLOUT, now);
    member.connection->end("connect: timeout");
    return ended(index, now);
  }
  const Reading reading = member.reading;
  due_[index] = never;
  if (reading.how == Reading::How::stuck) return;
  if (reading.how == Reading::How::slow) {
    const std::size_t bytes = std::max<std::size_t>(1, reading.bytes_per_second / 10);
    if (!member.connection->readable(now, bytes)) return ended(index, now);
    due_[index] = now + second / 10;
    return;
  }
  if (member.proxy.warming()) {
    member.proxy.look(now);
    due_[index] = now + look_every;
  }
  keep_alive(index, now);
}

// A late look of ours is no late answer: what has come is read before a server is given up.
void Fleet::Worker::keep_alive(std::size_t index, std::int64_t now) {
  Member& member = members_[index];
  if (options_.ping_seconds <= 0) return;
  Connection& connection = *member.connection;
  const std::int64_t patience = ns(options_.ping_timeout_seconds);
  if (now >= member.next_ping) {
    if (connection.unanswered_since() != 0 && !connection.readable(now, turn_bytes))
      return ended(index, now);
    if (const std::int64_t since = connection.unanswered_since(); since == 0) {
      if (!connection.ping(now)) return ended(index, now);
      member.next_ping = now + ns(options_.ping_seconds * (1 + 0.15 * chance()));
    } else if (now - since < patience) {
      member.next_ping = std::min(now + ns(options_.ping_seconds), since + patience);
    } else {
      connection.end("ping: no answer");
      return ended(index, now);
    }
    arm(index);
  }
  due_[index] = std::min(due_[index], member.next_ping);
}

void Fleet::Worker::ready(std::size_t index, std::uint32_t events, std::int64_t now) {
  Member& member = members_[index];
  if (!member.connection) return;
  Connection& connection = *member.connection;
  const bool was_connected = connection.connected();
  if ((events & EPOLLOUT) != 0 && !connection.writable(now)) return ended(index, now);
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
    if (!connection.readable(now, turn_bytes)) return ended(index, now);
    if (member.proxy.heard_any()) member.backoff = 0;
    if (member.proxy.warming()) due_[index] = std::min(due_[index], now + look_every);
  }
  if (!was_connected && connection.connected()) {
    ++connects_;
    member.next_ping = now + ns(options_.ping_seconds * (1 + 0.15 * chance()));
    due_[index] = options_.ping_seconds > 0 ? member.next_ping : never;
    if (member.reading.how == Reading::How::slow) due_[index] = now;
  }
  arm(index);
}

void Fleet::Worker::open(std::size_t index, std::int64_t now) {
  Member& member = members_[index];
  member.connection =
      Connection::open(options_.servers[member.server % options_.servers.size()], member.proxy);
  if (!member.connection) {
    ++ended_[fmt::format("connect: {}", std::strerror(errno))];
    due_[index] = now + second;
    return;
  }
  member.events = EPOLLOUT | EPOLLIN;
  epoll_event event{.events = member.events, .data = {.u64 = index}};
  ::epoll_ctl(poll_, EPOLL_CTL_ADD, member.connection->socket(), &event);
  due_[index] = now + second;  // connect_timeout
}

void Fleet::Worker::ended(std::size_t index, std::int64_t now) {
  Member& member = members_[index];
  ++ended_[member.connection->why()];
  wire_bytes_ += member.connection->received();
  member.connection.reset();
  ++member.server;
  // Envoy: by chance within the interval, which doubles.
  member.backoff = member.backoff == 0 ? options_.backoff_seconds
                                       : std::min(2 * member.backoff, options_.backoff_max_seconds);
  due_[index] = now + ns(member.backoff * chance());
}

// What epoll shall tell of it.
void Fleet::Worker::arm(std::size_t index) {
  Member& member = members_[index];
  if (!member.connection) return;
  const bool reads = member.reading.how == Reading::How::as_usual;
  std::uint32_t events = 0;
  if (reads) events |= EPOLLIN;
  if (member.connection->wants_write()) events |= EPOLLOUT;
  if (events == member.events) return;
  member.events = events;
  epoll_event event{.events = events, .data = {.u64 = index}};
  ::epoll_ctl(poll_, EPOLL_CTL_MOD, member.connection->socket(), &event);
}

void Fleet::Worker::add_to(Figures& figures) {
  figures.streams += members_.size();
  figures.connects += connects_;
  figures.wire_bytes += wire_bytes_;
  for (const auto& [why, count] : ended_) figures.ended[why] += count;
  for (auto& member : members_) {
    if (member.connection) {
      figures.connected += member.connection->connected();
      figures.wire_bytes += member.connection->received();
    }
    if (member.proxy.synced()) {
      ++figures.synced;
      figures.synced_at.push_back(member.proxy.synced_at());
    }
    for (std::size_t i = 0; i < type_count; ++i) {
      const Counts& counts = member.proxy.counts()[i];
      Counts& sum = figures.counts[i];
      sum.messages += counts.messages;
      sum.bytes += counts.bytes;
      sum.acks += counts.acks;
      sum.resources += counts.resources;
      sum.removed += counts.removed;
      sum.resent += counts.resent;
      sum.emptied += counts.emptied;
      sum.late += counts.late;
      const Type type{static_cast<std::uint8_t>(i)};
      if (type != Type::other)
        figures.held[std::string(short_name(type))].push_back(member.proxy.held(type));
    }
  }
}

void Fleet::Worker::reset() {
  connects_ = wire_bytes_ = 0;
  ended_.clear();
  for (auto& member : members_) {
    member.proxy.counts() = {};
    if (member.connection) wire_bytes_ -= member.connection->received();  // wraps, and back
  }
}

void Fleet::Worker::drop(bool forget) {
  const std::size_t index = random_() % members_.size();
  Member& member = members_[index];
  if (!member.connection) return;
  member.connection->end(forget ? "restarted by us" : "closed by us");
  ended(index, now_ns());
  if (forget) member.proxy.forget();
}

void Fleet::Worker::read(Reading reading) { reads(random_() % members_.size(), reading); }

void Fleet::Worker::read_all(Reading reading) {
  for (std::size_t i = 0; i < members_.size(); ++i) reads(i, reading);
}

void Fleet::Worker::reads(std::size_t index, Reading reading) {
  Member& member = members_[index];
  member.reading = reading;
  arm(index);
  if (member.connection && member.connection->connected()) due_[index] = 0;
}

void Fleet::Worker::counts_of_each(std::string& out) {
  for (auto& member : members_) {
    if (!out.empty()) out += ",";
    out += fmt::format("\"{}\":{{", member.node->id);
    for (std::size_t i = 0; i + 1 < type_count; ++i) {
      const Type type{static_cast<std::uint8_t>(i)};
      const Counts& counts = member.proxy.counts()[i];
      out += fmt::format(
          R"({}"{}":{{"messages":{},"bytes":{},"acks":{},"resources":{},"removed":{},"held":{}}})",
          i == 0 ? "" : ",", short_name(type), counts.messages, counts.bytes, counts.acks,
          counts.resources, counts.removed, member.proxy.held(type));
    }
    out += "}";
  }
}

}  // namespace graymesh::ads
