// Texts as numbers. Thousands of streams hold the same thousands of names and versions, so each
// text is kept once for all streams of a thread, and a stream holds pairs of small numbers.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace graymesh::ads {

class Texts {
 public:
  std::uint32_t id(std::string_view text);  // 0 for the empty one
  const std::string& text(std::uint32_t id) const { return texts_[id]; }

 private:
  void grow();

  std::deque<std::string> texts_{std::string{}};  // by id
  struct Slot {
    std::uint64_t hash = 0;
    std::uint32_t id = 0;  // 0: free
  };
  std::vector<Slot> slots_ = std::vector<Slot>(1024);
};

// What a stream holds under one name.
struct Entry {
  std::uint32_t name = 0;
  std::uint32_t version = 0;        // of Texts; 0 in state of the world, which has none
  std::uint32_t hash = 0;           // of its bytes; with `here`
  std::uint32_t leads_to : 28 = 0;  // of a cluster: its endpoints' name
  bool here : 1 = false;            // it has come; false: asked for
  bool warming : 1 = false;         // of endpoints: a cluster waits for them
  bool some : 1 = false;            // of endpoints: there are any
  bool fresh : 1 = false;           // in the response that is being read
};
static_assert(sizeof(Entry) == 16);

// Entries by name, in one block.
class Table {
 public:
  Entry* find(std::uint32_t name);
  Entry& at(std::uint32_t name);  // made if it is not there; moves all others
  void erase(std::uint32_t name);
  void clear();
  std::size_t size() const { return size_; }

  template <typename Visit>
  void each(const Visit& visit) {
    for (auto& entry : slots_) {
      if (entry.name != 0) visit(entry);
    }
  }

 private:
  std::size_t place(std::uint32_t name) const {
    return name * std::size_t{0x9E3779B1} & (slots_.size() - 1);
  }

  std::vector<Entry> slots_;
  std::size_t size_ = 0;
};

}  // namespace graymesh::ads
