// What every object has: its kind, its name, and where it was read.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace graymesh::model {

using Duration = std::chrono::nanoseconds;
using Labels = std::map<std::string, std::string, std::less<>>;

enum class Kind : std::uint8_t {
  namespace_,
  node,
  pod,
  service,
  endpoint_slice,  // also Kubernetes Endpoints, read as a slice of their own
  virtual_service,
  destination_rule,
  service_entry,
  workload_entry,
  gateway,
  sidecar,
  unsupported,  // Istio's kinds that are named and have no effect yet: AuthorizationPolicy...
  application,
  gray_release,
  lane,
  environment,
};

// As users write it: "VirtualService".
std::string_view name_of(Kind kind);

// Names an object: one per (kind, namespace, name). Cluster-wide objects have an empty namespace.
// Endpoints and EndpointSlices share a kind but not their names: an Endpoints `web` is the slice
// `web` with `api_kind` "Endpoints", and its Key's name is "endpoints/web". All unsupported kinds
// are one: the AuthorizationPolicy `deny` is "AuthorizationPolicy/deny".
struct Key {
  Kind kind = Kind::namespace_;
  std::string namespace_;
  std::string name;

  auto operator<=>(const Key&) const = default;
};

// As they are written: "VirtualService", "web"; "Endpoints", "web"; "AuthorizationPolicy", "deny".
std::pair<std::string_view, std::string_view> kind_and_name(const Key& key);

// "VirtualService fe-pre/web"; "Node n1" for cluster-wide objects.
std::string to_string(const Key& key);

struct Position {
  std::string file;  // as given to the reader; empty if not from a file
  int line = 0;      // 1-based line of the document's first key

  auto operator<=>(const Position&) const = default;
};

struct Meta {
  Key key;
  std::string api_version;  // as written: "networking.istio.io/v1beta1"
  std::string api_kind;     // as written: "Endpoints"
  Labels labels;
  Labels annotations;
  // Seconds since 1970, UTC; 0 if not given. Istio orders conflicting objects by age, then by name.
  std::int64_t created = 0;
  Position position;
  // Hash of the document's text: the revision shown to users, and how a change is noticed.
  std::uint64_t content = 0;

  bool operator==(const Meta&) const = default;
};

// One thing wrong with, or not supported in, one document. to_string gives
// `orders.yaml:41 VirtualService default/orders: http[2].route[0].weight 130, must be 0 to 100`.
struct Problem {
  enum class Severity : std::uint8_t {
    error,    // the object is refused
    warning,  // the object is used, but this field has no effect (not supported yet) or is unwise
  };
  Severity severity = Severity::error;
  Position position;   // the line of the field itself
  std::string object;  // "VirtualService default/orders"; empty where the kind was not readable
  std::string field;   // "http[2].route[0].weight"; empty for the whole document
  std::string value;   // as written, shortened to 64 bytes; empty for missing or composite values
  std::string rule;    // "must be 0 to 100"

  bool operator==(const Problem&) const = default;
};

std::string to_string(const Problem& problem);

}  // namespace graymesh::model
