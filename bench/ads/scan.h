// Reads discovery responses as they come off the wire, without building them: names, versions and
// a hash of each resource's bytes are taken, clusters and listeners (small) are kept whole for
// what they lead on to, all else is passed over. So a stream costs its client little more than the
// kernel's copy, and a route table of a megabyte is never held.
//
//   DeltaDiscoveryResponse ──> Resource ──> Any ──> the message itself
//   DiscoveryResponse ───────────────────> Any ──> the message itself
//
// A stack of the messages that are open, each with the offset where it ends; fields of interest
// are entered or captured, others skipped. Bytes come in pieces of any size.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bench/ads/hash.h"

namespace graymesh::ads {

enum class Type : std::uint8_t { cluster, endpoints, listener, route, virtual_host, other };
inline constexpr std::size_t type_count = 6;

Type type_of(std::string_view url);
std::string_view url_of(Type type);
std::string_view short_name(Type type);  // "CDS"

// One resource of a response; its views hold until the scanner is fed again.
struct Seen {
  Type type = Type::other;
  std::string_view name{}, version{};  // of state of the world: no version
  std::string_view body{};             // of clusters and listeners
  std::uint64_t hash = 0;              // of the message's bytes
  bool empty = true;                   // of endpoints: there are none
  bool vhds = false;                   // of route tables: their hosts come one by one
};

class Heard {
 public:
  virtual ~Heard() = default;
  virtual void resource(const Seen& seen) = 0;
  virtual void removed(std::string_view name) = 0;
};

class Scanner {
 public:
  explicit Scanner(bool delta) : delta_(delta) {}

  void begin(std::uint64_t length);  // of the next response
  // False: these are not the bytes of a response; it stays false until begin().
  bool feed(std::string_view bytes, Heard& heard);
  bool done() const { return open_.empty() && state_ == State::tag; }

  const std::string& type_url() const { return type_url_; }
  const std::string& nonce() const { return nonce_; }
  const std::string& version() const { return version_; }

 private:
  enum class Kind : std::uint8_t { response, resource, any, body };
  enum class State : std::uint8_t { tag, number, length, payload, broken };
  struct Open {
    Kind kind;
    std::uint64_t end;
  };
  bool number(std::uint8_t byte);
  void tag_read();
  void length_read();
  void field_of_response();
  void field_of_resource();
  void value_of_any();
  void field_of_body();
  void capture(std::string& into);
  void enter(Kind kind);
  void payload_read(Heard& heard);
  void leave(Heard& heard);  // what ends here
  void emit(Heard& heard);
  bool fail();

  bool delta_;
  State state_ = State::tag;
  std::vector<Open> open_;
  std::uint64_t offset_ = 0;
  std::uint64_t value_ = 0;
  unsigned shift_ = 0;
  std::uint64_t field_ = 0;
  std::uint64_t payload_end_ = 0;
  std::string* into_ = nullptr;  // where the payload goes; null: it is skipped

  std::string type_url_, nonce_, version_, removed_;
  std::string name_, resource_version_, any_url_, body_;
  Type type_ = Type::other;
  bool has_endpoints_ = false, has_vhds_ = false;
  bool hashing_ = false;  // a message that is entered; one that is kept is hashed at its end
  std::uint64_t hash_ = 0;
  XXH64_state_t hasher_;
};

// The name of the endpoints that this cluster asks for; empty: it needs none.
std::string_view endpoints_of(std::string_view cluster);
// The route tables that this listener asks for.
std::vector<std::string_view> tables_of(std::string_view listener);

}  // namespace graymesh::ads
