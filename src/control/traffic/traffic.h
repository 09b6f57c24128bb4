// How lanes are carried on: what proxies tell of requests (Envoy's access log service, asked for by
// translate/lane_log.cc), read and counted in a small table.
//
//   Envoy ══ StreamAccessLogs ══> Receiver ─> Reader ─┬─> Table <── report() <── api
//                                                     └─> Listener, if there is one
//
// Only requests of known lanes at known applications count, so that nobody who invents names can
// make the table grow. Who tells is believed: a proxy is whom its node says it is, as in xds.
#pragma once

#include <array>
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
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "control/rpc/rpc.h"
#include "metrics/metrics.h"

namespace graymesh::traffic {

// What brought the lane into a call.
enum class Carrier : std::uint8_t {
  header,   // the application sent it
  stamp,    // the sidecar of a gray instance added it
  baggage,  // the application sent W3C baggage that names it, and no header
  match,    // a route's own match set it
};
inline constexpr std::size_t carrier_count = 4;
std::string_view name_of(Carrier carrier);

// A version of an application.
struct Who {
  std::string namespace_ = {}, application = {};
  std::string tag = {};       // empty: the baseline
  std::string revision = {};  // label graymesh.io/revision

  auto operator<=>(const Who&) const = default;
};

// What only those who tap want to know of a request.
struct Details {
  Clock::Wall at{};  // when it began
  std::string method = {}, authority = {}, path = {};
  std::string upstream = {};  // "127.1.2.3:8080"; empty: it was answered by the proxy itself
  std::string flags = {};     // Envoy's response flags, "UF,URX"
  std::uint64_t received = 0, sent = 0;  // bytes of bodies
};

// One request, as a proxy tells it.
struct Request {
  std::string lane = {};  // empty: none
  Carrier carrier = Carrier::header;
  std::string to = {};       // the service called, "cart.fe-pre"; empty: none of the mesh
  std::string id = {};       // x-request-id
  std::string cluster = {};  // that it was routed to; empty: to none
  std::uint16_t code = 0;    // 0: the caller went away
  double ms = 0;             // until its last byte was sent
  std::string trace = {};    // id of its trace, if that is sampled
  std::optional<Details> details = {};
};

// Who tells, and of which side of it.
struct Teller {
  enum class Side : std::uint8_t { inbound, outbound, gateway };
  Who who = {};
  std::string proxy = {};    // node id
  std::string version = {};  // label version
  Side side = Side::inbound;
  bool stamped = false;
};

// Messages of one stream, in their order.
class Reader {
 public:
  static constexpr std::size_t message_bytes_max = std::size_t{4} << 20;  // Envoy sends some 16 KB

  // The header that names a lane, in lower case.
  explicit Reader(std::string lane_header) : lane_header_(std::move(lane_header)) {}
  // invalid_argument ends the stream: no message, too large, or the first one names nobody.
  Result<std::vector<Request>> read(std::string_view bytes, bool details = false);
  const Teller& teller() const { return *teller_; }  // after the first message that was read

 private:
  std::string lane_header_;
  std::optional<Teller> teller_;
};

// What one version of an application did with the requests of one lane.
struct Passed {
  std::uint64_t received = 0;
  // Calls that had the lane, by carrier; by the service called.
  std::map<std::string, std::array<std::uint64_t, carrier_count>> calls = {};
  // Calls without a lane that had the x-request-id of a request in the lane; by the service called.
  std::map<std::string, std::uint64_t> lost = {};
};

struct Report {
  Clock::Wall from{};  // counts begin here
  std::optional<Clock::Wall> last = {};
  std::map<Who, Passed> passed = {};
  // Of those in `passed`: calls without a lane, by the service called. A share of them is told.
  std::map<Who, std::map<std::string, std::uint64_t>> others = {};
};

using Name = std::pair<std::string, std::string>;  // namespace, name

struct Known {
  std::set<Name> lanes = {}, applications = {};
  bool operator==(const Known&) const = default;
};

// How long logged calls took, by who was called, each bucket with the trace of one of them.
class Latencies {
 public:
  static constexpr std::array<double, 6> bounds{0.01, 0.05, 0.1, 0.5, 1, 5};  // seconds
  static constexpr std::size_t rows_max = 1'000;  // some 1 kB each, and of a page
  static constexpr std::chrono::hours kept{1};    // of a service that nobody calls

  struct Called {
    std::string namespace_ = {}, service = {};
    std::string lane = {};  // of the request; empty: none
    auto operator<=>(const Called&) const = default;
  };
  void record(const Called& called, const Request& request, Clock::Wall now);
  // A histogram as Prometheus reads it; traces, as exemplars, are for the OpenMetrics format alone.
  std::string page(bool exemplars, Clock::Wall now) const;

 private:
  struct Trace {
    std::string id = {};
    double seconds = 0;
    Clock::Wall at{};
  };
  struct Row {
    std::array<std::uint64_t, bounds.size() + 1> counts = {};
    std::array<Trace, bounds.size() + 1> traces = {};  // the newest
    double sum = 0;
    Clock::Wall last{};
  };
  static constexpr std::chrono::minutes look_again{1};  // for rows that nobody needs
  Row* row(const Called& called, Clock::Wall now);
  std::map<Called, Row> rows_;
  Clock::Wall looked_{};
};

// Any thread.
class Table {
 public:
  // Counts are of the last one to two of these.
  static constexpr std::chrono::hours window{1};
  static constexpr std::size_t rows_max = 50'000;  // of one window
  static constexpr std::size_t ids_max = 16'384;   // requests remembered by their id, of each kind

  // `clock` outlives the table.
  explicit Table(const Clock& clock) : clock_(clock), since_(clock.wall()), began_(since_) {}

  void know(Known known);  // what counts from now on; what is not in it is forgotten
  struct Counts {
    std::uint64_t in_lanes = 0, others = 0;
    std::uint64_t unknown = 0;  // lanes and applications that nobody declared
    std::uint64_t full = 0;     // rows not made: rows_max
  };
  Counts record(const Teller& teller, const std::vector<Request>& requests);

  Report report(const Name& lane) const;
  // Of calls in declared lanes, and of the share of the others that is told.
  std::string latencies(bool exemplars) const;
  // The newest request of a lane; none: not one since since().
  std::optional<Clock::Wall> last(const Name& lane) const;
  Clock::Wall since() const { return since_; }
  bool knows(const Name& lane) const;

 private:
  struct Window {
    std::map<Name, std::map<Who, Passed>> lanes = {};
    std::map<Who, std::map<std::string, std::uint64_t>> others = {};
    std::size_t rows = 0;
  };
  // The newest `ids_max` of what was put in.
  template <typename Value>
  struct Recent {
    std::unordered_map<std::uint64_t, Value> by_id = {};
    std::deque<std::uint64_t> order = {};
    void put(std::uint64_t id, Value value);
  };

  void turn_locked();
  void record_locked(const Teller& teller, const Request& request);
  void time_locked(const Teller& teller, const Request& request);
  void record_lane_locked(const Teller& teller, const Request& request, const Name& lane);
  void record_other_locked(const Teller& teller, const Request& request);
  void lost_locked(const Who& who, const std::string& tag, const std::string& to);
  Passed* passed_locked(const Name& lane, const Who& who);
  template <typename Map>
  typename Map::mapped_type* row_locked(Map& map, const typename Map::key_type& key);

  const Clock& clock_;
  const Clock::Wall since_;
  mutable std::mutex mutex_;
  Clock::Wall began_;  // of now_
  Window now_, before_;
  Known known_;
  std::map<Name, Clock::Wall> last_;
  Recent<std::string> in_lane_;  // lanes of requests that came in
  Recent<std::string> without_;  // services that were called without a lane
  Latencies latencies_;
  Counts counts_;  // of the record() that is under way
};

// Who else hears of requests, from any thread and often.
struct Listener {
  std::function<bool()> wants_details = [] { return false; };
  std::function<void(const Teller&, const std::vector<Request>&)> told =
      [](const Teller&, const std::vector<Request>&) {};
};

// Takes the streams; xds::ServerOptions::methods leads them here.
class Receiver {
 public:
  static constexpr const char* method =
      "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs";

  // `table` and `metrics` outlive it; it outlives the server.
  Receiver(Table& table, std::string lane_header, metrics::Registry& metrics,
           Listener listener = {});
  ~Receiver();  // stop()
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;

  std::shared_ptr<rpc::Reactor> open(rpc::CallPtr call);
  void stop();  // ends all streams, and those to come, and waits for them

 private:
  class Stream;
  struct Shared;
  std::unique_ptr<Shared> shared_;
};

}  // namespace graymesh::traffic
