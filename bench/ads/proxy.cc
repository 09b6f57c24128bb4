#include "bench/ads/proxy.h"

#include <algorithm>
#include <utility>

#include "base/fields.h"

namespace graymesh::ads {
namespace {

constexpr std::int64_t warming_max = 15'000'000'000;  // ns; Envoy's initial_fetch_timeout

}  // namespace

Proxy::Proxy(const Node& node, bool delta, Texts& texts, Watch& watch)
    : node_(&node), delta_(delta), texts_(&texts), watch_(&watch), scanner_(delta) {}

void Proxy::connected() {
  outbox_.clear();
  prefix_.clear();
  in_message_ = node_said_ = heard_any_ = ack_held_ = false;
  synced_at_ = 0;
  for (auto& channel : channels_) {
    channel.nonce.clear();
    channel.heard = false;
    channel.subscribe.clear();
    channel.unsubscribe.clear();
  }
  removed_.clear();
  of(Type::cluster).subscribed = true;
  // What came of a message that was cut is held, where an Envoy would not have it: so what it leads
  // to is asked for, though its end, with which that is done, never came.
  of(Type::endpoints).subscribed = of(Type::route).subscribed = true;
  for (const Type type :
       {Type::cluster, Type::endpoints, Type::listener, Type::route, Type::virtual_host}) {
    if (of(type).subscribed) subscribe_first(type);
  }
}

void Proxy::forget() {
  for (auto& channel : channels_) channel = {};
  for (auto& held : tables_) held.clear();
  listeners_.clear();
  warming_ = tables_missing_ = 0;
  with_hosts_ = false;
}

bool Proxy::hear(std::string_view bytes, std::int64_t now) {
  now_ = now;
  watcher_.look(*watch_, bytes);
  while (!bytes.empty()) {
    if (!in_message_) {
      const std::size_t part = std::min<std::size_t>(5 - prefix_.size(), bytes.size());
      prefix_.append(bytes, 0, part);
      bytes.remove_prefix(part);
      if (prefix_.size() < 5) return true;
      if (prefix_[0] != 0) return false;  // compressed: nobody asked for that
      length_ = 0;
      for (std::size_t i = 1; i < 5; ++i)
        length_ = length_ << 8 | static_cast<unsigned char>(prefix_[i]);
      prefix_.clear();
      left_ = length_;
      in_message_ = true;
      scanner_.begin(length_);
    }
    const std::size_t part = std::min<std::size_t>(left_, bytes.size());
    if (!scanner_.feed(bytes.substr(0, part), *this)) return false;
    bytes.remove_prefix(part);
    left_ -= part;
    if (left_ > 0) return true;
    if (!scanner_.done()) return false;
    in_message_ = false;
    message_read(now);
  }
  return true;
}

void Proxy::resource(const Seen& seen) {
  if (seen.type == Type::other) return;
  const std::uint32_t name = texts_->id(seen.name);
  Counts& counts = counts_[index(seen.type)];
  ++counts.resources;
  Entry& entry = table(seen.type).at(name);
  const auto hash = static_cast<std::uint32_t>(seen.hash);
  const std::uint32_t version = texts_->id(seen.version);
  const bool same = entry.here && entry.hash == hash && entry.version == version;
  const bool waited_for = entry.warming;
  counts.resent += same && !waited_for;
  counts.emptied += seen.type == Type::endpoints && entry.here && entry.some && seen.empty;
  if (seen.type == Type::route && !entry.here && tables_missing_ > 0) --tables_missing_;
  const bool same_bytes = entry.here && entry.hash == hash;
  entry.version = version;
  entry.hash = hash;
  entry.here = entry.fresh = true;
  entry.some = !seen.empty;
  if (waited_for) warm_no_more(entry);
  if (seen.type == Type::cluster) cluster(seen, entry, same_bytes);
  if (seen.type == Type::listener) listener(seen, name);
  with_hosts_ = with_hosts_ || seen.vhds;
}

// One that is new or changed is warmed: it waits for endpoints, also if it holds some.
void Proxy::cluster(const Seen& seen, Entry& entry, bool same) {
  const std::uint32_t endpoints = texts_->id(endpoints_of(seen.body));
  const std::uint32_t before = entry.leads_to;
  entry.leads_to = endpoints & 0xfffffff;
  if (before != 0 && before != endpoints) want_no_more(Type::endpoints, before);
  if (endpoints == 0 || same) return;
  want(Type::endpoints, endpoints);
  Entry& awaited = table(Type::endpoints).at(endpoints);
  if (awaited.warming) return;
  awaited.warming = true;
  if (warming_++ == 0) warming_since_ = now_;
}

void Proxy::listener(const Seen& seen, std::uint32_t name) {
  std::vector<std::uint32_t> tables;
  for (const auto text : tables_of(seen.body)) tables.push_back(texts_->id(text));
  const auto before = std::exchange(listeners_[name], tables);
  for (const std::uint32_t it : tables) want(Type::route, it);
  for (const std::uint32_t it : before) want_no_more(Type::route, it);
}

void Proxy::removed(std::string_view text) { removed_.emplace_back(text); }

void Proxy::gone(Type type, std::uint32_t name) {
  Entry* entry = table(type).find(name);
  if (!entry) return;
  if (type == Type::cluster && entry->leads_to != 0) want_no_more(Type::endpoints, entry->leads_to);
  if (type == Type::listener) {
    const auto tables = std::exchange(listeners_[name], {});
    listeners_.erase(name);
    for (const std::uint32_t it : tables) want_no_more(Type::route, it);
  }
  if (type == Type::endpoints || type == Type::route) {  // still asked for, and not there
    counts_[index(type)].emptied += type == Type::endpoints && entry->here && entry->some;
    entry->here = entry->some = false;
    if (entry->warming) warm_no_more(*entry);
    return;
  }
  table(type).erase(name);
}

void Proxy::warm_no_more(Entry& endpoints) {
  endpoints.warming = false;
  --warming_;
}

void Proxy::want(Type type, std::uint32_t name) {
  if (table(type).find(name)) return;
  table(type).at(name);
  if (type == Type::route) ++tables_missing_;
  of(type).subscribe.push_back(name);
}

// Unless another listener wants it, too. (Clusters do not share endpoints.)
void Proxy::want_no_more(Type type, std::uint32_t name) {
  if (type == Type::route) {
    for (const auto& [listener, tables] : listeners_) {
      if (std::ranges::find(tables, name) != tables.end()) return;
    }
  }
  Entry* entry = table(type).find(name);
  if (!entry) return;
  if (type == Type::route && !entry->here) --tables_missing_;
  if (entry->warming) warm_no_more(*entry);
  table(type).erase(name);
  of(type).unsubscribe.push_back(name);
}

void Proxy::drop_what_is_not_fresh(Type type) {
  std::vector<std::uint32_t> old;
  table(type).each([&](Entry& entry) {
    if (!entry.fresh) old.push_back(entry.name);
    entry.fresh = false;
  });
  counts_[index(type)].removed += old.size();
  for (const std::uint32_t name : old) gone(type, name);
}

void Proxy::message_read(std::int64_t now) {
  const Type type = type_of(scanner_.type_url());
  heard_any_ = true;
  Counts& counts = counts_[index(type)];
  ++counts.messages;
  counts.bytes += length_;
  Channel& channel = of(type);
  channel.heard = true;
  channel.nonce = scanner_.nonce();
  channel.version = scanner_.version();
  counts.removed += removed_.size();
  for (const auto& text : std::exchange(removed_, {})) gone(type, texts_->id(text));
  if (!delta_ && (type == Type::cluster || type == Type::listener)) drop_what_is_not_fresh(type);
  watcher_.arrived(*watch_, now);
  if (type == Type::route) watcher_.tables_came(*watch_, now);
  if (type == Type::cluster) {
    if (!of(Type::endpoints).subscribe.empty() || !of(Type::endpoints).unsubscribe.empty())
      ask(Type::endpoints, false);
    ack_held_ = true;
  } else {
    if (type == Type::listener &&
        (!of(Type::route).subscribe.empty() || !of(Type::route).unsubscribe.empty()))
      ask(Type::route, false);
    ask(type, true);
    if (with_hosts_ && delta_ && !of(Type::virtual_host).subscribed) ask(Type::virtual_host, false);
  }
  look(now);
  if (synced_at_ == 0 && complete()) synced_at_ = now;
}

void Proxy::look(std::int64_t now) {
  if (warming_ > 0 && now - warming_since_ >= warming_max) {
    table(Type::endpoints).each([](Entry& entry) { entry.warming = false; });
    counts_[index(Type::cluster)].late += std::exchange(warming_, 0);
  }
  if (!ack_held_ || warming_ > 0) return;
  ack_held_ = false;
  ask(Type::cluster, true);
  if (!of(Type::listener).subscribed) ask(Type::listener, false);
}

bool Proxy::complete() {
  const bool hosts = !with_hosts_ || !delta_ || of(Type::virtual_host).heard;
  return of(Type::cluster).heard && warming_ == 0 && of(Type::listener).heard &&
         tables_missing_ == 0 && hosts;
}

void Proxy::subscribe_first(Type type) {
  if (type == Type::endpoints || type == Type::route) {
    table(type).each([&](const Entry& entry) { of(type).subscribe.push_back(entry.name); });
    if (of(type).subscribe.empty()) {
      of(type).subscribed = false;
      return;
    }
  }
  of(type).subscribed = false;  // as its first request on this stream
  ask(type, false);
}

void Proxy::ask(Type type, bool ack) {
  // Behind its head, in place: of one that comes back it is half a megabyte.
  const std::size_t head = outbox_.size();
  outbox_.append(5, '\0');
  if (delta_)
    ask_delta(type, ack, outbox_);
  else
    ask_sotw(type, ack, outbox_);
  of(type).subscribed = true;
  counts_[index(type)].acks += ack;
  auto length = static_cast<std::uint32_t>(outbox_.size() - head - 5);
  for (std::size_t i = 4; i > 0; --i, length >>= 8)
    outbox_[head + i] = static_cast<char>(length & 0xff);
}

void Proxy::ask_delta(Type type, bool ack, std::string& request) {
  Channel& channel = of(type);
  if (!std::exchange(node_said_, true)) put_field(request, 1, node_->wire);
  put_field(request, 2, url_of(type));
  for (const auto name : std::exchange(channel.subscribe, {}))
    put_field(request, 3, texts_->text(name));
  for (const auto name : std::exchange(channel.unsubscribe, {}))
    put_field(request, 4, texts_->text(name));
  if (!channel.subscribed) {
    std::string pair;
    table(type).each([&](const Entry& entry) {
      if (!entry.here) return;
      pair.clear();
      put_field(pair, 1, texts_->text(entry.name));
      put_field(pair, 2, texts_->text(entry.version));
      put_field(request, 5, pair);
    });
  }
  if (ack) put_field(request, 6, channel.nonce);
}

void Proxy::ask_sotw(Type type, bool, std::string& request) {
  Channel& channel = of(type);
  if (!channel.version.empty()) put_field(request, 1, channel.version);
  if (!std::exchange(node_said_, true)) put_field(request, 2, node_->wire);
  if (type == Type::endpoints || type == Type::route)
    table(type).each([&](const Entry& entry) { put_field(request, 3, texts_->text(entry.name)); });
  put_field(request, 4, url_of(type));
  if (!channel.nonce.empty()) put_field(request, 5, channel.nonce);
  channel.subscribe.clear();
  channel.unsubscribe.clear();
}

}  // namespace graymesh::ads
