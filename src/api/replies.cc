#include "api/replies.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/hash.h"

namespace graymesh::api {
namespace {

using nlohmann::json;

constexpr std::size_t key_bytes_max = 255;

// Lengths before the parts, so that no two requests are the same text.
std::string request_hash(const Call& call) {
  std::string text;
  for (const std::string* part :
       {&call.request.method, &call.request.path, &call.who.name, &call.request.body})
    text += fmt::format("{}:{}", part->size(), *part);
  return to_hex(hash64(text)) + to_hex(hash64(text, 1));
}

bool is_key(const std::string& key) {
  return key.size() <= key_bytes_max && std::ranges::all_of(key, [](char c) {
           return static_cast<unsigned char>(c) > 0x20 && static_cast<unsigned char>(c) < 0x7f;
         });
}

}  // namespace

Outcome Replies::once(const Call& call, const std::function<Outcome(const release::Once&)>& act) {
  if (!call.request.has_header("Idempotency-Key")) return act({});
  const std::string key = call.request.get_header_value("Idempotency-Key");
  if (key.empty() || !is_key(key)) {
    return Refusal{.error = {Code::invalid_argument,
                             fmt::format("Idempotency-Key must be 1 to {} printable characters",
                                         key_bytes_max)}};
  }
  {
    std::unique_lock lock(mutex_);
    free_.wait(lock, [&] { return !in_hand_.contains(key); });
    in_hand_.insert(key);
  }
  // Also after an exception: else every request with that key would wait for ever.
  struct InHand {
    Replies& replies;
    const std::string& key;
    ~InHand() {
      {
        const std::lock_guard lock(replies.mutex_);
        replies.in_hand_.erase(key);
      }
      replies.free_.notify_all();
    }
  };
  const InHand in_hand{*this, key};
  return act_or_replay(call, key, act);
}

Outcome Replies::act_or_replay(const Call& call, const std::string& key,
                               const std::function<Outcome(const release::Once&)>& act) {
  const std::string hash = request_hash(call);
  auto kept = store_.reply(key);
  if (!kept) return Refusal{.error = kept.error()};
  if (*kept) {
    const json reply = json::parse(**kept, nullptr, false);
    if (!reply.is_object() || reply.value("request", "") != hash) {
      return Refusal{.error = {Code::invalid_argument,
                               fmt::format("Idempotency-Key {} was given with another request, "
                                           "must be a new one",
                                           key)},
                     .status = 422};
    }
    return Done{.body = reply.value("body", json()),
                .etag = reply.value("etag", ""),
                .release = reply.value("release", std::uint64_t{0}),
                .replayed = true};
  }
  Outcome outcome = act({.key = key, .request = hash});
  if (const auto* done = std::get_if<Done>(&outcome)) {
    const json reply = {
        {"request", hash}, {"body", done->body}, {"etag", done->etag}, {"release", done->release}};
    release::Batch batch;
    batch.replies[key] = reply.dump(-1, ' ', false, json::error_handler_t::replace);
    // That it was done is kept already. Without this, a second request is told what stands by then
    // instead of what stood then.
    (void)store_.commit(batch);
  }
  return outcome;
}

}  // namespace graymesh::api
