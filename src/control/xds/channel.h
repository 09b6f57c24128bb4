// One type on one stream: what is subscribed, what was told, what is in flight, what was refused.
//
// A response leaves by take() and comes back by hear(), as ACK or NACK of its nonce; between the
// two nothing else of the type is sent, and whatever changes meanwhile is part of the next take().
// A change of what the proxy has needs not wait for all of a large push: hasten() names it, and it
// is first in the next response.
// What has left counts as told at once. An ACK thus has nothing to do; a NACK puts back what was
// held before, as Exceptions: the culprit is refused (that version is not sent again), and if the
// proxy didn't name it, the response is tried again in halves until it is found.
//
// Delta and state of the world differ in how names are subscribed, and in that clusters and
// listeners, in state of the world, always come whole.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "control/xds/holding.h"
#include "control/xds/message.h"
#include "control/xds/pace.h"
#include "control/xds/xds.h"

namespace graymesh::xds {

struct Limits {
  std::size_t chunk_resources_max = 200;
  std::size_t chunk_bytes_max = 1u << 20;
  // Of one type on one stream. The largest mesh measured, 10,000 services of five subsets, has
  // 60,000 clusters; each name costs 8 bytes.
  std::size_t names_max = 250'000;
  // How long routes wait for a proxy that doesn't ACK the clusters they need. Envoy holds its ACK
  // back while a cluster warms, 15 s at most by default.
  std::chrono::milliseconds hold_max{15'000};
  // How long a proxy that came back is waited for to subscribe to listeners and routes, before what
  // vanished meanwhile is removed. Envoy sends all its subscriptions at once when it reconnects;
  // one without any route table never subscribes to routes.
  std::chrono::milliseconds return_max{2'000};
  std::chrono::milliseconds chunk_hold_max{250};  // as Pace has it

  Pace::Bounds pace() const {
    return {.chunk_max = chunk_resources_max, .hold_max = chunk_hold_max};
  }
};

struct Now {
  Clock::Steady steady;
  Clock::Wall wall;
  // Of what is heard: the network's way to the proxy and back, and whether the time that it took
  // tells of the proxy (pace.h).
  std::chrono::nanoseconds distance{};
  bool telling = true;
};

// One update of the stream's Config, counted from 1; 0 is before the first.
struct Step {
  resource::ConfigPtr config{};
  std::uint64_t update = 0;
};

// What a channel shall reach.
struct Goal {
  const Step& step;
  std::uint64_t removals_through = 0;  // what an update up to this one ceased to want may go
  std::size_t resources_max = 200;     // in the next response
  bool hastened_only = false;          // nothing else has a turn
  Clock::Steady now{};
};

struct Sent {
  NameHash hash = 0;
  const resource::ResourcePtr* now = nullptr;  // null: removed; lies in the Flight's Config
  Held before{};
};

struct Flight {
  std::string nonce{};
  std::vector<Sent> sent{};                  // what changed by it
  std::list<resource::ResourcePtr> other{};  // of that, what its Config has lost
  std::size_t bytes = 0;                     // of its resources
  Clock::Steady at{};
  Step step{};
  bool settles = false;  // with it, all additions and changes of `step` are sent
  bool clears = false;   // and all removals
  bool trial = false;    // part of the search for a culprit
};

class Channel {
 public:
  Channel(resource::Type type, bool delta, const Limits& limits, Diffs& diffs);

  // `config` is what the stream shall reach. resource_exhausted: too many names.
  Status hear(const DeltaRequest& request, const resource::Config& config, Now now);
  Status hear(const SotwRequest& request, const resource::Config& config, Now now);

  // Whether take() may have anything to say. If not, and nothing is in flight, `goal` is reached.
  bool wants(const Goal& goal);
  // The next response, if there is anything to say and nothing in flight. `nonce` is for it.
  std::optional<Response> take(const Goal& goal, std::uint64_t nonce);

  // These changed: what the proxy has of them goes first. More than a few at a time are a push of
  // their own, and wait as any other.
  void hasten(const std::vector<NameHash>& names);
  bool hastens() const { return !hastened_.empty(); }

  // The proxy was just sent clusters of these names, warms them and waits: they go out changed or
  // not, asked for (it is about to) or not, and as they are in `config` if a later one has lost
  // them.
  void resend(const std::vector<NameHash>& names, const resource::ConfigPtr& config);

  // Of virtual hosts alone (tables.cc): they go with their tables. By hash of name, sorted.
  struct Tables {
    std::vector<NameHash> here{};  // the proxy takes hosts of these, and of no others
    std::vector<NameHash> left{};  // of those, the ones we no longer have: their hosts stay
    bool operator==(const Tables&) const = default;
  };
  void follow(Tables tables);
  // Whether the proxy still has hosts of this table is not known.
  void doubt(NameHash table);

  // Of all that it holds; sorted.
  std::vector<NameHash> held_names() const;

  bool heard() const { return heard_; }        // subscribed, now or once
  bool returned() const { return returned_; }  // came with what it holds from another stream
  bool wildcard() const { return subscription_.wildcard; }
  const std::optional<Flight>& flight() const { return flight_; }
  bool pushes() const { return flight_ || more_; }  // a response is in the air, or more will follow
  std::size_t bytes_in_flight() const { return flight_ ? flight_->bytes : 0; }
  // The newest Config whose additions and changes are all ACKed (or refused). An older one that was
  // passed over need not have been sent in full.
  const Step& settled() const { return settled_; }
  const Step& cleared() const { return cleared_; }  // the same, and its removals
  const std::map<NameHash, Refusal>& refusals() const { return refusals_; }
  std::size_t names() const { return subscription_.names.size(); }
  // SotwRequest::names_hash of what it is subscribed to by now; 0: not known.
  std::uint64_t names_hash() const { return names_hash_; }
  // What the last request no longer wants of what was told.
  const std::vector<std::string>& dropped() const { return dropped_; }
  // It wants fewer names, perhaps of what no longer is there: state of the world is not told that.
  bool shrank() const { return shrank_; }

  struct Counts {
    std::uint64_t sent = 0, acked = 0, nacked = 0, bytes = 0, stale = 0;
    std::uint64_t resyncs = 0;  // came back, and nothing of it was as it shall be (0 or 1)
    std::uint64_t looks = 0;    // at single exceptions, beside what is gone through in order
  };
  const Counts& counts() const { return counts_; }

  // What it holds: what is in flight is not. As layers, what it holds for sure.
  resource::Possession possession() const;
  std::vector<resource::ResourceSetPtr> acked() const;
  std::size_t held_count() const;
  std::size_t exceptions() const { return holding_.exceptions().size(); }  // noted name by name
  // About how many bytes it lacks of that.
  std::size_t owed(const resource::Config& config) const;

 private:
  struct Draft;

  // Subscribing (subscribe.cc).
  Status subscribe(const Words& names, const Target& target);
  bool wants_all_of(const Target& target);
  void unsubscribe(const Words& names, const Target& target);
  Status want(NameHash hash, std::string_view name, bool asked_before, const Target& target);
  Status replace_names(const SotwRequest& request);
  struct Claim {
    NameHash hash;
    std::optional<std::uint64_t> version;
    std::string_view name;
    bool known = false;  // there is something of that name
  };
  struct Standing {
    std::size_t same = 0, other = 0, lacking = 0;  // names: in our version, in another, not
  };
  void claim(const Words& held, const Words& versions, const Target& target);
  Standing claim_layer(const Table& table, const resource::ResourceSetPtr& layer,
                       std::vector<Claim>& claims);
  bool claim_whole(const std::string& version, const Target& target);
  Status bounded(std::size_t names) const;

  // Answers (channel.cc).
  void answer(const RequestHead& request, Now now);
  void accept(const Flight& flight);
  void refuse(const Flight& flight, const std::string& error, Now now);
  void refuse_one(const Sent& sent, const std::string& error, Now now);
  void try_later(const std::vector<const Sent*>& suspects);

  // What it is about to ask for (owed.cc).
  struct Group {
    using Name = std::pair<NameHash, const resource::ResourcePtr*>;
    resource::ConfigPtr config{};  // has the resources
    std::vector<Name> names{};     // sorted; neither asked for nor held, but what `asked` says
    bool asked = false;
  };
  struct Room {
    std::size_t resources, bytes, bytes_max, sent;
  };
  bool group(const std::vector<NameHash>& names, const Target& target,
             const resource::ConfigPtr& config);
  bool asks_for_group(const Words& names);
  void expand_groups();
  bool groups_are_plain(const Target& target) const;
  static std::size_t fitting(const Group& group, const Room& room);
  void leave_group(Group& group, std::size_t count);
  void owe(const std::vector<std::pair<NameHash, resource::ResourcePtr>>& resources);
  void owe(NameHash hash, const resource::ResourcePtr& resource, std::vector<NameHash>& added);
  void ask_for(std::vector<NameHash> unasked);
  std::vector<std::size_t> blamed(const Flight& flight, const std::string& error) const;

  bool covers(std::span<const resource::ResourceSetPtr> layers) const;
  bool covers(std::span<const resource::Possession::Layer> layers) const;

  // Responses (take.cc).
  bool idle(const Goal& goal) const;
  bool rests(const Goal& goal) const;
  void draft_trial(const Target& target, Draft& draft);
  void draft_exceptions(const Goal& goal, const Target& target, Draft& draft);
  void draft_changes(const Goal& goal, const Target& target, Draft& draft);
  void draft_missing(const Target& target, Draft& draft);
  bool consider(const Goal& goal, NameHash hash, const resource::ResourcePtr* want,
                const Held& held, Draft& draft);
  bool send_owed(const Goal& goal, NameHash hash, const Held& held, Draft& draft);
  bool removals_wait();
  void draft_groups(const Target& target, Draft& draft);
  void draft_hastened(const Target& target, Draft& draft);
  void remove(NameHash hash, const Held& held, Draft& draft);
  void await_table(NameHash hash, const Held& held, Draft& draft);
  bool takes(const resource::Resource& host) const;  // its table is here
  bool keeps(const resource::Resource& host) const;  // its table is left
  bool by_table() const { return type_ == resource::Type::virtual_host; }
  Draft new_draft(const Goal& goal) const;
  Response write(Draft draft, const Goal& goal, const Target& target, std::uint64_t nonce);
  void settle(const Goal& goal);
  std::vector<const resource::ResourcePtr*> compose(const Target& target) const;
  bool whole() const {
    return !delta_ && (type_ == resource::Type::cluster || type_ == resource::Type::listener);
  }

  resource::Type type_;
  bool delta_;
  const Limits* limits_;
  Diffs* diffs_;

  bool heard_ = false, returned_ = false;
  bool named_ = false;  // names were given once: that none are given no longer means all
  bool due_ = false;    // an answer is owed, if only an empty one
  bool more_ = false;   // the last take() had room for a part only
  bool dirty_ = false;  // something but the Config changed since the last take()
  Subscription subscription_;
  // State of the world: what the last request named: "*", how many others, their sum.
  std::optional<std::tuple<bool, std::size_t, std::uint64_t>> asked_;
  std::uint64_t names_hash_ = 0;
  std::vector<std::string> dropped_;
  bool shrank_ = false;
  Names unasked_;  // told before they were asked for
  std::vector<Group> groups_;
  std::vector<std::pair<NameHash, resource::ResourcePtr>>
      owed_first_;                           // by resend() before the first request
  std::map<NameHash, std::string> missing_;  // subscribed, but there is no such thing: to be told
  std::size_t missing_bytes_ = 0;
  Tables tables_;

  Holding holding_;
  std::optional<Flight> flight_;
  std::vector<NameHash> hastened_;  // go first in the next take()
  std::string last_nonce_;
  std::vector<std::vector<NameHash>> trials_;
  std::size_t trials_left_ = 0;
  std::map<NameHash, Refusal> refusals_;

  Step settled_, cleared_;
  bool clear_ = true;  // no removal waits, as of the last take()
  std::uint64_t removals_through_ = 0;
  std::pair<std::uint64_t, std::uint64_t> looked_;  // for which goal all exceptions were noted
  std::vector<NameHash> deferred_;                  // since then: exceptions that wait for another
  Counts counts_;
};

}  // namespace graymesh::xds
