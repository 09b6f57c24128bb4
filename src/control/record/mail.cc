#include "control/record/mail.h"

#include <algorithm>
#include <utility>

#include "base/hash.h"

namespace graymesh::record {
namespace {

using resource::Type;

Milliseconds milliseconds(Clock::Wall time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

std::uint64_t hash_of(const std::vector<std::uint64_t>& words) {
  return hash64({reinterpret_cast<const char*>(words.data()), words.size() * sizeof words[0]});
}

std::uint64_t word(Event::Kind kind, Type type) {
  return static_cast<std::uint64_t>(kind) << 8 | static_cast<std::uint64_t>(type);
}

Opened opened_of(const resource::Node& node, const std::string& peer, bool delta) {
  Opened opened;
  opened.node_id = node.id;
  opened.name = node.name;
  opened.namespace_ = node.namespace_;
  opened.address = node.address;
  opened.user_agent = node.user_agent;
  opened.peer = peer;
  opened.kind = static_cast<std::uint8_t>(node.kind);
  opened.delta = delta;
  return opened;
}

}  // namespace

std::uint64_t SetHashes::of(const resource::ResourceSetPtr& set) {
  // A proxy's own layer is smaller than this and told once.
  constexpr std::size_t kept_size_min = 48;
  if (set->size() >= kept_size_min) {
    std::lock_guard lock(mutex_);
    const auto found = kept_.find(set.get());
    if (found != kept_.end() && found->second.set.lock() == set) return found->second.hash;
  }
  std::vector<std::uint64_t> words;
  words.reserve(2 * set->size());
  for (const auto& resource : set->all()) {
    words.push_back(hash64(resource->name()));
    words.push_back(resource->version());
  }
  const auto hash = hash_of(words);
  if (set->size() < kept_size_min) return hash;
  std::lock_guard lock(mutex_);
  if (kept_.size() >= kept_max_) {
    std::erase_if(kept_, [](const auto& kept) { return kept.second.set.expired(); });
    kept_max_ = std::max<std::size_t>(64, 2 * kept_.size());
  }
  kept_[set.get()] = {set, hash};
  return hash;
}

Content Mailbox::content_of(const resource::Possession& possession) {
  Content content;
  content.possession = possession;
  for (const auto& layer : possession.layers) content.layer_hashes.push_back(hashes_.of(layer.set));
  return content;
}

void Mailbox::opened(StreamId stream, const resource::Node& node, const std::string& peer,
                     bool delta) {
  Content content;
  content.opened = opened_of(node, peer, delta);
  Event event{.kind = Event::Kind::opened,
              .stream = stream,
              .content = std::make_shared<const Content>(std::move(content))};
  put(event);
}

void Mailbox::holds(StreamId stream, const resource::Possession& all) {
  Event event{.kind = Event::Kind::holds, .type = all.type, .stream = stream};
  std::vector<std::uint64_t> words = {word(event.kind, event.type)};
  words.reserve(1 + 2 * (all.layers.size() + all.exceptions.size()));
  for (const auto& layer : all.layers) {
    words.push_back(hashes_.of(layer.set));
    words.push_back(layer.claimed ? 1 : 0);
  }
  for (const auto& exception : all.exceptions) {
    words.push_back(exception.name_hash);
    words.push_back(!exception.held || exception.claimed ? exception.claimed
                                                         : exception.held->version());
  }
  event.hash = hash_of(words);
  put(std::move(event), [&] { return content_of(all); });
}

void Mailbox::sent(StreamId stream, const resource::Delivery& delivery) {
  Event event{.kind = Event::Kind::sent, .type = delivery.type, .stream = stream};
  std::vector<std::uint64_t> words = {word(event.kind, event.type)};
  words.reserve(1 + 2 * delivery.changes.size());
  for (const auto& change : delivery.changes) {
    words.push_back(change.name_hash);
    words.push_back(change.now ? (*change.now)->version() : 0);
  }
  event.hash = hash_of(words);
  put(std::move(event), [&] {
    Content content;
    content.bytes = delivery.bytes;
    for (const auto& change : delivery.changes) {
      if (change.now)
        content.changes.push_back({change.before ? *change.before : nullptr, *change.now});
      else if (change.before)
        content.removed.push_back((*change.before)->name());
    }
    return content;
  });
}

void Mailbox::acked(StreamId stream, Type type) {
  Event event{.kind = Event::Kind::acked, .type = type, .stream = stream};
  put(event);
}

void Mailbox::refused(StreamId stream, Type type, const std::string& error) {
  constexpr std::size_t error_bytes_max = 4096;  // of a proxy's words
  Content content;
  content.error = error.substr(0, error_bytes_max);
  Event event{.kind = Event::Kind::refused,
              .type = type,
              .stream = stream,
              .hash = hash64(content.error),
              .content = std::make_shared<const Content>(std::move(content))};
  put(event);
}

void Mailbox::dropped(StreamId stream, Type type, std::span<const std::string> names) {
  Content content;
  content.removed.assign(names.begin(), names.end());
  std::vector<std::uint64_t> words;
  for (const auto& name : names) words.push_back(hash64(name));
  Event event{.kind = Event::Kind::dropped,
              .type = type,
              .stream = stream,
              .hash = hash_of(words),
              .content = std::make_shared<const Content>(std::move(content))};
  put(event);
}

void Mailbox::closed(StreamId stream) {
  Event event{.kind = Event::Kind::closed, .stream = stream};
  put(event);
}

template <typename Make>
void Mailbox::put(Event event, Make content) {
  while (!put(event)) event.content = std::make_shared<const Content>(content());
}

Milliseconds Mailbox::time_locked() {
  const auto now = milliseconds(clock_.wall());
  if (now + clock_back_max.count() < last_) behind_ = true;
  return last_ = std::max(last_, now);
}

bool Mailbox::put(Event& event) {
  using Kind = Event::Kind;
  std::unique_lock lock(mutex_);
  event.at = time_locked();
  // After the first that is lost the others of its stream make no sense.
  if (lost_ > 0 || !beyond_.empty() || events_.size() >= events_max_) {
    if (event.kind == Kind::opened || event.kind == Kind::closed)
      put_beyond(event);
    else
      lose_locked(1, event.at);
    return true;
  }
  if (event.kind == Kind::holds || event.kind == Kind::sent) {
    if (!event.content && !known_.contains(event.hash)) return false;
    if (event.content && !known_.insert(event.hash).second) event.content = nullptr;
  }
  events_.push_back(std::move(event));
  const bool half_full = events_.size() == events_max_ / 2;
  lock.unlock();
  if (half_full) full_.notify_one();
  return true;
}

void Mailbox::put_beyond(const Event& event) {
  const auto [found, fresh] = beyond_.try_emplace(event.stream, event);
  if (fresh) return;
  lose_locked(2, event.at);
  beyond_.erase(found);
}

void Mailbox::lose_locked(std::uint64_t count, Milliseconds at) {
  if (lost_ == 0) lost_since_ = at;
  lost_ += count;
}

Mailbox::Mail Mailbox::take(bool anew) {
  std::lock_guard lock(mutex_);
  if (anew) {
    known_.clear();
    last_ = behind_ ? 0 : last_;
    behind_ = false;
  }
  Mail mail{.events = std::exchange(events_, {}),
            .lost = std::exchange(lost_, 0),
            .lost_since = lost_since_,
            .at = time_locked()};
  for (auto& [stream, event] : std::exchange(beyond_, {})) {
    const bool opens = event.kind == Event::Kind::opened;
    (opens ? mail.events : mail.closings).push_back(std::move(event));
  }
  return mail;
}

bool Mailbox::behind() const {
  std::lock_guard lock(mutex_);
  return behind_;
}

void Mailbox::wait(std::chrono::milliseconds most) {
  std::unique_lock lock(mutex_);
  full_.wait_for(lock, most, [this] { return hurry_ || events_.size() >= events_max_ / 2; });
  hurry_ = false;
}

void Mailbox::hurry() {
  {
    std::lock_guard lock(mutex_);
    hurry_ = true;
  }
  full_.notify_one();
}

std::size_t Mailbox::size() const {
  std::lock_guard lock(mutex_);
  return events_.size();
}

}  // namespace graymesh::record
