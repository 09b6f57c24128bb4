// What goes on in the mesh now, kept for some minutes in bounded memory.
//
//   sidecars' statistics <── Gatherer ─> Rounds ──> Window <── api
//                                └─> Followed ─> Tally <── analyses of releases (main/live.cc)
//   logged requests ──> Calls (of lanes) ─> Rounds ──^
//                  └──> Taps ──> who taps
//
// A sidecar's statistics count every request, by caller, called version, code and latency; they are
// asked for, so their price doesn't depend on the traffic. What they don't know is a request's
// lane: that comes from the log of requests in lanes, which exists anyway (control/traffic).
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "control/traffic/traffic.h"
#include "live/live.h"
#include "metrics/metrics.h"

namespace graymesh::gather {

// page.cc ----------------------------------------------------------------------------------------

// What a proxy has counted since it started.
struct Page {
  std::chrono::seconds uptime{};
  std::map<std::string, live::Counts> clusters = {};  // "outbound|8080|feature-a|web.fe-pre.svc..."
  live::Counts received = {};                         // by its own instance
};

inline constexpr std::chrono::seconds flush{5};  // Envoy sets its uptime so often

inline constexpr std::string_view page_path = "/stats/figures";  // of :15090, sidecar/bootstrap.cc

// invalid_argument: it is no page of an Envoy's statistics as JSON.
Result<Page> read_page(std::string_view json);

// rounds.cc --------------------------------------------------------------------------------------

// Counts by time, in rounds. Any thread.
class Rounds {
 public:
  static constexpr std::size_t edges_max = 4'000;   // of one round; others are one sum
  static constexpr std::size_t cells_max = 40'000;  // rows of all rounds, some 0.4 kB each
  static constexpr std::chrono::minutes age_max{10};

  using Sums = std::map<live::Edge, live::Counts>;

  // One round that has ended. Older ones go when there is no room.
  void add(Clock::Wall from, Clock::Wall to, Sums sums, live::Counts others);
  // The last rounds, as few as make `last` or more up to `now`.
  live::Window window(std::chrono::seconds last, Clock::Wall now) const;

 private:
  struct Round {
    Clock::Wall from{}, to{};
    Sums sums = {};
    live::Counts others = {};
  };
  mutable std::mutex mutex_;
  std::deque<Round> rounds_;
  std::size_t cells_ = 0;
};

// Adds to the row of `edge`, or to `others` if it would be one too many.
void add_bounded(const live::Edge& edge, const live::Counts& counts, Rounds::Sums& sums,
                 live::Counts& others);

// followed.cc ------------------------------------------------------------------------------------

// Calls to single services, by subset, added up for as long as somebody follows them; only of
// proxies that were there, with the same Envoy, from one round to the next. Any thread.
class Followed {
 public:
  using Sums = std::map<live::Service, std::map<std::string, live::Counts>>;

  // Begins to follow it; what a round counts that has begun before is not of it.
  std::map<std::string, live::Counts> of(const live::Service& service);
  void keep(const std::set<live::Service>& services);  // forgets the others

  // For one round: those that are followed, and then what it counted of them.
  Sums begin() const;
  void add(const Sums& sums);

 private:
  mutable std::mutex mutex_;
  Sums sums_;
};

// Adds what came between two pages of one proxy, read so long after another, to the services that
// `sums` has. Nothing if the Envoy began anew between them, or what it counts of the service did.
void add_steady(const Page& before, const Page& now, std::chrono::nanoseconds elapsed,
                Followed::Sums& sums);

// gatherer.cc ------------------------------------------------------------------------------------

struct Proxy {
  std::string id = {};
  std::string stats = {};  // "127.1.2.3:15090"
  std::string admin = {};  // "127.1.2.3:15000"; empty: out of reach
  live::Party who = {};
};

// The versions that these run.
live::Versions versions_of(const std::vector<Proxy>& proxies);

// Asks all proxies in turn, on one thread: every half minute; every second at most while somebody
// looks or follows. It rests nine times as long as those who answered took, so it takes a tenth of
// a core at most.
class Gatherer {
 public:
  static constexpr std::chrono::seconds idle{30}, rest_min{1};
  static constexpr std::chrono::seconds leave_alone{30};  // who did not answer
  // In one round no more is waited for who did not answer the last time either.
  static constexpr std::chrono::seconds waiting_max{5};
  static constexpr std::size_t readings_max = 100'000;  // called versions, of all proxies

  struct Parts {
    std::function<Result<std::string>(const std::string& url)> fetch;
    std::function<std::vector<Proxy>()> proxies;
    std::function<void(const Proxy&)> met;  // for the first time
    const Clock& clock;
    metrics::Registry& metrics;
  };
  explicit Gatherer(Parts parts);
  ~Gatherer() { stop(); }

  void start();
  void stop();
  void round();  // one look at all of them

  // Of the last seconds, up to now: waits for a round that begins now, but not longer than
  // `patience`.
  live::Window window(std::chrono::seconds last, std::chrono::milliseconds patience);
  // Of calls to `service` since it is followed, which it is from now on; wants a round, and does
  // not wait for it.
  live::Tally follow(const live::Service& service);
  void follow_only(const std::set<live::Service>& services) { followed_.keep(services); }
  std::vector<Proxy> proxies() const { return parts_.proxies(); }

 private:
  struct Reading {
    std::optional<Page> page = {};
    std::uint64_t round = 0;  // when the page was read
    Clock::Steady at{};
    Clock::Steady silent_until{};
  };
  struct Sum {
    std::uint64_t round = 0;
    Rounds::Sums sums = {};
    live::Counts others = {};
    Followed::Sums followed = {};
    std::size_t read = 0, silent = 0, left_out = 0, readings = 0;
    std::string fault = {};
    std::chrono::nanoseconds waited{};  // for those who did not answer
  };
  void ask(const Proxy& proxy, Sum& sum);
  Result<Page> page_of(const Proxy& proxy, Sum& sum) const;
  void count(const Proxy& proxy, const Page& before, const Page& now, Sum& sum) const;
  void end(Sum sum, Clock::Wall began);
  void work();

  const Parts parts_;
  metrics::Counter &asked_, &failed_;
  metrics::Histogram& took_;
  Rounds rounds_;
  std::map<std::string, Reading> readings_;  // by id; of the thread that makes rounds
  Clock::Wall from_{};                       // when the last round began; the epoch: there was none
  std::chrono::nanoseconds waited_{};        // in it, for those who did not answer
  Followed followed_;

  mutable std::mutex mutex_;
  std::condition_variable wake_, done_;
  bool stop_ = false, wanted_ = false;
  std::uint64_t begun_ = 0, ended_ = 0;  // rounds
  std::size_t read_ = 0, silent_ = 0, left_out_ = 0;
  std::string fault_;
  std::thread thread_;
};

// calls.cc ---------------------------------------------------------------------------------------

// Calls in lanes that callers' proxies and gateways logged, each once, by edge and lane. Any
// thread.
class Calls {
 public:
  static constexpr std::chrono::seconds slot{1};

  explicit Calls(const Clock& clock) : clock_(clock), since_(clock.wall()), from_(since_) {}

  // `known`: lanes that are declared; others are nobody's.
  void record(const traffic::Teller& teller, const std::vector<traffic::Request>& requests,
              const traffic::Table& known);
  live::Window window(const std::string& lane, std::chrono::seconds last);

 private:
  void turn_locked();

  const Clock& clock_;
  const Clock::Wall since_;
  std::mutex mutex_;
  Clock::Wall from_;
  Rounds::Sums sums_;
  live::Counts others_;
  Rounds rounds_;
};

live::Party party_of(const traffic::Teller& teller);

// taps.cc ----------------------------------------------------------------------------------------

// Which requests one wants to see; empty: any.
struct TapWanted {
  std::string lane = {};  // "-": those in no lane
  live::Wanted edge = {};
  std::string path = {};    // its beginning
  std::string method = {};  // "GET"
  std::string code = {};    // "503", "5xx", "0": the caller went away
};

// Whether calls of `proxy` may be among them.
bool may_match(const TapWanted& wanted, const Proxy& proxy);

struct Tapped {
  live::Edge edge = {};
  std::string proxy = {};  // node id of the caller's
  traffic::Request request = {};
};

struct Told {
  std::vector<Tapped> requests = {};
  std::uint64_t matched = 0;  // since the tap was opened
  std::uint64_t over = 0;     // of those: not shown, as they were more than `per_second`
};

// One who taps. Any thread.
class Tap {
 public:
  static constexpr std::size_t per_second_max = 1'000;

  Tap(TapWanted which, std::size_t per_second, const Clock& clock)
      : wanted(std::move(which)), per_second_(per_second), clock_(clock) {}

  void record(const live::Edge& edge, const traffic::Teller& teller,
              const traffic::Request& request);
  // What came, or nothing after `patience`.
  Told take(std::chrono::milliseconds patience);

  const TapWanted wanted;
  // Of a million requests in no lane, so many are asked for.
  std::atomic<std::uint32_t> share{0};

 private:
  const std::size_t per_second_;
  const Clock& clock_;
  std::mutex mutex_;
  std::condition_variable came_;
  Told told_;
  Clock::Steady second_{};
  std::size_t in_second_ = 0;
};

// Requests in lanes are logged anyway. Of others a sidecar logs as many as a runtime key of its
// Envoy says, which its admin is told while somebody taps, and told to forget behind the last one.
class Taps {
 public:
  static constexpr std::size_t taps_max = 8;
  static constexpr double asked_per_second = 500;  // of all sidecars together, for one tap
  static constexpr std::uint32_t all = 1'000'000;
  static constexpr std::chrono::seconds leave_alone{30};  // who did not answer

  struct Parts {
    std::function<Status(const std::string& url)> post;  // of nothing
    std::function<std::vector<Proxy>()> proxies;
    const Clock& clock;
  };
  explicit Taps(Parts parts) : parts_(std::move(parts)) {}

  // resource_exhausted beyond taps_max.
  Result<std::shared_ptr<Tap>> open(TapWanted wanted, std::size_t per_second);
  void close(const std::shared_ptr<Tap>& tap);
  // Tells the sidecars what is wanted now, those that are new as well. Waits for them.
  struct Reached {
    std::size_t proxies = 0;
    std::vector<Proxy> out_of_reach = {};  // that should tell more, or less
  };
  Reached renew();
  // One that graymeshd meets: a graymeshd that was killed may have left it telling.
  void meet(const Proxy& proxy);

  bool any() const { return count_ > 0; }
  void record(const traffic::Teller& teller, const std::vector<traffic::Request>& requests);

 private:
  bool tell(const Proxy& proxy, std::uint32_t share);

  const Parts parts_;
  std::atomic<std::size_t> count_{0};
  std::mutex mutex_;
  std::vector<std::shared_ptr<Tap>> taps_;
  std::mutex telling_;
  std::map<std::string, std::uint32_t> told_;  // proxies and their share, if not 0
  std::map<std::string, Clock::Steady> silent_until_;
};

// Of a million: so many that some `asked_per_second` are told of these.
std::uint32_t share_for(double per_second);

}  // namespace graymesh::gather
