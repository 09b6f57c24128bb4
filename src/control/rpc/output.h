// Bytes on their way to one socket, gathered: small ones are copied together, large ones stay where
// they are, and all of them leave with one call of the kernel.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "control/rpc/rpc.h"

namespace graymesh::rpc {

class Output {
 public:
  void add(std::string_view bytes);  // copied
  void add(const Slice& slice);      // kept until it has left; copied, if it is short

  bool empty() const { return parts_.empty(); }

  enum class Sent : std::uint8_t { all, some, failed };
  // `some`: the socket takes no more for now; the rest stays. `failed`: errno says why.
  Sent send(int socket);

  // All of them in one piece, for who has no socket.
  std::string take();

 private:
  struct Part {
    const char* kept;  // null: it is in copied_
    std::size_t at;    // there
    std::size_t size;
    std::shared_ptr<const void> owner;
  };
  const char* start_of(const Part& part) const {
    return part.kept != nullptr ? part.kept : copied_.data() + part.at;
  }
  void leave(std::size_t bytes);
  void clear();

  std::string copied_;
  std::vector<Part> parts_;
  std::size_t first_ = 0;  // of parts_, that has not left
};

}  // namespace graymesh::rpc
