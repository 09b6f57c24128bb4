// Names in few pieces of memory: a proxy that comes back has thousands.
#pragma once

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace graymesh::xds {

// A list of texts that it owns. What it gives out is valid as long as it lives, wherever it is
// moved to.
class Words {
 public:
  using value_type = std::string_view;
  using const_iterator = std::vector<std::string_view>::const_iterator;

  Words() = default;
  Words(std::initializer_list<std::string_view> words) { add(words); }
  Words(const std::vector<std::string>& words) { add(words); }

  void push_back(std::string_view word) {
    if (pieces_.empty() || word.size() > room_) grow(word.size());
    std::copy(word.begin(), word.end(), next_);
    words_.emplace_back(next_, word.size());
    next_ += word.size();
    room_ -= word.size();
  }

  const_iterator begin() const { return words_.begin(); }
  const_iterator end() const { return words_.end(); }
  std::size_t size() const { return words_.size(); }
  bool empty() const { return words_.empty(); }
  std::string_view operator[](std::size_t i) const { return words_[i]; }

 private:
  template <typename List>
  void add(const List& words) {
    for (const auto& word : words) push_back(word);
  }
  void grow(std::size_t needed) {
    const std::size_t size = std::max(needed, std::min<std::size_t>(64u << 10, 2 * last_ + 256));
    pieces_.push_back(std::make_unique_for_overwrite<char[]>(size));
    next_ = pieces_.back().get();
    room_ = last_ = size;
  }

  std::vector<std::string_view> words_;
  std::vector<std::unique_ptr<char[]>> pieces_;
  char* next_ = nullptr;
  std::size_t room_ = 0, last_ = 0;
};

}  // namespace graymesh::xds
