// What befell one proxy, in words, a page at a time.
//
// Of each segment only so much is kept as still goes onto the page: the earliest, each with its
// place in the segment. The page ends with the place to go on after.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "control/record/record.h"
#include "control/record/replay.h"

namespace graymesh::record {

// After which of the happenings of a proxy to go on: that one, of the segment with that key.
struct Place {
  Milliseconds key = 0;
  Milliseconds at = 0;
  std::uint64_t count = 0;  // of the happenings before it in its segment, in the order of entries
};
std::string to_text(const Place& place);
// invalid_argument: this is none.
Result<Place> place_of(const std::string& text);

class Listing {
 public:
  // What happened after `from`, until `to`.
  Listing(std::string proxy, Milliseconds from, Milliseconds to)
      : proxy_(std::move(proxy)), from_(from), to_(to) {}

  // Of a segment; what happened up to `place` is passed over if it is of this one. `room`: so many
  // more may go onto the page.
  void begin(const Contents& contents, const std::optional<Place>& place, std::size_t room);
  void take(const Contents& contents, const Entry& entry);
  // False: the page is full, and says where to go on.
  bool end(const Contents& contents, Happenings& page);

 private:
  using Kind = Happening::Kind;
  using Order = std::pair<Milliseconds, std::uint64_t>;  // time, count
  // Names are put in when it is known that it goes onto the page.
  struct Told {
    Kind kind{};
    std::optional<resource::Type> type{};
    std::optional<Number> batch{};
    std::vector<std::string> removed{};
    std::string text{};
  };

  void add(Told told, Milliseconds at);
  template <typename Do>
  void each(const std::vector<Row>& rows, Do act) {
    for (const Row& row : rows) {
      if (streams_.contains(row.stream)) act(row);
    }
  }
  void on(const Contents& contents, const Opened& opened);
  void on(const Contents& contents, const Sent& sent);
  void on(const Contents& contents, const Acked& acked);
  void on(const Contents& contents, const Refused& refused);
  void on(const Contents& contents, const Dropped& dropped);
  void on(const Contents& contents, const Holds& holds);
  void on(const Contents& contents, const Closed& closed);
  void on(const Contents& contents, const Gap& gap);
  template <typename Other>
  void on(const Contents&, const Other&) {}

  const std::string proxy_;
  const Milliseconds from_, to_;
  std::optional<std::uint64_t> boot_;
  std::set<StreamId> streams_;
  std::set<std::pair<StreamId, resource::Type>> heard_;
  // Of this segment.
  std::optional<Order> passed_;
  std::uint64_t count_ = 0;
  std::size_t room_ = 0;
  std::map<Order, Told> told_;  // at most one more than there is room for
};

}  // namespace graymesh::record
