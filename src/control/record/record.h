// The record: which proxy was sent, ACKed or refused which version of which resource, when; on disk
// and of bounded size.
//
// Bodies are kept once by hash, a new version as a difference to the one before; what one response
// changed is kept once, and each stream has a row of some bytes for it. Streams' threads put small
// events into a bounded queue, one thread writes them. Files of the record stand alone, so the
// oldest can go; each begins with who is connected, and what they hold follows at once.
//
// Inside: mail (the queue), pen (events to entries), entries, delta and coding (bytes), segment and
// files (on disk), replay and history (read again).
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "control/resource/resource.h"
#include "control/resource/witness.h"
#include "metrics/metrics.h"

namespace graymesh::record {

struct Options {
  std::filesystem::path folder;  // made if missing
  std::uint64_t bytes_max = std::uint64_t{1} << 30;
  std::chrono::hours age_max{30 * 24};
  // What a kill of the process may lose.
  std::chrono::milliseconds write_every{200};
  // 48 bytes each. 1,100 proxies of 3,360 clusters that all start at once are 90,000 events.
  std::size_t events_max = 1u << 17;
  // Is told what is wrong with files, in words for an operator; on the writer's thread.
  std::function<void(const std::string&)> complain{};
};

class Record : public resource::Witness {
 public:
  // failed_precondition: another process has that folder. A file that cannot be read is complained
  // of and left alone. `metrics` and `clock` outlive it.
  static Result<std::unique_ptr<Record>> open(Options options, metrics::Registry& metrics,
                                              const Clock& clock);

  // `recap` has the server tell what every proxy holds (xds::Server::recap); called on the writer's
  // thread, from now on until the next start(), which waits for its end. Null: not any more.
  virtual void start(std::function<void()> recap) = 0;
  virtual void stop() = 0;  // writes what is there; what is told from then on is lost

  // Returns when all that was told before the call is in the files, or cannot be written.
  virtual void flush() = 0;
};

// One resource that a proxy held.
struct Item {
  std::uint64_t version = 0;
  std::vector<std::string> origins{};
  std::optional<Clock::Wall> since{};  // its ACK; none: it came with it from another stream
  // Where its bytes are.
  std::filesystem::path file{};
  std::uint32_t number = 0;
};

struct Moment {
  using Items = std::map<std::string, Item>;
  struct OfType {
    Items items{};
    std::vector<std::string> unknown{};  // held, in a version that is not in the record
    bool known = true;     // false: what it held before the record's first entry of it
    bool waiting = false;  // something is sent and not answered
    std::optional<Clock::Wall> sent{}, answered{};
    std::string error{};  // of a refusal that stands
  };
  std::string node_id{}, name{}, namespace_{}, address{}, peer{}, user_agent{};
  bool delta = false;
  std::optional<Clock::Wall> connected{},
      left{};  // of its newest stream; `left`: it was gone by then
  std::array<OfType, resource::type_count> types{};
};

struct Happening {
  enum class Kind : std::uint8_t { connected, returned, sent, acked, refused, dropped, left, gap };
  Kind kind{};
  Clock::Wall at{};
  std::optional<resource::Type> type{};
  std::vector<std::pair<std::string, std::uint64_t>> changed{};  // name, version
  std::vector<std::string> removed{};
  std::uint64_t bytes = 0;  // of a response
  std::string text{};       // a proxy's words; its address
};

// A proxy that was here.
struct Sighting {
  std::string node_id{}, name{}, namespace_{}, address{};
  Clock::Wall connected{};
  std::optional<Clock::Wall> left{};
};

// One page of them. `next`: what to ask with for what follows; empty if that is all. A page may
// have less than it might, even nothing, and be followed.
struct Happenings {
  std::vector<Happening> items{};
  std::string next{};
};

// The latest time there is: now, whatever the clock shows.
inline constexpr Clock::Wall newest = Clock::Wall::max();

// Reads a record, also while it is written. Any thread; nothing is kept between calls, and each
// reads a few files of the record at most.
//
// Everything is in the order in which it was told, also where the clock was set back. A time means
// the last moment at which the clock showed it: before it was set back if it has not shown it
// since.
class History {
 public:
  explicit History(std::filesystem::path folder, std::uint64_t page_bytes = std::uint64_t{64} << 20)
      : folder_(std::move(folder)), page_bytes_(page_bytes) {}

  // What the proxy ran at that time: node id, or "name.namespace". not_found: it was not connected
  // then, and is not among the 1,024 that had left last. `faults`: files that cannot be read to
  // their end.
  Result<Moment> at(const std::string& proxy, Clock::Wall time,
                    std::vector<std::string>& faults) const;
  // What happened to it after `from`, until `to`, in order; at most `most` of it, from as much of
  // the record as `page_bytes`. `next`: as the page before has it, or empty. invalid_argument: no
  // page has it so.
  Result<Happenings> between(const std::string& proxy, Clock::Wall from, Clock::Wall to,
                             std::size_t most, const std::string& next,
                             std::vector<std::string>& faults) const;
  // The serialised message of an item.
  Result<std::string> body(const Item& item) const;
  // All that it held, as resources with their bytes.
  Result<resource::ConfigPtr> config(const Moment& moment) const;
  // Who was here, by node id; those that left longest ago are forgotten first.
  Result<std::vector<Sighting>> seen(std::vector<std::string>& faults) const;

 private:
  std::filesystem::path folder_;
  std::uint64_t page_bytes_;
};

}  // namespace graymesh::record
