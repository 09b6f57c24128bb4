// Who may push when: bounds what is on the way to all proxies together, and lets each have its
// turn.
//
// Two lines, each first come, first served; nobody is sent away.
//
//   a stream comes, cold ──> admission ──> for each response: turn ──> sent ──> answered
//                            bytes that the cold are still owed        bytes in the air
//
// Admission is by cost: a proxy that comes with what it holds costs nearly nothing and passes at
// once; one that holds nothing costs its whole configuration, and of those no more than
// `cold_bytes_max` are let in together, so that the first are complete before the last begin. Who
// makes no headway for `patience` is counted no longer, so that those who hang hold up nobody.
//
// A turn is one response. While the bytes that are sent and not answered are more than `bytes_max`,
// streams line up, and who has had a turn goes to the end of the line.
//
// A stream is known here by its address. `wake` is called for one whose turn has come, from the
// thread that made room: it shall try again soon. Any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "control/xds/xds.h"

namespace graymesh::xds {

class Turns {
 public:
  using Key = const void*;
  struct Bounds {
    std::size_t bytes_max;
    std::size_t cold_bytes_max;
    // Costs at most this: passes at once, as a change does.
    std::size_t free_bytes = 256u << 10;
    std::chrono::milliseconds patience{2'000};
  };
  Turns(const Bounds& bounds, std::function<void(Key)> wake);

  // Whether `who`, who is owed `bytes` in all, may begin. If not, it is in line.
  bool admit(Key who, std::size_t bytes, Clock::Steady now);
  // So much of what it was owed is sent.
  void sent(Key who, std::size_t bytes, Clock::Steady now);
  // It has all that it was owed.
  void complete(Key who);

  // Whether `who` may send a response of up to so many bytes now. If not, it is in line. If so, the
  // bytes are taken until holds() tells how many they are.
  bool turn(Key who, std::size_t bytes);
  // It can make no use of a turn now.
  void pass(Key who);
  // So many bytes of its responses are in the air, in all.
  void holds(Key who, std::size_t bytes);

  void leave(Key who);
  void look(Clock::Steady now);  // now and then

  Waits waits(Key who) const;
  // So many are pushed to that the time they take tells of us rather than of them.
  bool crowded() const;  // without a lock: asked at each message

  struct Counts {
    std::size_t bytes = 0, cold_bytes = 0, in_line = 0, to_admit = 0;
  };
  Counts counts() const;

 private:
  struct Member {
    std::size_t held = 0, owed = 0;
    std::size_t asks = 0;  // in line: for so many bytes
    Clock::Steady moved{};
    bool admitted = false, to_admit = false, in_line = false;
  };
  bool has_room_locked(std::size_t bytes) const;
  bool may_begin_locked(std::size_t bytes) const;
  void hold_locked(Member& member, std::size_t bytes);
  void owe_locked(Member& member, std::size_t bytes);
  std::vector<Key> next_locked() const;
  void wake(const std::vector<Key>& keys) const;

  const Bounds bounds_;
  const std::function<void(Key)> wake_;
  mutable std::mutex mutex_;
  std::unordered_map<Key, Member> members_;
  std::deque<Key> to_admit_, line_;
  std::size_t bytes_ = 0, cold_bytes_ = 0;
  std::atomic<std::size_t> busy_ = 0;
};

}  // namespace graymesh::xds
