// Named, versioned, immutable bytes: what translate makes and xds moves.
//
// A resource is serialised once and its bytes are shared by every stream that needs them. Its
// version is a hash of those bytes, so it is the same on every replica and after every restart.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/pieces.h"

namespace graymesh::resource {

// In the order in which a proxy needs them. Their numbers are in the record's files: new ones go to
// the end.
enum class Type : std::uint8_t { cluster, endpoints, listener, route, virtual_host };
inline constexpr std::size_t type_count = 5;
inline constexpr std::array<Type, type_count> all_types = {
    Type::cluster, Type::endpoints, Type::listener, Type::route, Type::virtual_host};

// "type.googleapis.com/envoy.config.cluster.v3.Cluster"
std::string_view type_url(Type type);
// "CDS", "EDS", "LDS", "RDS", "VHDS"
std::string_view short_name(Type type);

// A virtual host is named TABLE/HOST, and HOST has no slash: of "8080/web.shop:8080" the table is
// the route configuration "8080".
std::string_view table_of(std::string_view virtual_host);

// Field order on the wire is free, so one buffer serves both protocols: `delta_frame()` is the
// field `resources` (2) of a DeltaDiscoveryResponse, whose message puts name (3) and version (1)
// first and the Any (2) last; that last field, tag and all, is just the field `resources` (2) of a
// DiscoveryResponse: `sotw_frame()`.
class Resource {
 public:
  // `body` is the serialised message of `type`. `origins` names the objects that it was made from,
  // most telling first ("VirtualService fe-pre/web"): a refusal is led back to them.
  Resource(Type type, std::string name, std::string_view body,
           std::vector<std::string> origins = {});

  Type type() const { return type_; }
  const std::string& name() const { return name_; }
  std::uint64_t name_hash() const { return name_hash_; }  // hash64()
  // Of a virtual host: that of its table's name; else 0.
  std::uint64_t table_hash() const { return table_hash_; }
  std::uint64_t version() const { return version_; }
  const std::string& version_text() const { return version_text_; }  // 16 hexadecimal digits
  std::string_view delta_frame() const { return frame_; }
  std::string_view sotw_frame() const { return std::string_view(frame_).substr(any_); }
  std::string_view body() const { return std::string_view(frame_).substr(body_); }
  const std::vector<std::string>& origins() const { return origins_; }

 private:
  Type type_;
  std::string name_;
  std::uint64_t name_hash_;
  std::uint64_t table_hash_;
  std::uint64_t version_;
  std::string version_text_;
  std::string frame_;
  std::size_t any_ = 0;
  std::size_t body_ = 0;
  std::vector<std::string> origins_;
};

using ResourcePtr = std::shared_ptr<const Resource>;

// Resources of one type, sorted by name, each name once. Equal pointers mean equal bytes. Sets that
// came of one another by with() share what did not change, and are compared by that.
class ResourceSet {
 public:
  ResourceSet() = default;
  explicit ResourceSet(
      std::vector<ResourcePtr> resources);  // sorts; of equal names the first stays

  const Pieces<ResourcePtr>& all() const { return resources_; }
  const ResourcePtr* find(std::string_view name) const;  // null if absent
  // The same, but for those of these names, which are all in it.
  std::shared_ptr<const ResourceSet> with(std::span<const ResourcePtr> resources) const;
  std::size_t size() const { return resources_.size(); }
  std::size_t bytes() const { return bytes_; }

 private:
  std::size_t place_of(std::string_view name) const;  // where it is, or would be

  Pieces<ResourcePtr> resources_;
  std::size_t bytes_ = 0;  // sum of bodies
};

using ResourceSetPtr = std::shared_ptr<const ResourceSet>;

// All that one proxy shall run. Sets are layers: what it shares with its scope (outbound), and what
// is its own (inbound). No name is in two layers of a type. Equal layer pointers mean equal
// content, so a stream compares pointers before it compares names.
class Config {
 public:
  std::uint64_t snapshot = 0;  // number of the Snapshot it was made from

  void add(Type type, ResourceSetPtr layer);  // behind those of that type
  std::span<const ResourceSetPtr> of(Type type) const {
    const auto i = static_cast<std::size_t>(type);
    return std::span(layers_).subspan(ends_[i], ends_[i + 1] - ends_[i]);
  }
  std::span<const ResourceSetPtr> all() const { return layers_; }
  const ResourcePtr* find(Type type, std::string_view name) const;

 private:
  // Of all types in one piece: one is made for each proxy and change.
  std::vector<ResourceSetPtr> layers_;
  std::array<std::size_t, type_count + 1> ends_{};  // where those of a type end, and before them 0
};

using ConfigPtr = std::shared_ptr<const Config>;

}  // namespace graymesh::resource
