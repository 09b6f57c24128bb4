#include "control/xds/bytes.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/hash.h"

namespace graymesh::xds {
namespace {

using resource::ResourcePtr;

// A slice that keeps what it points into.
grpc::Slice slice(std::string_view bytes, std::shared_ptr<const void> owner) {
  auto* kept = new std::shared_ptr<const void>(std::move(owner));
  // gRPC's interface takes a pointer to non-const, and only reads.
  return {const_cast<char*>(bytes.data()), bytes.size(),
          [](void* it) { delete static_cast<std::shared_ptr<const void>*>(it); }, kept};
}

std::string_view frame(const ResourcePtr& resource, bool delta) {
  return delta ? resource->delta_frame() : resource->sotw_frame();
}

std::uint64_t key_of(const std::vector<ResourcePtr>& resources, bool delta) {
  std::uint64_t key = delta;
  for (const auto& resource : resources) {
    const auto address = reinterpret_cast<std::uintptr_t>(resource.get());
    key = hash64({reinterpret_cast<const char*>(&address), sizeof address}, key);
  }
  return key;
}

}  // namespace

std::shared_ptr<const SharedFrames::Frames> SharedFrames::of(
    const std::vector<ResourcePtr>& resources, bool delta) {
  std::lock_guard lock(
      mutex_);  // also while they are joined: whoever waits most likely wants the same
  auto& kept = kept_[key_of(resources, delta)];
  // What is alive holds its resources, so no other can have come to their addresses.
  if (auto found = kept.lock(); found && found->resources == resources) return found;

  auto made = std::make_shared<Frames>();
  made->resources = resources;
  std::size_t size = 0;
  for (const auto& resource : resources) size += frame(resource, delta).size();
  made->bytes.reserve(size);
  for (const auto& resource : resources) made->bytes += frame(resource, delta);
  kept = made;
  if (kept_.size() > kept_max_) {
    std::erase_if(kept_, [](const auto& entry) { return entry.second.expired(); });
    kept_max_ = std::max<std::size_t>(64, 2 * kept_.size());
  }
  return made;
}

grpc::ByteBuffer to_bytes(const Response& response, bool delta, SharedFrames& shared) {
  std::array<grpc::Slice, 2> slices;
  slices[0] = grpc::Slice(encode_head(response, delta));
  if (response.resources.empty()) return {slices.data(), 1};
  if (response.resources.size() == 1) {
    const auto& resource = response.resources.front();
    slices[1] = slice(frame(resource, delta), resource);
  } else {
    const auto frames = shared.of(response.resources, delta);
    slices[1] = slice(frames->bytes, frames);
  }
  return {slices.data(), 2};
}

std::string from_bytes(const grpc::ByteBuffer& buffer) {
  std::string bytes;
  std::vector<grpc::Slice> slices;
  if (!buffer.Dump(&slices).ok()) return bytes;
  bytes.reserve(buffer.Length());
  for (const auto& part : slices)
    bytes.append(reinterpret_cast<const char*>(part.begin()), part.size());
  return bytes;
}

}  // namespace graymesh::xds
