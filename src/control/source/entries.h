// All names and how each stands: a sorted map that is cheap to copy with a few changes.
//
// It is cut into pieces of some dozens of entries, which tables share. A table of 4,000 names after
// one change is 80 pointers and one piece copied, and what did not change keeps its address. From a
// file's rename to on_change took 1.5 ms of CPU with a std::map here, growing with the mesh, and
// takes 0.3 ms with this, whatever its size (bench/source_bench.cc).
#pragma once

#include <cstddef>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "model/model.h"

namespace graymesh::source {

// One name, and how it stands.
struct Entry {
  model::ObjectPtr serving;            // the last good state; null if it never was good
  std::vector<model::Problem> errors;  // of the newest text, if that was refused
  model::Position position;            // of the newest text
  std::string text;                    // the newest text, if refused (else it is serving->text)

  bool operator==(const Entry&) const = default;
};

// Reads like a const std::map<model::Key, Entry>.
class Entries {
 public:
  using Piece = std::map<model::Key, Entry>;
  using value_type = Piece::value_type;

  class Iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = Entries::value_type;
    using difference_type = std::ptrdiff_t;
    using pointer = const value_type*;
    using reference = const value_type&;

    Iterator() = default;
    reference operator*() const { return *at_; }
    pointer operator->() const { return &*at_; }
    Iterator& operator++();
    Iterator operator++(int);
    bool operator==(const Iterator& other) const {
      return piece_ == other.piece_ &&
             (entries_ == nullptr || piece_ == entries_->pieces_.size() || at_ == other.at_);
    }

   private:
    friend Entries;
    const Entries* entries_ = nullptr;
    std::size_t piece_ = 0;
    Piece::const_iterator at_;
  };
  using const_iterator = Iterator;

  Iterator begin() const;
  Iterator end() const;
  Iterator find(const model::Key& key) const;
  const Entry& at(const model::Key& key) const;  // of a key that is there
  bool contains(const model::Key& key) const { return find(key) != end(); }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // Calls `visit` with every key, ascending, that may stand otherwise in `before`: those of pieces
  // that the two do not share. And with its entry there and here, null where there is none.
  void each_apart(const Entries& before,
                  const std::function<void(const model::Key&, const Entry* before,
                                           const Entry* now)>& visit) const;

  // Sets each key to its entry, or erases it where there is none. Keys ascend.
  using Change = std::pair<model::Key, std::optional<Entry>>;
  void update(std::vector<Change> changes);

 private:
  // Where `key` is, if it is anywhere; 0 in an empty table.
  std::size_t piece_of(const model::Key& key) const;

  std::vector<std::shared_ptr<const Piece>> pieces_;  // none is empty
  std::size_t size_ = 0;
};

}  // namespace graymesh::source
