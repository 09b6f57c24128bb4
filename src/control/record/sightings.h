// Who was here, as one segment tells it.
#pragma once

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "control/record/entries.h"

namespace graymesh::record {

class Sightings {
 public:
  void take(const Entry& entry) {
    any_ = true;
    if (const auto* it = std::get_if<Gone>(&entry)) gone_.push_back(*it);
    if (const auto* it = std::get_if<Opened>(&entry)) open_[it->stream] = *it;
    std::visit(
        [&](const auto& it) {
          if constexpr (requires { it.rows; }) {
            for (const Row& row : it.rows) last_ = std::max(last_, row.at);
          }
        },
        entry);
    if (const auto* closed = std::get_if<Closed>(&entry)) {
      for (const Row& row : closed->rows) close(row);
    }
  }

  bool any() const { return any_; }
  const std::map<StreamId, Opened>& open() const { return open_; }
  const std::vector<Gone>& gone() const { return gone_; }  // the newest of one proxy comes last

  // The process of this segment is over, whether it said so or not.
  std::vector<Gone> all_gone() const {
    auto all = gone_;
    for (const auto& [stream, it] : open_) all.push_back(gone(it, std::max(last_, it.at)));
    return all;
  }

 private:
  static Gone gone(const Opened& opened, Milliseconds at) {
    return {opened.node_id, opened.name, opened.namespace_, opened.address, opened.kind,
            opened.at,      at};
  }
  void close(const Row& row) {
    const auto found = open_.find(row.stream);
    if (found == open_.end()) return;
    gone_.push_back(gone(found->second, row.at));
    open_.erase(found);
  }

  std::map<StreamId, Opened> open_;
  std::vector<Gone> gone_;
  Milliseconds last_ = 0;
  bool any_ = false;
};

}  // namespace graymesh::record
