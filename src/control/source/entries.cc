#include "control/source/entries.h"

#include <algorithm>
#include <cassert>

namespace graymesh::source {
namespace {

// Copying a piece and copying the list of pieces cost the same at about this size.
constexpr std::size_t piece_size = 48;
constexpr std::size_t piece_size_max = 2 * piece_size;

using Pieces = std::vector<std::shared_ptr<const Entries::Piece>>;

void append(Entries::Piece piece, Pieces& pieces) {
  while (piece.size() > piece_size_max) {
    Entries::Piece first;
    for (std::size_t i = 0; i < piece_size; ++i)
      first.insert(first.end(), piece.extract(piece.begin()));
    pieces.push_back(std::make_shared<const Entries::Piece>(std::move(first)));
  }
  if (!piece.empty()) pieces.push_back(std::make_shared<const Entries::Piece>(std::move(piece)));
}

}  // namespace

Entries::Iterator& Entries::Iterator::operator++() {
  if (++at_ != entries_->pieces_[piece_]->end()) return *this;
  if (++piece_ < entries_->pieces_.size()) at_ = entries_->pieces_[piece_]->begin();
  return *this;
}

Entries::Iterator Entries::Iterator::operator++(int) {
  const Iterator before = *this;
  ++*this;
  return before;
}

Entries::Iterator Entries::begin() const {
  Iterator iterator;
  iterator.entries_ = this;
  if (!pieces_.empty()) iterator.at_ = pieces_.front()->begin();
  return iterator;
}

Entries::Iterator Entries::end() const {
  Iterator iterator;
  iterator.entries_ = this;
  iterator.piece_ = pieces_.size();
  return iterator;
}

std::size_t Entries::piece_of(const model::Key& key) const {
  const auto after = std::upper_bound(
      pieces_.begin(), pieces_.end(), key,
      [](const model::Key& wanted, const auto& piece) { return wanted < piece->begin()->first; });
  return after == pieces_.begin() ? 0 : static_cast<std::size_t>(after - pieces_.begin()) - 1;
}

Entries::Iterator Entries::find(const model::Key& key) const {
  if (pieces_.empty()) return end();
  Iterator iterator;
  iterator.entries_ = this;
  iterator.piece_ = piece_of(key);
  iterator.at_ = pieces_[iterator.piece_]->find(key);
  return iterator.at_ == pieces_[iterator.piece_]->end() ? end() : iterator;
}

const Entry& Entries::at(const model::Key& key) const {
  const Iterator found = find(key);
  assert(found != end());
  return found->second;
}

void Entries::each_apart(const Entries& before,
                         const std::function<void(const model::Key&, const Entry* before,
                                                  const Entry* now)>& visit) const {
  // A piece that both have begins with the same key in both, so going by first keys finds it.
  std::vector<const value_type*> then, now;
  const auto take = [](const Piece& piece, std::vector<const value_type*>& out) {
    for (const auto& entry : piece) out.push_back(&entry);
  };
  auto a = before.pieces_.begin(), b = pieces_.begin();
  while (a != before.pieces_.end() || b != pieces_.end()) {
    if (a != before.pieces_.end() && b != pieces_.end() && *a == *b) {
      ++a;
      ++b;
    } else if (b == pieces_.end() ||
               (a != before.pieces_.end() && (*a)->begin()->first < (*b)->begin()->first)) {
      take(**a++, then);
    } else {
      take(**b++, now);
    }
  }
  auto was = then.begin(), is = now.begin();
  while (was != then.end() || is != now.end()) {
    if (is == now.end() || (was != then.end() && (*was)->first < (*is)->first)) {
      visit((*was)->first, &(*was)->second, nullptr);
      ++was;
    } else if (was == then.end() || (*is)->first < (*was)->first) {
      visit((*is)->first, nullptr, &(*is)->second);
      ++is;
    } else {
      visit((*is)->first, &(*was)->second, &(*is)->second);
      ++was;
      ++is;
    }
  }
}

void Entries::update(std::vector<Change> changes) {
  Pieces next;
  next.reserve(pieces_.size() + changes.size() / piece_size + 1);
  std::size_t from = 0;
  for (auto change = changes.begin(); change != changes.end();) {
    const std::size_t at = piece_of(change->first);
    for (; from < at; ++from) next.push_back(pieces_[from]);
    Piece piece = from < pieces_.size() ? *pieces_[from] : Piece();
    const std::size_t before = piece.size();
    const bool last = from + 1 >= pieces_.size();
    for (; change != changes.end() && (last || change->first < pieces_[from + 1]->begin()->first);
         ++change) {
      if (change->second) {
        piece.insert_or_assign(change->first, std::move(*change->second));
      } else {
        piece.erase(change->first);
      }
    }
    size_ = size_ - before + piece.size();
    append(std::move(piece), next);
    ++from;
  }
  for (; from < pieces_.size(); ++from) next.push_back(pieces_[from]);
  pieces_ = std::move(next);
}

}  // namespace graymesh::source
