// What one proxy ran, followed through the entries of segments up to a time.
//
// It runs what it has ACKed. What it had when its stream broke it still has while it is away, and
// when it comes back it says so (Holds); if it is first of all sent something instead, it came with
// nothing.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "control/record/record.h"
#include "control/record/replay.h"

namespace graymesh::record {

Clock::Wall wall(Milliseconds at);
Milliseconds milliseconds(Clock::Wall time);

bool means(const std::string& wanted, const std::string& node_id, const std::string& name,
           const std::string& namespace_);

class Tracker {
 public:
  explicit Tracker(std::string proxy) : proxy_(std::move(proxy)) {}

  // A segment; what is later than `until` in it is passed over.
  void begin(const Contents& contents, Milliseconds until);
  void take(const Contents& contents, const Entry& entry);

  bool found() const { return !moment_.node_id.empty(); }
  bool complete() const;  // nothing from before the first segment could add to it
  // When it left, as a segment says that begins after that.
  std::optional<Milliseconds> left_before() const { return left_before_; }
  void leave(Milliseconds at);
  Moment take() { return std::move(moment_); }

 private:
  struct Pending {
    bool any = false;
    std::vector<std::pair<std::string, std::optional<Item>>> changes{};
  };
  struct Stream {
    Milliseconds opened = 0;
    std::array<Pending, resource::type_count> pending{};
    std::array<bool, resource::type_count> heard{};
  };
  void on(const Contents& contents, const Opened& opened);
  void on(const Contents& contents, const Sent& sent);
  void on(const Contents& contents, const Acked& acked);
  void on(const Contents& contents, const Refused& refused);
  void on(const Contents& contents, const Dropped& dropped);
  void on(const Contents& contents, const Holds& holds);
  void on(const Contents& contents, const Closed& closed);
  void on(const Contents& contents, const Gap& gap);
  void on(const Contents& contents, const Gone& gone);
  template <typename Other>
  void on(const Contents&, const Other&) {}

  template <typename Rows, typename Do>
  void each(const Rows& rows, Do act);
  void accept(Stream& stream, resource::Type type, Milliseconds at);
  Moment::OfType& of(resource::Type type) { return moment_.types[static_cast<std::size_t>(type)]; }

  std::string proxy_;
  Milliseconds until_ = 0;
  std::optional<Milliseconds> left_before_;
  std::uint64_t boot_ = 0;
  std::map<StreamId, Stream> streams_;  // of the proxy, in this process
  StreamId newest_ = 0;
  Milliseconds last_ = 0;
  Moment moment_;
};

}  // namespace graymesh::record
