#include "control/rpc/output.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace graymesh::rpc {
namespace {

// To copy so much is cheaper than to have the kernel look at one more piece, and to count its
// owner.
constexpr std::size_t copied_max = 4096;
// What stays allocated for the next one.
constexpr std::size_t idle_bytes_max = 64u << 10;
constexpr std::size_t idle_parts_max = 256;

}  // namespace

void Output::add(std::string_view bytes) {
  if (bytes.empty()) return;
  if (!parts_.empty() && parts_.back().kept == nullptr)
    parts_.back().size += bytes.size();
  else
    parts_.push_back({nullptr, copied_.size(), bytes.size(), nullptr});
  copied_ += bytes;
}

void Output::add(const Slice& slice) {
  if (slice.bytes.size() <= copied_max) return add(slice.bytes);
  parts_.push_back({slice.bytes.data(), 0, slice.bytes.size(), slice.owner});
}

Output::Sent Output::send(int socket) {
  std::array<iovec, 128> pieces;
  while (first_ < parts_.size()) {
    std::size_t count = 0;
    for (std::size_t i = first_; i < parts_.size() && count < pieces.size(); ++i) {
      // The kernel's interface takes a pointer to non-const, and only reads.
      pieces[count++] = {const_cast<char*>(start_of(parts_[i])), parts_[i].size};
    }
    msghdr message{};
    message.msg_iov = pieces.data();
    message.msg_iovlen = count;
    const ssize_t sent = ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
      if (errno == EINTR) continue;
      return errno == EAGAIN ? Sent::some : Sent::failed;
    }
    leave(static_cast<std::size_t>(sent));
  }
  clear();
  return Sent::all;
}

void Output::leave(std::size_t bytes) {
  while (bytes > 0) {
    Part& part = parts_[first_];
    const std::size_t part_of_it = std::min(bytes, part.size);
    part.size -= part_of_it;
    bytes -= part_of_it;
    if (part.kept != nullptr)
      part.kept += part_of_it;
    else
      part.at += part_of_it;
    if (part.size > 0) return;
    part.owner.reset();
    ++first_;
  }
}

void Output::clear() {
  first_ = 0;
  if (parts_.capacity() > idle_parts_max) parts_ = {};
  if (copied_.capacity() > idle_bytes_max) copied_ = {};
  parts_.clear();
  copied_.clear();
}

std::string Output::take() {
  std::string all;
  for (std::size_t i = first_; i < parts_.size(); ++i)
    all.append(start_of(parts_[i]), parts_[i].size);
  clear();
  return all;
}

}  // namespace graymesh::rpc
