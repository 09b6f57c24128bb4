// The part of Channel and Session that keeps virtual hosts with their tables (docs/envoy.md 14).
//
// An Envoy drops hosts whose table (RouteConfiguration) it has not got, and says all the same that
// it holds them; and it asks for hosts once, whatever tables come later. So they go unasked, behind
// their table:
//
//   asked for ──> RDS sent ──> its hosts, in one response ──> asked for no more ──> removed by name
//                 again: once more
//
// All of a table come together, as a listener is ready with the first of them. A table that we no
// longer have stays with a proxy for as long as connections use it, and keeps its hosts.
#include <algorithm>
#include <utility>

#include "control/xds/session.h"

namespace graymesh::xds {
namespace {

using resource::Type;

bool has(const std::vector<NameHash>& sorted, NameHash hash) {
  return std::ranges::binary_search(sorted, hash);
}

void insert(std::vector<NameHash>& sorted, NameHash hash) {
  const auto at = std::ranges::lower_bound(sorted, hash);
  if (at == sorted.end() || *at != hash) sorted.insert(at, hash);
}

bool erase(std::vector<NameHash>& sorted, NameHash hash) {
  const auto at = std::ranges::lower_bound(sorted, hash);
  if (at == sorted.end() || *at != hash) return false;
  sorted.erase(at);
  return true;
}

}  // namespace

void Channel::follow(Tables tables) {
  if (tables == tables_) return;
  tables_ = std::move(tables);
  dirty_ = true;
  // Hosts of other tables, also where the proxy has all that it shall have.
  std::vector<NameHash> astray;
  holding_.each(subscription_, [&](NameHash hash, const Held& held) {
    if (!takes(*held.resource)) astray.push_back(hash);
  });
  for (const NameHash hash : astray) (void)holding_.except(hash, subscription_);
  holding_.note_all();
}

void Channel::doubt(NameHash table) {
  std::vector<NameHash> hosts;
  holding_.each(subscription_, [&](NameHash hash, const Held& held) {
    if (held.resource->table_hash() == table) hosts.push_back(hash);
  });
  for (const NameHash hash : hosts) holding_.except(hash, subscription_).claimed = true;
  if (flight_) {
    for (auto& sent : flight_->sent) {
      if (sent.before.resource && sent.before.resource->table_hash() == table)
        sent.before.claimed = true;
    }
  }
  dirty_ = dirty_ || !hosts.empty();
}

std::vector<NameHash> Channel::held_names() const {
  std::vector<NameHash> names;
  holding_.each(subscription_, [&](NameHash hash, const Held&) { names.push_back(hash); });
  std::ranges::sort(names);
  return names;
}

// Its table is not there: once it is, follow() has it looked at again.
void Channel::await_table(NameHash hash, const Held& held, Draft& draft) {
  if (held.resource) remove(hash, held, draft);
  holding_.exceptions()[hash] = {};
}

bool Channel::takes(const resource::Resource& host) const {
  return has(tables_.here, host.table_hash());
}

bool Channel::keeps(const resource::Resource& host) const {
  return has(tables_.left, host.table_hash());
}

void Session::hear_tables(const DeltaRequest& request, bool first) {
  Channel& hosts = at(Type::virtual_host);
  for (const auto name : request.unsubscribe) {
    const NameHash table = hash_of(name);
    if (erase(tables_, table)) {
      hosts.doubt(table);
      followed_ = 0;
    }
    erase(renewed_, table);
  }
  if (first) {
    followed_ = 0;
    tables_ = channel(Type::route).held_names();  // it came with them, and with their hosts
  } else {
    // Also of a name that it asked for before: what it has under it now may be new, and empty.
    for (const auto name : request.subscribe) {
      if (has(tables_, hash_of(name))) insert(renewed_, hash_of(name));
    }
  }
}

void Session::sent_tables() {
  if (!delta_) return;
  for (const auto& sent : channel(Type::route).flight()->sent) {
    if (!sent.now) continue;
    const bool renewed = erase(renewed_, sent.hash);
    if (sent.before.resource && !renewed) continue;
    at(Type::virtual_host).doubt(sent.hash);
    insert(tables_, sent.hash);
    followed_ = 0;
  }
}

std::optional<Response> Session::take_hosts(Now now, Turn& turn) {
  Channel& hosts = at(Type::virtual_host);
  if (!hosts.heard()) return std::nullopt;
  // It comes back: which tables it has is not known yet.
  if (hosts.returned() && !channel(Type::route).heard() && !patience_over_) return std::nullopt;
  if (followed_ != routes_.update) {
    Channel::Tables tables{.here = tables_};
    const Target routes(routes_.config->of(Type::route), *diffs_);
    for (const NameHash table : tables_) {
      if (!routes.find(table)) tables.left.push_back(table);
    }
    hosts.follow(std::move(tables));
    followed_ = routes_.update;
  }
  return take(Type::virtual_host, routes_, now, turn);
}

}  // namespace graymesh::xds
