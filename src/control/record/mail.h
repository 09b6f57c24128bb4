// What streams tell, on its way to the thread that writes it: a queue with a bound.
//
// The streams' threads only look up a hash: what was told before in this segment, by whichever
// stream, is not told again. So an event is 48 bytes, whatever was sent. When the queue is full,
// events are dropped and counted, and the writer has everything told anew; but never who came and
// who went, as nobody would tell that again.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/clock.h"
#include "control/record/entries.h"
#include "control/resource/witness.h"

namespace graymesh::record {

// A clock that is set back by less is waited for.
inline constexpr std::chrono::milliseconds clock_back_max{1000};

// What an event says beside who and when; each is told once a segment.
struct Content {
  // sent: `before` is of the same name, and may be null.
  struct Change {
    resource::ResourcePtr before{}, now{};
  };
  std::vector<Change> changes{};
  std::vector<std::string> removed{};  // sent; dropped
  std::uint64_t bytes = 0;
  resource::Possession possession{};  // holds
  std::vector<std::uint64_t> layer_hashes{};
  std::string error{};  // refused
  Opened opened{};
};

struct Event {
  enum class Kind : std::uint8_t { opened, holds, sent, acked, refused, dropped, closed };
  Kind kind{};
  resource::Type type{};
  StreamId stream = 0;
  Milliseconds at = 0;
  std::uint64_t hash = 0;  // of the content
  std::shared_ptr<const Content> content{};
};

// Of the layers of Configs, which many streams share.
class SetHashes {
 public:
  std::uint64_t of(const resource::ResourceSetPtr& set);

 private:
  struct Kept {
    std::weak_ptr<const resource::ResourceSet> set;
    std::uint64_t hash = 0;
  };
  std::mutex mutex_;
  std::map<const resource::ResourceSet*, Kept> kept_;
  std::size_t kept_max_ = 64;
};

class Mailbox {
 public:
  // `events_max` of any kind; beyond them one for each stream that has opened or closed since.
  Mailbox(std::size_t events_max, const Clock& clock) : events_max_(events_max), clock_(clock) {}

  // Any thread.
  void opened(StreamId stream, const resource::Node& node, const std::string& peer, bool delta);
  void holds(StreamId stream, const resource::Possession& all);
  void sent(StreamId stream, const resource::Delivery& delivery);
  void acked(StreamId stream, resource::Type type);
  void refused(StreamId stream, resource::Type type, const std::string& error);
  void dropped(StreamId stream, resource::Type type, std::span<const std::string> names);
  void closed(StreamId stream);

  // For the writer. All there is, and how much was dropped since; contents are told anew from here
  // on if `anew`, and times are again those of the clock.
  struct Mail {
    std::vector<Event> events{};    // in order
    std::vector<Event> closings{};  // of streams, after all else
    std::uint64_t lost = 0;         // between `events` and `closings`
    Milliseconds lost_since = 0;
    Milliseconds at = 0;  // when it was taken: what follows is not earlier
  };
  Mail take(bool anew = false);
  // Returns when there is half of what it may hold, after `most`, or when told to hurry.
  void wait(std::chrono::milliseconds most);
  void hurry();

  std::size_t size() const;
  // The clock was set back. Times stand still until take(anew): those of one segment only ascend.
  bool behind() const;

 private:
  Content content_of(const resource::Possession& possession);
  // Now, or the latest that was told if that is later.
  Milliseconds time_locked();
  // False: its content is asked for, as it was not told yet.
  bool put(Event& event);
  template <typename Make>
  void put(Event event, Make content);
  void put_beyond(const Event& event);
  void lose_locked(std::uint64_t count, Milliseconds at);

  const std::size_t events_max_;
  const Clock& clock_;
  SetHashes hashes_;
  mutable std::mutex mutex_;
  std::condition_variable full_;
  std::vector<Event> events_;
  // Opened and closed that found it full. A stream that did both was not here: the writer never
  // hears of it. So there are not more than there are streams.
  std::map<StreamId, Event> beyond_;
  std::unordered_set<std::uint64_t> known_;
  std::uint64_t lost_ = 0;
  Milliseconds lost_since_ = 0;
  Milliseconds last_ = 0;  // the latest time that was told
  bool behind_ = false;
  bool hurry_ = false;
};

}  // namespace graymesh::record
