#include "control/resource/resource.h"

#include <algorithm>

#include "base/hash.h"

namespace graymesh::resource {
namespace {

void append_varint(std::string& out, std::size_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>((value & 0x7f) | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

std::size_t varint_size(std::size_t value) {
  std::size_t size = 1;
  for (; value >= 0x80; value >>= 7) ++size;
  return size;
}

// Tag (wire type 2), length, bytes.
void append_field(std::string& out, int number, std::string_view bytes) {
  append_varint(out, static_cast<std::size_t>(number) << 3 | 2);
  append_varint(out, bytes.size());
  out.append(bytes);
}

std::size_t field_size(std::size_t bytes) { return 1 + varint_size(bytes) + bytes; }

}  // namespace

std::string_view type_url(Type type) {
  switch (type) {
    case Type::cluster:
      return "type.googleapis.com/envoy.config.cluster.v3.Cluster";
    case Type::endpoints:
      return "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";
    case Type::listener:
      return "type.googleapis.com/envoy.config.listener.v3.Listener";
    case Type::route:
      return "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";
    case Type::virtual_host:
      return "type.googleapis.com/envoy.config.route.v3.VirtualHost";
  }
  return {};
}

std::string_view short_name(Type type) {
  switch (type) {
    case Type::cluster:
      return "CDS";
    case Type::endpoints:
      return "EDS";
    case Type::listener:
      return "LDS";
    case Type::route:
      return "RDS";
    case Type::virtual_host:
      return "VHDS";
  }
  return {};
}

// As Envoy takes it apart, which looks for the last slash: a table of a socket has some itself.
std::string_view table_of(std::string_view virtual_host) {
  const auto slash = virtual_host.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : virtual_host.substr(0, slash);
}

Resource::Resource(Type type, std::string name, std::string_view body,
                   std::vector<std::string> origins)
    : type_(type),
      name_(std::move(name)),
      name_hash_(hash64(name_)),
      table_hash_(type == Type::virtual_host ? hash64(table_of(name_)) : 0),
      version_(hash64(body)),
      version_text_(to_hex(version_)),
      origins_(std::move(origins)) {
  // DeltaDiscoveryResponse.resources = 2; Resource.version = 1, .resource = 2, .name = 3;
  // Any.type_url = 1, .value = 2. All of these tags take one byte.
  const std::string_view url = type_url(type);
  const std::size_t any = field_size(url.size()) + field_size(body.size());
  const std::size_t message =
      field_size(name_.size()) + field_size(version_text_.size()) + field_size(any);
  frame_.reserve(field_size(message));
  append_varint(frame_, 2 << 3 | 2);
  append_varint(frame_, message);
  append_field(frame_, 3, name_);
  append_field(frame_, 1, version_text_);
  any_ = frame_.size();
  append_varint(frame_, 2 << 3 | 2);
  append_varint(frame_, any);
  append_field(frame_, 1, url);
  append_field(frame_, 2, body);
  body_ = frame_.size() - body.size();
}

ResourceSet::ResourceSet(std::vector<ResourcePtr> resources) {
  const auto by_name = [](const ResourcePtr& a, const ResourcePtr& b) {
    return a->name() < b->name();
  };
  if (!std::ranges::is_sorted(resources, by_name)) std::ranges::stable_sort(resources, by_name);
  const auto same = [](const ResourcePtr& a, const ResourcePtr& b) {
    return a->name() == b->name();
  };
  resources.erase(std::unique(resources.begin(), resources.end(), same), resources.end());
  for (const auto& resource : resources) bytes_ += resource->body().size();
  resources_ = Pieces<ResourcePtr>(std::move(resources));
}

// By hand: clang 14 cannot read the ranges of libstdc++ 12 that would say this.
std::size_t ResourceSet::place_of(std::string_view name) const {
  std::size_t from = 0, to = size();
  while (from < to) {
    const std::size_t middle = from + (to - from) / 2;
    if (resources_[middle]->name() < name)
      from = middle + 1;
    else
      to = middle;
  }
  return from;
}

const ResourcePtr* ResourceSet::find(std::string_view name) const {
  const std::size_t at = place_of(name);
  return at < size() && resources_[at]->name() == name ? &resources_[at] : nullptr;
}

std::shared_ptr<const ResourceSet> ResourceSet::with(std::span<const ResourcePtr> resources) const {
  auto next = std::make_shared<ResourceSet>();
  next->bytes_ = bytes_;
  std::vector<Pieces<ResourcePtr>::Change> changes;
  changes.reserve(resources.size());
  for (const auto& resource : resources) {
    const std::size_t at = place_of(resource->name());
    next->bytes_ += resource->body().size();
    next->bytes_ -= resources_[at]->body().size();
    changes.emplace_back(at, resource);
  }
  next->resources_ = resources_.with(changes);
  return next;
}

void Config::add(Type type, ResourceSetPtr layer) {
  constexpr std::size_t usual_max = 8;
  if (layers_.empty()) layers_.reserve(usual_max);
  const std::size_t end = static_cast<std::size_t>(type) + 1;
  layers_.insert(layers_.begin() + static_cast<std::ptrdiff_t>(ends_[end]), std::move(layer));
  for (std::size_t i = end; i < ends_.size(); ++i) ++ends_[i];
}

const ResourcePtr* Config::find(Type type, std::string_view name) const {
  for (const auto& layer : of(type)) {
    if (const auto* found = layer->find(name)) return found;
  }
  return nullptr;
}

}  // namespace graymesh::resource
