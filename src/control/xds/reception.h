// How many streams may say what they come with at a time.
//
// After a restart a thousand proxies come at once, each with the name and hash of all that it
// holds: half a megabyte to read and to compare. Those beyond a few wait before their first request
// is read. They cost nothing meanwhile (HTTP/2 keeps what they say at their end, and answers pings
// for us), and none is so late that it takes us for dead and begins anew.
//
// First come, first served; who has said nothing for `patience` gives its place up. A stream is
// known by its address; `wake` is called for one whose time has come. Any thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "base/clock.h"

namespace graymesh::xds {

class Reception {
 public:
  using Key = const void*;
  Reception(std::size_t places, std::chrono::milliseconds patience, std::function<void(Key)> wake);

  // Whether it may be read from now; if not, it is in line.
  bool enter(Key who, Clock::Steady now);
  void leave(Key who, Clock::Steady now);  // what it said is dealt with, or it is gone
  void look(Clock::Steady now);            // now and then
  std::size_t in_line() const;

 private:
  std::vector<Key> next_locked(Clock::Steady now);

  const std::size_t places_;
  const std::chrono::milliseconds patience_;
  const std::function<void(Key)> wake_;
  mutable std::mutex mutex_;
  std::unordered_map<Key, Clock::Steady> inside_;  // since when
  std::deque<Key> line_;
};

}  // namespace graymesh::xds
