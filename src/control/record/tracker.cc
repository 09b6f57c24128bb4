#include "control/record/tracker.h"

#include <algorithm>

namespace graymesh::record {

using resource::Type;

Clock::Wall wall(Milliseconds at) {
  return Clock::Wall(
      std::chrono::duration_cast<Clock::Wall::duration>(std::chrono::milliseconds(at)));
}

Milliseconds milliseconds(Clock::Wall time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

bool means(const std::string& wanted, const std::string& node_id, const std::string& name,
           const std::string& namespace_) {
  return wanted == node_id || (!name.empty() && wanted == name + "." + namespace_);
}

bool Tracker::complete() const {
  return found() && std::ranges::all_of(moment_.types, &Moment::OfType::known);
}

void Tracker::begin(const Contents& contents, Milliseconds until) {
  until_ = until;
  if (contents.head.boot == boot_) return;
  // The process before ended, and its streams with it.
  if (streams_.contains(newest_) && !moment_.left) moment_.left = wall(last_);
  boot_ = contents.head.boot;
  streams_.clear();
}

void Tracker::leave(Milliseconds at) {
  if (found() && !moment_.left) moment_.left = wall(at);
}

void Tracker::take(const Contents& contents, const Entry& entry) {
  std::visit([&](const auto& it) { on(contents, it); }, entry);
}

void Tracker::on(const Contents&, const Opened& opened) {
  if (opened.at > until_ || streams_.contains(opened.stream)) return;
  if (!means(proxy_, opened.node_id, opened.name, opened.namespace_)) return;
  const bool first = !found();
  for (auto& type : moment_.types) {
    if (first) type.known = !opened.again;
    type.waiting = false;
    type.error.clear();
  }
  streams_[opened.stream].opened = opened.at;
  newest_ = opened.stream;
  moment_.node_id = opened.node_id;
  moment_.name = opened.name;
  moment_.namespace_ = opened.namespace_;
  moment_.address = opened.address;
  moment_.peer = opened.peer;
  moment_.user_agent = opened.user_agent;
  moment_.delta = opened.delta;
  moment_.connected = wall(opened.at);
  moment_.left = std::nullopt;
}

// The rows of the proxy. Those of an older stream count until the newest was opened.
template <typename Rows, typename Do>
void Tracker::each(const Rows& rows, Do act) {
  for (const Row& row : rows) {
    if (row.at > until_) continue;
    last_ = std::max(last_, row.at);
    const auto found = streams_.find(row.stream);
    if (found == streams_.end()) continue;
    if (row.stream == newest_ || row.at <= streams_[newest_].opened) act(row, found->second);
  }
}

void Tracker::on(const Contents& contents, const Sent& sent) {
  const Batch& batch = contents.batches[sent.batch];
  const auto i = static_cast<std::size_t>(batch.type);
  each(sent.rows, [&](const Row& row, Stream& stream) {
    auto& type = of(batch.type);
    if (!std::exchange(stream.heard[i], true) && row.stream == newest_ && type.known) {
      type.items.clear();
      type.unknown.clear();
    }
    Pending pending{.any = true};
    for (const Number number : batch.now) {
      const auto& resource = contents.resources[number];
      pending.changes.emplace_back(resource.name, Item{.version = resource.version,
                                                       .origins = resource.origins,
                                                       .since = {},
                                                       .file = contents.file.path,
                                                       .number = number});
    }
    for (const auto& name : batch.removed) pending.changes.emplace_back(name, std::nullopt);
    stream.pending[i] = std::move(pending);
    type.waiting = true;
    type.sent = wall(row.at);
    if (row.acked && *row.acked <= until_) accept(stream, batch.type, *row.acked);
  });
}

void Tracker::on(const Contents&, const Acked& acked) {
  each(acked.rows, [&](const Row& row, Stream& stream) { accept(stream, acked.type, row.at); });
}

void Tracker::accept(Stream& stream, Type name, Milliseconds at) {
  auto& type = of(name);
  auto pending = std::exchange(stream.pending[static_cast<std::size_t>(name)], {});
  type.waiting = false;
  type.answered = wall(at);
  type.error.clear();
  for (auto& [resource, item] : pending.changes) {
    std::erase(type.unknown, resource);
    if (item) {
      item->since = wall(at);
      type.items[resource] = *std::move(item);
    } else {
      type.items.erase(resource);
    }
  }
}

void Tracker::on(const Contents&, const Refused& refused) {
  each(refused.rows, [&](const Row& row, Stream& stream) {
    stream.pending[static_cast<std::size_t>(refused.type)] = {};
    of(refused.type).waiting = false;
    of(refused.type).answered = wall(row.at);
    of(refused.type).error = refused.error;
  });
}

void Tracker::on(const Contents&, const Dropped& dropped) {
  each(dropped.rows, [&](const Row&, Stream& stream) {
    auto& pending = stream.pending[static_cast<std::size_t>(dropped.type)];
    auto& type = of(dropped.type);
    for (const auto& name : dropped.names) {
      type.items.erase(name);
      std::erase(type.unknown, name);
      std::erase_if(pending.changes, [&](const auto& change) { return change.first == name; });
    }
  });
}

void Tracker::on(const Contents& contents, const Holds& holds) {
  each(holds.rows, [&](const Row&, Stream& stream) {
    auto& type = of(holds.type);
    stream.heard[static_cast<std::size_t>(holds.type)] = true;
    const auto before = std::exchange(type.items, {});
    type.unknown.clear();
    type.known = true;
    const bool over_sets = !holds.sets.empty() || !holds.claimed_sets.empty();
    const auto lacks = [&](const std::string& name) {
      if (!over_sets) return;
      type.items.erase(name);
      std::erase(type.unknown, name);
    };
    const auto has = [&](Number number) {
      const auto& resource = contents.resources[number];
      const auto held = before.find(resource.name);
      const bool same = held != before.end() && held->second.version == resource.version;
      type.items[resource.name] = {.version = resource.version,
                                   .origins = resource.origins,
                                   .since = same ? held->second.since : std::nullopt,
                                   .file = contents.file.path,
                                   .number = number};
    };
    const auto claims = [&](const std::string& name) {
      if (const auto held = before.find(name); held != before.end())
        type.items[name] = held->second;
      else
        type.unknown.push_back(name);
    };
    for (const Number set : holds.sets) std::ranges::for_each(contents.sets[set].resources, has);
    for (const Number set : holds.claimed_sets) {
      for (const Number number : contents.sets[set].resources)
        claims(contents.resources[number].name);
    }
    std::ranges::for_each(holds.lacks, lacks);
    for (const Number number : holds.held) {
      lacks(contents.resources[number].name);
      has(number);
    }
    for (const auto& name : holds.claimed) {
      lacks(name);
      claims(name);
    }
  });
}

void Tracker::on(const Contents&, const Closed& closed) {
  each(closed.rows, [&](const Row& row, Stream&) {
    if (row.stream == newest_) moment_.left = wall(row.at);
    for (auto& type : moment_.types) type.waiting = false;
  });
}

void Tracker::on(const Contents&, const Gap& gap) {
  if (gap.at > until_) return;
  for (auto& [id, stream] : streams_) stream.pending = {};
  for (auto& type : moment_.types) type.known = moment_.left.has_value() && type.known;
}

void Tracker::on(const Contents&, const Gone& gone) {
  if (means(proxy_, gone.node_id, gone.name, gone.namespace_)) left_before_ = gone.left;
}

}  // namespace graymesh::record
