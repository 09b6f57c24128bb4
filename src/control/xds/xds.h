// The ADS server: streams of delta and state-of-the-world xDS v3, subscriptions, versions, and the
// record of which proxy ACKed or refused what. It moves named, versioned bytes and does not know
// what a route is.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "control/resource/node.h"
#include "control/resource/resource.h"
#include "control/resource/witness.h"
#include "control/rpc/rpc.h"
#include "metrics/metrics.h"

namespace graymesh::xds {

// Where a stream's configuration comes from. Called from the server's threads, often: answers from
// what is already computed for the node's scope, computing at most once per scope and snapshot.
class ConfigSource {
 public:
  virtual ~ConfigSource() = default;
  // Null: nothing to serve yet (no snapshot); the stream waits for the next publish(). `kept` is
  // one stream's, null at first: whatever the source likes to remember of its node.
  virtual resource::ConfigPtr config_for(const resource::Node& node,
                                         std::shared_ptr<void>& kept) = 0;
  // The same where that takes no time, as all of it was asked for before; else null.
  virtual resource::ConfigPtr config_at_hand(const resource::Node&, std::shared_ptr<void>&) {
    return nullptr;
  }
};

// How one type stands on one stream.
struct TypeStatus {
  enum class State : std::uint8_t {
    not_subscribed,
    never_sent,  // subscribed, nothing to send yet
    stale,       // sent, not yet ACKed
    synced,      // all that was sent is ACKed
    refused,     // a NACK stands: the proxy does not run all that it was sent
  };
  resource::Type type = resource::Type::cluster;
  State state = State::not_subscribed;
  std::size_t resources = 0;  // that the proxy holds or was sent
  std::uint64_t sent = 0;     // responses
  std::uint64_t acked = 0;
  std::uint64_t nacked = 0;
  std::uint64_t bytes = 0;  // of responses
  Clock::Wall since{};      // when `state` began
  std::size_t chunk = 0;    // resources that one response may have now; 0: all
  // Learnt: how long the proxy takes to apply one; of clusters, with their endpoints. 0: unknown.
  std::chrono::nanoseconds apply_each{};
};

// A refused resource: kept until the proxy accepts another version of it or leaves.
struct Refusal {
  resource::Type type = resource::Type::cluster;
  std::string resource{};  // empty if the proxy's words name none of those sent
  std::string version{};
  std::string error{};                 // the proxy's words
  std::vector<std::string> origins{};  // "VirtualService fe-pre/web"
  Clock::Wall at{};
};

// A stream that we ended, as it was hopeless.
struct Dropped {
  std::string node_id{};  // empty: it had not said who it is
  std::string peer{};
  Clock::Wall at{};
  std::string reason{};  // "silent", "reads_nothing", "answers_nothing"
  std::string text{};    // "it has read nothing for 20 s"
};

// What a stream is in line for: to be let in, as it came cold; or for the turn of its response.
enum class Waits : std::uint8_t { nothing, admission, turn };

struct ProxyStatus {
  resource::Node node;
  std::string peer;  // "ipv4:127.0.0.1:41234"
  bool delta = false;
  Clock::Wall connected{};
  std::uint64_t snapshot = 0;  // newest Snapshot all of whose changes for this proxy are ACKed
  Waits waits = Waits::nothing;
  std::vector<TypeStatus> types;  // of each; virtual hosts only where the proxy takes them
  std::vector<Refusal> refusals;
};

// How far one proxy is: what receipts are made of.
struct Reach {
  std::string node_id{};
  std::string address{};        // of its instance
  std::uint64_t snapshot = 0;   // as ProxyStatus has it
  Clock::Wall at{};             // when it reached that
  bool refuses = false;         // a NACK stands
  bool takes_lane_log = false;  // as resource::Node has it
};

// A change: the number of the first Snapshot that has it, and when it was written.
struct Written {
  std::uint64_t snapshot = 0;
  Clock::Steady at{};
};

struct ServerOptions {
  std::string address = "127.0.0.1:15010";  // port 0: a free one
  // A response is cut into chunks of at most this many resources, each awaiting its ACK, so that a
  // proxy's main thread is not held for long: 200 keep Envoy's /ready under 0.2 s (docs/envoy.md
  // 6).
  std::size_t chunk_resources_max = 200;
  // And of at most this many bytes (a single resource may be larger, and virtual hosts come all
  // together). Of each type one is in flight: what one delta proxy is sent and has not answered is
  // 4 MiB at most, and its routes.
  std::size_t chunk_bytes_max = 1u << 20;
  // A proxy that was found to take longer than this over a chunk is sent smaller ones, down to an
  // eighth. A kubelet's probe waits 1 s by default, and may come at any time: a quarter of it.
  std::chrono::milliseconds chunk_hold_max{250};
  // Of all streams together, sent and not yet answered; who would go beyond waits for its turn.
  // Streams of one scope share their bytes, so it is the kernel's buffers that this bounds: 430
  // chunks of 200 clusters (150 kB).
  std::size_t push_bytes_max = 64u << 20;
  // What proxies that are let in cold are still owed, together; the others wait in order, and
  // those that come back with what they hold pass.
  std::size_t cold_bytes_max = 1u << 30;
  // Streams whose first requests are read and compared at a time, however many come back at once:
  // each names all it holds, 0.7 MB at 3,360 clusters. Enough to keep a few cores busy. The first
  // short request gives the place up; so does the patience.
  std::size_t reception_max = 16;
  std::chrono::milliseconds reception_patience{1'000};
  // Streams, at most: one more is told to come back later. A stream takes some 50 kB.
  std::size_t streams_max = 20'000;
  // What is not answered for so long takes nobody's turn any more. Many times what a chunk takes.
  std::chrono::milliseconds slow_after{5'000};
  // A stream that reads nothing for so long is ended; so is one that doesn't answer. Envoy's ACK of
  // clusters may wait for its initial_fetch_timeout (15 s by default): twenty times that.
  std::chrono::milliseconds write_max{20'000};
  std::chrono::milliseconds answer_max{300'000};
  std::size_t request_bytes_max =
      16u << 20;  // a reconnecting proxy names all it holds: 0.7 MB at 3,360 clusters
  // Requests of one connection that are on their way in, together: four of full length.
  std::size_t connection_bytes_max = 64u << 20;
  // Of one type on one stream; more end it. 10,000 services of five subsets are 60,000 clusters.
  std::size_t names_max = 250'000;
  // A proxy that has a response of endpoints on its way, and need be told nothing else before it
  // ACKs that, is told with the ACK what has come meanwhile: all of it at once, asked for once. For
  // so long at most: many times what a proxy takes that is not busy.
  std::chrono::milliseconds put_off_max{100};
  // How long routes wait for a proxy that doesn't ACK the clusters which they need. Envoy holds its
  // ACK back while a cluster warms: 15 s at most by default.
  std::chrono::milliseconds hold_max{15'000};
  // A dead peer is found in some 4 s: who has said nothing for so long is pinged. Not sooner, as an
  // Envoy answers pings on the thread that applies what it is sent: a busy machine must not look
  // like a dead one.
  std::chrono::milliseconds ping_every{1000};
  std::chrono::milliseconds ping_timeout{3000};
  // Called after reached() has changed, from any of the server's threads and often: it must return
  // at once, and ask the server nothing.
  std::function<void()> on_reach{};
  // Is told of everything that happens on streams; null: nobody. Outlives the server.
  resource::Witness* witness = nullptr;
  // A stream was ended by us. From any thread; ask the server nothing.
  std::function<void(const Dropped&)> on_drop{};
  // What else is served on the same port, by its path "/package.Service/Method".
  std::map<std::string, rpc::Taker> methods{};
};

class Server {
 public:
  // Listens at once. `source`, `metrics` and `clock` outlive the server.
  static Result<std::unique_ptr<Server>> start(const ServerOptions& options, ConfigSource& source,
                                               metrics::Registry& metrics, const Clock& clock);
  virtual ~Server() = default;  // closes every stream (UNAVAILABLE) and waits for the threads

  virtual int port() const = 0;

  // config_for may answer otherwise from now on: every stream looks again. Any thread. None: what
  // it answers was written now, and how long it takes to be everywhere is not counted.
  virtual void publish(std::optional<Written> change = {}) = 0;

  // Sorted by node id. A proxy with two streams is there twice.
  virtual std::vector<ProxyStatus> status() const = 0;

  // The last of the streams that we ended, oldest first: 64 at most.
  virtual std::vector<Dropped> dropped() const = 0;

  // Of every connected proxy, in no order.
  virtual std::vector<Reach> reached() const = 0;

  // What the proxy was sent and has ACKed: versions by type and name; null if it isn't connected.
  virtual resource::ConfigPtr config_of(const std::string& node_id) const = 0;

  // Has the witness told what each connected proxy holds; not from one of its calls.
  virtual void recap() = 0;
};

}  // namespace graymesh::xds
