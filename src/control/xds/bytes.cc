#include "control/xds/bytes.h"

#include <algorithm>
#include <string_view>

#include "base/hash.h"

namespace graymesh::xds {
namespace {

using resource::ResourcePtr;

using Resources = std::vector<const ResourcePtr*>;

std::string_view frame(const ResourcePtr& resource, bool delta) {
  return delta ? resource->delta_frame() : resource->sotw_frame();
}

std::uint64_t key_of(const Resources& resources, bool delta) {
  std::uint64_t key = delta;
  for (const auto* resource : resources) {
    const auto address = reinterpret_cast<std::uintptr_t>(resource->get());
    key = hash64({reinterpret_cast<const char*>(&address), sizeof address}, key);
  }
  return key;
}

bool same(const std::vector<ResourcePtr>& held, const Resources& resources) {
  return std::ranges::equal(held, resources,
                            [](const auto& one, const auto* other) { return one == *other; });
}

std::shared_ptr<const SharedFrames::Frames> joined(const Resources& resources, bool delta) {
  auto made = std::make_shared<SharedFrames::Frames>();
  made->resources.reserve(resources.size());
  std::size_t size = 0;
  for (const auto* resource : resources) {
    made->resources.push_back(*resource);
    size += frame(*resource, delta).size();
  }
  made->bytes.reserve(size);
  for (const auto* resource : resources) made->bytes += frame(*resource, delta);
  return made;
}

constexpr std::uint64_t fades_kept = 4;
constexpr std::size_t held_bytes_max = 8u << 20;  // twice the configuration of 3,360 clusters

}  // namespace

std::shared_ptr<const SharedFrames::Frames> SharedFrames::of(const Resources& resources,
                                                             bool delta) {
  std::lock_guard lock(
      mutex_);  // also while they are joined: whoever waits most likely wants the same
  auto& kept = kept_[key_of(resources, delta)];
  kept.used = time_;
  // What is alive holds its resources, so no other can have come to their addresses.
  if (auto found = kept.alive.lock(); found && same(found->resources, resources)) {
    return found;
  }
  if (kept.held) held_bytes_ -= kept.held->bytes.size();
  kept.held.reset();
  auto made = joined(resources, delta);
  kept.alive = made;
  if (held_bytes_ + made->bytes.size() > held_bytes_max) return made;
  kept.held = made;
  held_bytes_ += made->bytes.size();
  return made;
}

void SharedFrames::fade() {
  std::lock_guard lock(mutex_);
  ++time_;
  for (auto& [key, kept] : kept_) {
    if (!kept.held || kept.used + fades_kept >= time_) continue;
    held_bytes_ -= kept.held->bytes.size();
    kept.held.reset();
  }
  std::erase_if(kept_, [](const auto& entry) { return entry.second.alive.expired(); });
}

rpc::Message to_bytes(const Response& response, bool delta, SharedFrames& shared) {
  rpc::Message message{.head = encode_head(response, delta), .body = {}};
  if (response.resources.size() == 1) {
    const auto& resource = *response.resources.front();
    message.body = {frame(resource, delta), resource};
  } else if (!response.resources.empty()) {
    const auto frames = shared.of(response.resources, delta);
    message.body = {frames->bytes, frames};
  }
  return message;
}

}  // namespace graymesh::xds
