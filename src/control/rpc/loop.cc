#include "control/rpc/loop.h"

#include <fmt/core.h>
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace graymesh::rpc {
namespace {

constexpr std::size_t buffer_bytes = 64u << 10;  // what is read at a time, of any connection
// Of mail in one turn: others may post faster than it is dealt with, and what comes waits
// meanwhile.
constexpr int rounds_max = 4;

}  // namespace

Result<std::unique_ptr<Loop>> Loop::start(const Options& options) {
  std::unique_ptr<Loop> loop(new Loop(options));
  epoll_event event{.events = EPOLLIN | EPOLLET, .data = {.ptr = nullptr}};
  if (!loop->poll_ || loop->mailbox_->bell() < 0 ||
      ::epoll_ctl(loop->poll_.get(), EPOLL_CTL_ADD, loop->mailbox_->bell(), &event) != 0) {
    return Error{Code::unavailable,
                 fmt::format("{} cannot wait for clients: {}", options.name, std::strerror(errno))};
  }
  loop->thread_ = std::thread([it = loop.get()] { it->work(); });
  return loop;
}

Loop::Loop(const Options& options)
    : options_(options),
      poll_(::epoll_create1(EPOLL_CLOEXEC)),
      mailbox_(std::make_shared<Mailbox>()),
      buffer_(buffer_bytes) {}

Loop::~Loop() {
  if (!thread_.joinable()) return;
  mailbox_->stop();
  thread_.join();
}

void Loop::take(Descriptor socket) {
  ++count_;
  mailbox_->post(std::move(socket));
}

// What is asked of calls while one is dealt with is dealt with in the same turn, before anything is
// sent: what goes to one connection goes together.
void Loop::work() {
  mailbox_->own();
  now_ = std::chrono::steady_clock::now();
  next_look_ = now_ + look_every;
  while (!stopping_) {
    wait();
    look();
    bool more = true;
    for (int round = 0; more && round < rounds_max; ++round) {
      more = deal_with_mail();
      more = flush() || more;
    }
    gone_.clear();
  }
  say_goodbye();
}

// Edges only: each connection is added to the poll once, and its events need no call of the kernel
// but the one that waits for many of them.
void Loop::wait() {
  std::array<epoll_event, 256> events;
  const bool mail = mailbox_->take(mail_, true);
  const int timeout = mail || !again_.empty() ? 0 : sleep_ms();
  const int count =
      ::epoll_wait(poll_.get(), events.data(), static_cast<int>(events.size()), timeout);
  mailbox_->wake();
  now_ = std::chrono::steady_clock::now();
  for (Connection* connection : std::exchange(again_, {})) {
    connection->again = false;
    read(*connection, false);
  }
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    if (event.data.ptr == nullptr) continue;  // the bell; it need not be read to ring again
    auto& connection = *static_cast<Connection*>(event.data.ptr);
    const bool ends = (event.events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    if (ends || (event.events & EPOLLIN) != 0) read(connection, ends);
    if ((event.events & EPOLLOUT) != 0 && connection.stuck()) mark(connection);
  }
}

void Loop::read(Connection& connection, bool ends) {
  if (connection.over()) return;
  if (connection.read(buffer_, ends, now_) && !std::exchange(connection.again, true))
    again_.push_back(&connection);
  if (const auto deadline = connection.session().deadline())
    deadline_ = std::min(deadline_.value_or(*deadline), *deadline);
  mark(connection);
}

void Loop::mark(Connection& connection) {
  if (!std::exchange(connection.dirty, true)) dirty_.push_back(&connection);
}

bool Loop::deal_with_mail() {
  if (mail_.empty() && !mailbox_->take(mail_, false)) return false;
  for (Ask& ask : mail_.asks) perform(ask);
  mail_.asks.clear();
  for (Descriptor& socket : mail_.sockets) open(std::move(socket));
  mail_.sockets.clear();
  if (std::exchange(mail_.close, false)) {
    closing_ = true;
    for (auto& [key, connection] : connections_) {
      connection->session().go_away();
      mark(*connection);
    }
  }
  stopping_ = std::exchange(mail_.stop, false) || stopping_;
  return true;
}

void Loop::perform(Ask& ask) {
  Exchange* exchange = ask.call->exchange_;
  if (exchange == nullptr) return;
  Connection& connection = *exchange->session->connection;
  exchange->session->perform(*exchange, ask, now_);
  ask = {};  // nobody is kept by what has been dealt with
  mark(connection);
}

void Loop::open(Descriptor socket) {
  auto made = closing_ ? nullptr
                       : std::make_unique<Connection>(options_, mailbox_, std::move(socket), now_);
  epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                    .data = {.ptr = made.get()}};
  if (!made || ::epoll_ctl(poll_.get(), EPOLL_CTL_ADD, made->socket(), &event) != 0) {
    --count_;
    return;
  }
  mark(*made);
  Connection* key = made.get();
  connections_.emplace(key, std::move(made));
}

// True: reactors were told something.
bool Loop::flush() {
  bool told = false;
  for (std::size_t i = 0; i < dirty_.size(); ++i) {
    Connection& connection = *dirty_[i];
    connection.dirty = false;
    told = connection.flush(scratch_) || told;
    if (connection.over()) remove(connection);
  }
  dirty_.clear();
  return told;
}

void Loop::remove(Connection& connection) {
  const auto found = connections_.find(&connection);
  if (found == connections_.end()) return;
  std::erase(again_, &connection);
  gone_.push_back(std::move(found->second));
  connections_.erase(found);
  --count_;
}

void Loop::look() {
  const bool all = now_ >= next_look_;
  if (!all && (!deadline_ || now_ < *deadline_)) return;
  if (all) next_look_ = now_ + look_every;
  deadline_.reset();
  for (auto& [key, connection] : connections_) {
    if (all)
      connection->look(now_);
    else
      connection->session().look(now_);
    if (connection->over() || connection->session().wants_write()) mark(*connection);
    if (const auto deadline = connection->session().deadline())
      deadline_ = std::min(deadline_.value_or(*deadline), *deadline);
  }
}

int Loop::sleep_ms() const {
  const auto until = std::min(deadline_.value_or(next_look_), next_look_);
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - now_).count();
  return static_cast<int>(std::clamp<long>(left, 0, look_every.count()));
}

// The last that clients hear, if they can; then they are on their own.
void Loop::say_goodbye() {
  for (auto& [key, connection] : connections_) {
    connection->session().go_away();
    (void)connection->flush(scratch_);
  }
  connections_.clear();
  mailbox_->shut();
}

}  // namespace graymesh::rpc
