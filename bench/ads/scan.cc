#include "bench/ads/scan.h"

#include <algorithm>
#include <array>

#include "base/fields.h"

namespace graymesh::ads {
namespace {

constexpr std::array<std::string_view, type_count> urls = {
    "type.googleapis.com/envoy.config.cluster.v3.Cluster",
    "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
    "type.googleapis.com/envoy.config.listener.v3.Listener",
    "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
    "type.googleapis.com/envoy.config.route.v3.VirtualHost",
    ""};
constexpr std::array<std::string_view, type_count> names = {"CDS", "EDS",  "LDS",
                                                            "RDS", "VHDS", "other"};
// Of a name, a cluster, a listener: nobody sends longer ones.
constexpr std::uint64_t capture_max = 16u << 20;

}  // namespace

Type type_of(std::string_view url) {
  const auto found = std::ranges::find(urls.begin(), urls.end() - 1, url);
  return static_cast<Type>(found - urls.begin());
}
std::string_view url_of(Type type) { return urls[static_cast<std::size_t>(type)]; }
std::string_view short_name(Type type) { return names[static_cast<std::size_t>(type)]; }

void Scanner::begin(std::uint64_t length) {
  state_ = State::tag;
  open_.clear();
  offset_ = value_ = shift_ = 0;
  hashing_ = false;
  type_url_.clear();
  nonce_.clear();
  version_.clear();
  if (length > 0) open_.push_back({Kind::response, length});
}

bool Scanner::fail() {
  state_ = State::broken;
  return false;
}

// Adds a byte to the number under way; true when it is whole.
bool Scanner::number(std::uint8_t byte) {
  if (shift_ > 63) return fail();
  value_ |= static_cast<std::uint64_t>(byte & 0x7f) << shift_;
  shift_ += 7;
  return (byte & 0x80) == 0;
}

bool Scanner::feed(std::string_view bytes, Heard& heard) {
  std::size_t hashed = 0;  // bytes of this piece
  std::size_t at = 0;
  const auto hash_up_to = [&](std::size_t end) {
    if (hashing_) XXH64_update(&hasher_, bytes.data() + hashed, end - hashed);
    hashed = end;
  };
  while (at < bytes.size() && state_ != State::broken) {
    if (open_.empty()) return fail();
    const bool was_hashing = hashing_;
    if (state_ == State::payload) {
      const auto part = std::min<std::uint64_t>(payload_end_ - offset_, bytes.size() - at);
      if (into_) into_->append(bytes, at, part);
      at += part;
      offset_ += part;
      if (offset_ < payload_end_) break;
      payload_read(heard);
    } else {
      if (offset_++ >= open_.back().end) return fail();
      if (!number(static_cast<std::uint8_t>(bytes[at++]))) continue;
      if (state_ == State::tag)
        tag_read();
      else if (state_ == State::length)
        length_read();
      else
        state_ = State::tag;
      value_ = shift_ = 0;
      if (state_ == State::payload && offset_ == payload_end_) payload_read(heard);
    }
    if (!was_hashing && hashing_) hashed = at;
    if (state_ != State::tag || open_.empty() || offset_ < open_.back().end) continue;
    if (hashing_) {
      hash_up_to(at);
      hash_ = XXH64_digest(&hasher_);
      hashing_ = false;
    }
    leave(heard);
  }
  hash_up_to(at);
  return state_ != State::broken;
}

void Scanner::tag_read() {
  field_ = value_ >> 3;
  into_ = nullptr;
  switch (value_ & 7) {
    case 0:
      state_ = State::number;
      return;
    case 2:
      state_ = State::length;
      return;
    case 1:
    case 5:
      state_ = State::payload;
      payload_end_ = offset_ + ((value_ & 7) == 1 ? 8 : 4);
      if (payload_end_ > open_.back().end) fail();
      return;
    default:
      fail();
  }
}

void Scanner::length_read() {
  if (value_ > open_.back().end - offset_) return void(fail());
  state_ = State::payload;
  payload_end_ = offset_ + value_;
  switch (open_.back().kind) {
    case Kind::response:
      return field_of_response();
    case Kind::resource:
      return field_of_resource();
    case Kind::any:
      if (field_ == 1) capture(any_url_);
      if (field_ == 2) value_of_any();
      return;
    case Kind::body:
      return field_of_body();
  }
}

void Scanner::field_of_response() {
  if (field_ == 2) {
    for (auto* text : {&name_, &resource_version_, &any_url_, &body_}) text->clear();
    hash_ = 0;
    type_ = Type::other;
    has_endpoints_ = has_vhds_ = false;
    enter(delta_ ? Kind::resource : Kind::any);
  }
  if (field_ == 4) capture(type_url_);
  if (field_ == 5) capture(nonce_);
  if (delta_ && field_ == 6) capture(removed_);
  if (!delta_ && field_ == 1) capture(version_);
}

void Scanner::field_of_resource() {
  if (field_ == 1) capture(resource_version_);
  if (field_ == 3) capture(name_);
  if (field_ == 2) enter(Kind::any);
}

void Scanner::value_of_any() {
  type_ = type_of(any_url_);
  if (type_ == Type::cluster || type_ == Type::listener) return capture(body_);
  XXH64_reset(&hasher_, 0);
  hashing_ = true;
  enter(Kind::body);
}

void Scanner::field_of_body() {
  if (field_ == 1 && !delta_) capture(name_);
  if (type_ == Type::endpoints && field_ == 2 && value_ > 0) has_endpoints_ = true;
  if (type_ == Type::route && field_ == 9) has_vhds_ = true;
}

void Scanner::enter(Kind kind) {
  open_.push_back({kind, payload_end_});
  state_ = State::tag;
}

void Scanner::capture(std::string& into) {
  if (value_ > capture_max) return void(fail());
  into.clear();
  into_ = &into;
}

void Scanner::payload_read(Heard& heard) {
  state_ = State::tag;
  if (into_ == &removed_) heard.removed(removed_);
  if (into_ == &body_) {
    hash_ = XXH64(body_.data(), body_.size(), 0);
    if (!delta_) name_ = field_of(body_, 1);
  }
}

void Scanner::leave(Heard& heard) {
  while (!open_.empty() && offset_ == open_.back().end) {
    const Kind kind = open_.back().kind;
    open_.pop_back();
    if (kind == (delta_ ? Kind::resource : Kind::any)) emit(heard);
  }
}

void Scanner::emit(Heard& heard) {
  heard.resource({.type = type_,
                  .name = name_,
                  .version = resource_version_,
                  .body = body_,
                  .hash = hash_,
                  .empty = !has_endpoints_,
                  .vhds = has_vhds_});
}

std::string_view endpoints_of(std::string_view cluster) {
  std::string_view name, config;
  std::uint64_t discovery = 0;
  (void)each_field(cluster, [&](const Field& field) {
    if (field.number == 1) name = field.bytes;
    if (field.number == 2) discovery = field.value;
    if (field.number == 3) config = field.bytes;
  });
  constexpr std::uint64_t eds = 3;  // Cluster.DiscoveryType
  if (discovery != eds) return {};
  const std::string_view other = field_of(config, 2);
  return other.empty() ? name : other;
}

std::vector<std::string_view> tables_of(std::string_view listener) {
  std::vector<std::string_view> tables;
  (void)each_field(listener, [&](const Field& chain) {
    if (chain.number != 3 && chain.number != 25) return;  // filter_chains, default_filter_chain
    (void)each_field(chain.bytes, [&](const Field& filter) {
      if (filter.number != 3) return;
      const std::string_view config = field_of(filter.bytes, 4);
      if (!field_of(config, 1).ends_with(".HttpConnectionManager")) return;
      const std::string_view table = field_of(field_of(field_of(config, 2), 3), 2);
      if (!table.empty()) tables.push_back(table);
    });
  });
  return tables;
}

}  // namespace graymesh::ads
