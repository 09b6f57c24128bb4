#include "control/rpc/mailbox.h"

#include <sys/eventfd.h>

#include <algorithm>

namespace graymesh::rpc {
namespace {

// What a thread asks together.
struct Kept {
  bool keeps = false;
  std::vector<std::pair<Mailbox*, Ask>> asks{};
};
thread_local Kept kept;

}  // namespace

Together::Together() { kept.keeps = true; }

Together::~Together() {
  kept.keeps = false;
  auto asks = std::exchange(kept.asks, {});
  for (auto first = asks.begin(); first != asks.end();) {
    Mailbox* const mailbox = first->first;
    const CallPtr keeps_it = first->second.call;
    const auto others = std::stable_partition(
        first, asks.end(), [&](const auto& ask) { return ask.first == mailbox; });
    mailbox->put([&](Mailbox::Mail& mail) {
      for (auto ask = first; ask != others; ++ask) mail.asks.push_back(std::move(ask->second));
    });
    first = others;
  }
}

Mailbox::Mailbox() : bell_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

template <typename Put>
void Mailbox::put(const Put& put) {
  bool ring = false;
  {
    std::lock_guard lock(mutex_);
    if (shut_) return;
    put(mail_);
    ring = std::exchange(sleeping_, false);
  }
  if (ring) (void)::eventfd_write(bell_.get(), 1);
}

void Mailbox::post(Ask ask) {
  if (kept.keeps) return void(kept.asks.emplace_back(this, std::move(ask)));
  put([&](Mail& mail) { mail.asks.push_back(std::move(ask)); });
}

void Mailbox::post(Descriptor socket) {
  put([&](Mail& mail) { mail.sockets.push_back(std::move(socket)); });
}

void Mailbox::close() {
  put([](Mail& mail) { mail.close = true; });
}

void Mailbox::stop() {
  put([](Mail& mail) { mail.stop = true; });
}

bool Mailbox::take(Mail& mail, bool to_sleep) {
  std::lock_guard lock(mutex_);
  if (mail_.empty()) {
    sleeping_ = to_sleep;
    return false;
  }
  std::swap(mail, mail_);
  return true;
}

void Mailbox::wake() {
  std::lock_guard lock(mutex_);
  sleeping_ = false;
}

void Mailbox::shut() {
  Mail dropped;  // outside of the lock: it may be the last to know of something large
  std::lock_guard lock(mutex_);
  shut_ = true;
  std::swap(dropped, mail_);
}

Call::Call(std::string method, std::shared_ptr<const Peer> peer, std::shared_ptr<Mailbox> mailbox,
           Exchange* exchange)
    : method_(std::move(method)),
      peer_(std::move(peer)),
      mailbox_(std::move(mailbox)),
      exchange_(exchange) {}

const std::string& Call::peer() const { return peer_->address; }

std::chrono::microseconds Call::distance() const {
  return std::chrono::microseconds(peer_->distance_us.load(std::memory_order_relaxed));
}

void Call::read() { mailbox_->post({shared_from_this(), Ask::Read{}}); }

void Call::write(Message message) { mailbox_->post({shared_from_this(), std::move(message)}); }

void Call::finish(Status status, Metadata trailers) {
  mailbox_->post({shared_from_this(), Ask::Finish{std::move(status), std::move(trailers)}});
}

void Call::cancel() { mailbox_->post({shared_from_this(), Ask::Cancel{}}); }

}  // namespace graymesh::rpc
