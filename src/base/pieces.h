// A list that is cheap to copy with a few elements changed.
//
// It is cut into pieces of some dozens of elements, which copies share: of 9,600 elements after one
// changed, 150 pointers and one piece are new. And what two copies do not share is found by
// comparing pointers to pieces.
#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace graymesh {

// Immutable, but for assignment.
template <typename T>
class Pieces {
 public:
  // At some thousands of elements, copying a piece and copying the list of pieces cost the same.
  static constexpr std::size_t piece_size = 64;

  class Iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    using pointer = const T*;
    using reference = const T&;

    Iterator() = default;
    Iterator(const Pieces* pieces, std::size_t place) : pieces_(pieces), place_(place) {}
    reference operator*() const { return (*pieces_)[place_]; }
    pointer operator->() const { return &(*pieces_)[place_]; }
    Iterator& operator++() {
      ++place_;
      return *this;
    }
    Iterator operator++(int) { return {pieces_, place_++}; }
    bool operator==(const Iterator& other) const { return place_ == other.place_; }

   private:
    const Pieces* pieces_ = nullptr;
    std::size_t place_ = 0;
  };
  using const_iterator = Iterator;
  using value_type = T;

  Pieces() = default;
  explicit Pieces(std::vector<T> all) : size_(all.size()) {
    pieces_.reserve(size_ / piece_size + 1);
    for (std::size_t from = 0; from < size_; from += piece_size) {
      const std::size_t count = std::min(piece_size, size_ - from);
      auto piece = std::make_shared<T[]>(count);
      std::move(all.data() + from, all.data() + from + count, piece.get());
      pieces_.push_back(std::move(piece));
    }
  }

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  // Stays where it is as long as any copy that shares its piece lives.
  const T& operator[](std::size_t place) const {
    return pieces_[place / piece_size][static_cast<std::ptrdiff_t>(place % piece_size)];
  }
  Iterator begin() const { return {this, 0}; }
  Iterator end() const { return {this, size_}; }

  // A copy with others in these places, in any order; of one place the last counts.
  using Change = std::pair<std::size_t, T>;
  Pieces with(std::span<const Change> changes) const {
    Pieces next = *this;
    std::vector<T*> own(pieces_.size());  // pieces that are not shared with this
    for (const auto& [place, value] : changes) {
      const std::size_t at = place / piece_size;
      if (own[at] == nullptr) {
        const std::size_t count = std::min(piece_size, size_ - at * piece_size);
        auto piece = std::make_shared<T[]>(count);
        std::copy_n(pieces_[at].get(), count, piece.get());
        own[at] = piece.get();
        next.pieces_[at] = std::move(piece);
      }
      own[at][place % piece_size] = value;
    }
    return next;
  }

  // Calls `visit` with the places, ascending, in which `other`, of the same size, may have others:
  // those of pieces that the two do not share. Ends, and answers false, once `visit` does.
  template <typename Visit>
  bool each_apart(const Pieces& other, const Visit& visit) const {
    for (std::size_t at = 0; at < pieces_.size(); ++at) {
      if (pieces_[at] == other.pieces_[at]) continue;
      const std::size_t end = std::min(size_, (at + 1) * piece_size);
      for (std::size_t place = at * piece_size; place < end; ++place) {
        if (!visit(place)) return false;
      }
    }
    return true;
  }

 private:
  std::vector<std::shared_ptr<const T[]>> pieces_;
  std::size_t size_ = 0;
};

}  // namespace graymesh
