// One sidecar as the control plane sees it, without the wire: bytes of responses in, requests out.
//
// It does what Envoy does, and nothing of what Envoy does with it. Clusters are subscribed to all
// at once; the endpoints that they name by name; their ACK is held back until the endpoints of
// every cluster that is new or changed have come (warming). The first clusters warm, it asks for
// all listeners, then for the route tables that these name, and for virtual hosts if a table says
// so. When it comes back it names all that it holds.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "bench/ads/names.h"
#include "bench/ads/node.h"
#include "bench/ads/scan.h"
#include "bench/ads/watch.h"

namespace graymesh::ads {

struct Counts {
  std::uint64_t messages = 0, bytes = 0, acks = 0;
  std::uint64_t resources = 0, removed = 0;
  std::uint64_t resent = 0;   // resources that it held just so, and that no cluster waited for
  std::uint64_t emptied = 0;  // endpoints that became none
  std::uint64_t late = 0;     // of clusters: endpoints that did not come within 15 s
};
using CountsByType = std::array<Counts, type_count>;

class Proxy final : private Heard {
 public:
  Proxy(const Node& node, bool delta, Texts& texts, Watch& watch);

  void connected();  // a new stream: the first requests
  void forget();     // it was started anew, and holds nothing
  // What came on the stream. False: it makes no sense, end it.
  bool hear(std::string_view bytes, std::int64_t now);
  // What is to be sent, gRPC's frames; taken by the caller.
  std::string& outbox() { return outbox_; }
  bool delta() const { return delta_; }

  // It has all that it asked for. It stays so until the next stream.
  bool synced() const { return synced_at_ != 0; }
  std::int64_t synced_at() const { return synced_at_; }
  bool heard_any() const { return heard_any_; }  // on this stream
  // Ends waiting for endpoints that do not come.
  void look(std::int64_t now);
  bool warming() const { return warming_ > 0; }

  CountsByType& counts() { return counts_; }
  std::size_t held(Type type) const { return tables_[index(type)].size(); }

 private:
  struct Channel {
    bool subscribed = false, heard = false;
    std::string nonce{}, version{};
    std::vector<std::uint32_t> subscribe{}, unsubscribe{};  // not yet said
  };
  static std::size_t index(Type type) { return static_cast<std::size_t>(type); }
  Channel& of(Type type) { return channels_[index(type)]; }
  Table& table(Type type) { return tables_[index(type)]; }

  void resource(const Seen& seen) override;
  void removed(std::string_view name) override;
  void cluster(const Seen& seen, Entry& entry, bool same);
  void listener(const Seen& seen, std::uint32_t name);
  void gone(Type type, std::uint32_t name);
  void want(Type type, std::uint32_t name);
  void want_no_more(Type type, std::uint32_t name);
  void warm_no_more(Entry& endpoints);
  void message_read(std::int64_t now);
  void drop_what_is_not_fresh(Type type);
  void ask(Type type, bool ack);
  void ask_delta(Type type, bool ack, std::string& request);
  void ask_sotw(Type type, bool ack, std::string& request);
  void subscribe_first(Type type);
  bool complete();

  const Node* node_;
  bool delta_;
  Texts* texts_;
  Watch* watch_;
  Watcher watcher_;
  Scanner scanner_;
  std::string prefix_;  // of a gRPC frame
  std::uint64_t left_ = 0;
  std::uint64_t length_ = 0;
  bool in_message_ = false;

  std::string outbox_;
  std::vector<std::string> removed_;  // by the response that is being read, whose type comes last
  bool node_said_ = false, heard_any_ = false;
  std::array<Channel, type_count> channels_;
  std::array<Table, type_count> tables_;
  std::map<std::uint32_t, std::vector<std::uint32_t>> listeners_;  // the tables that each names
  std::size_t warming_ = 0;
  std::int64_t warming_since_ = 0, now_ = 0;
  bool ack_held_ = false;  // of clusters
  std::size_t tables_missing_ = 0;
  bool with_hosts_ = false;  // a table says that virtual hosts come one by one
  std::int64_t synced_at_ = 0;
  CountsByType counts_{};
};

}  // namespace graymesh::ads
