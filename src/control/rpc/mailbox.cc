#include "control/rpc/mailbox.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <iterator>

namespace graymesh::rpc {
namespace {

// What a thread asks together.
struct Kept {
  bool keeps = false;
  std::vector<std::pair<Mailbox*, Ask>> asks{};
};
thread_local Kept kept;
thread_local const Mailbox* owned = nullptr;

}  // namespace

Together::Together() { kept.keeps = true; }

Together::~Together() {
  kept.keeps = false;
  auto& asks = kept.asks;  // it keeps its memory
  for (std::size_t first = 0; first < asks.size(); ++first) {
    Mailbox* const mailbox = asks[first].first;
    if (mailbox == nullptr) continue;
    const CallPtr keeps_it = asks[first].second.call;
    mailbox->put([&](Mailbox::Mail& mail) {
      for (std::size_t i = first; i < asks.size(); ++i) {
        if (asks[i].first != mailbox) continue;
        mail.asks.push_back(std::move(asks[i].second));
        asks[i].first = nullptr;
      }
    });
  }
  asks.clear();
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

void Mailbox::own() { owned = this; }

void Mailbox::post(Ask ask) {
  if (owned == this) return own_.push_back(std::move(ask));
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
  {
    std::lock_guard lock(mutex_);
    if (mail_.empty() && own_.empty()) {
      sleeping_ = to_sleep;
      return false;
    }
    std::swap(mail, mail_);
  }
  std::ranges::move(own_, std::back_inserter(mail.asks));
  own_.clear();
  return true;
}

void Mailbox::wake() {
  std::lock_guard lock(mutex_);
  sleeping_ = false;
}

void Mailbox::shut() {
  own_.clear();
  if (owned == this) owned = nullptr;
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
