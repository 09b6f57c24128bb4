#include "control/record/pen.h"

#include <algorithm>
#include <utility>

#include "base/hash.h"
#include "control/record/delta.h"

namespace graymesh::record {
namespace {

using Kind = Event::Kind;

constexpr std::size_t delta_body_min = 512;  // a shorter one deflates well enough among its like
constexpr std::uint32_t delta_depth_max = 16;
constexpr std::size_t gone_max = 1024;  // proxies that left, as each segment begins with them

std::uint64_t key_of(const resource::Resource& resource) {
  const std::uint64_t words[] = {static_cast<std::uint64_t>(resource.type()),
                                 hash64(resource.name()), resource.version()};
  return hash64({reinterpret_cast<const char*>(words), sizeof words});
}

// If one of the layers has it.
void add_name(const std::vector<resource::Possession::Layer>& layers, std::uint64_t hash,
              std::vector<std::string>& names) {
  for (const auto& layer : layers) {
    for (const auto& resource : layer.set->all()) {
      if (resource->name_hash() == hash) return names.push_back(resource->name());
    }
  }
}

std::uint64_t slot_of(StreamId stream, std::size_t type) {
  return stream * resource::type_count + type;
}

std::vector<Row>* rows_of(Entry& entry) {
  return std::visit(
      [](auto& it) -> std::vector<Row>* {
        if constexpr (requires { it.rows; }) {
          return &it.rows;
        } else {
          return nullptr;
        }
      },
      entry);
}

}  // namespace

std::vector<Entry> Pen::write(const std::vector<Event>& events) {
  for (const Event& event : events) write_one(event);
  auto all = std::exchange(contents_, {});
  for (Entry& entry : entries_) all.push_back(std::move(entry));
  entries_.clear();
  groups_.clear();
  last_.clear();
  return all;
}

void Pen::write_one(const Event& event) {
  if (event.kind != Kind::opened && !streams_.contains(event.stream)) return;
  Place& last = last_[slot_of(event.stream, static_cast<std::size_t>(event.type))];
  const auto type = event.type;
  switch (event.kind) {
    case Kind::opened: {
      Opened opened = event.content->opened;
      opened.stream = event.stream;
      opened.at = event.at;
      if (streams_.insert_or_assign(event.stream, opened).second) ++connected_[opened.node_id];
      gone_.erase(opened.node_id);
      // Before all else of this stream, whatever other streams are at: among the contents.
      contents_.emplace_back(std::move(opened));
      return;
    }
    case Kind::acked:
      if (last.open) {
        (*rows_of(entries_[last.entry]))[last.row].acked = event.at;
        last.open = false;
        return;
      }
      return row(event, gather(event, 0, last.entry, [&] { return Acked{type, {}}; }));
    case Kind::sent: {
      const Number number = batch(event);
      row(event, gather(event, number, last.entry, [&] { return Sent{number, {}}; }));
      last.open = true;
      return;
    }
    case Kind::holds: {
      const auto found = holdings_.find(event.hash);
      if (found == holdings_.end()) holdings_[event.hash] = holds(event);
      return row(event,
                 gather(event, event.hash, last.entry, [&] { return holdings_[event.hash]; }));
    }
    case Kind::refused:
      last.open = false;
      return row(event, gather(event, event.hash, last.entry, [&] {
                   return Refused{type, event.content->error, {}};
                 }));
    case Kind::dropped:
      return row(event, gather(event, event.hash, last.entry, [&] {
                   return Dropped{type, event.content->removed, {}};
                 }));
    case Kind::closed: {
      std::size_t after = 0;
      for (std::size_t i = 0; i < resource::type_count; ++i)
        after = std::max(after, last_[slot_of(event.stream, i)].entry);
      row(event, gather(event, 0, after, [] { return Closed{}; }));
      return leave(event.stream, event.at);
    }
  }
}

// The entry for such an event: one that there is, if it comes after the last one of this stream and
// type, else a new one.
template <typename Make>
std::size_t Pen::gather(const Event& event, std::uint64_t key, std::size_t after, Make make) {
  const std::uint64_t kind = static_cast<std::uint64_t>(event.kind) * resource::type_count +
                             static_cast<std::uint64_t>(event.type);
  const auto [found, fresh] = groups_.try_emplace({kind, key}, entries_.size());
  if (fresh || found->second < after) {
    found->second = entries_.size();
    entries_.emplace_back(make());
  }
  return found->second;
}

void Pen::row(const Event& event, std::size_t entry) {
  auto& rows = *rows_of(entries_[entry]);
  auto& last = last_[slot_of(event.stream, static_cast<std::size_t>(event.type))];
  last = {.entry = entry, .row = rows.size()};
  rows.push_back({.stream = event.stream, .at = event.at});
}

Number Pen::resource(const resource::Resource& resource, const resource::Resource* before) {
  const auto key = key_of(resource);
  if (const auto found = resources_.find(key); found != resources_.end())
    return found->second.number;
  Resource made{.number = static_cast<Number>(resources_.size())};
  Body body{.type = resource.type(),
            .name = resource.name(),
            .version = resource.version(),
            .origins = resource.origins(),
            .base = {},
            .bytes = std::string(resource.body())};
  const auto base = before && body.bytes.size() >= delta_body_min ? resources_.find(key_of(*before))
                                                                  : resources_.end();
  if (base != resources_.end() && base->second.depth < delta_depth_max) {
    auto delta = make_delta(before->body(), resource.body());
    if (delta.size() < body.bytes.size() / 2) {
      body.base = base->second.number;
      body.bytes = std::move(delta);
      made.depth = base->second.depth + 1;
    }
  }
  contents_.emplace_back(std::move(body));
  resources_.emplace(key, made);
  return made.number;
}

Number Pen::batch(const Event& event) {
  if (const auto found = batches_.find(event.hash); found != batches_.end()) return found->second;
  Batch batch{.type = event.type, .now = {}, .removed = {}, .bytes = 0};
  if (event.content) {
    batch.removed = event.content->removed;
    batch.bytes = event.content->bytes;
    for (const auto& change : event.content->changes)
      batch.now.push_back(resource(*change.now, change.before.get()));
  }
  const auto number = static_cast<Number>(batches_.size());
  contents_.emplace_back(std::move(batch));
  batches_.emplace(event.hash, number);
  return number;
}

Number Pen::set(const resource::ResourceSet& set, std::uint64_t hash) {
  if (const auto found = sets_.find(hash); found != sets_.end()) return found->second;
  Set made;
  for (const auto& it : set.all()) made.resources.push_back(resource(*it, nullptr));
  std::ranges::sort(made.resources);
  const auto number = static_cast<Number>(sets_.size());
  contents_.emplace_back(std::move(made));
  sets_.emplace(hash, number);
  return number;
}

Holds Pen::holds(const Event& event) {
  Holds holds;
  holds.type = event.type;
  if (!event.content) return holds;
  const auto& [type, layers, exceptions] = event.content->possession;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    auto& sets = layers[i].claimed ? holds.claimed_sets : holds.sets;
    sets.push_back(set(*layers[i].set, event.content->layer_hashes[i]));
  }
  for (const auto& exception : exceptions) {
    if (!exception.held)
      add_name(layers, exception.name_hash, holds.lacks);
    else if (exception.claimed)
      holds.claimed.push_back(exception.held->name());
    else
      holds.held.push_back(resource(*exception.held, nullptr));
  }
  std::ranges::sort(holds.held);
  return holds;
}

void Pen::leave(StreamId stream, Milliseconds at) {
  const auto found = streams_.find(stream);
  const Opened opened = std::move(found->second);
  streams_.erase(found);
  const auto connected = connected_.find(opened.node_id);
  if (--connected->second == 0) {
    connected_.erase(connected);
    remember({.node_id = opened.node_id,
              .name = opened.name,
              .namespace_ = opened.namespace_,
              .address = opened.address,
              .kind = opened.kind,
              .connected = opened.at,
              .left = at});
  }
}

void Pen::remember(const Gone& gone) {
  gone_[gone.node_id] = gone;
  if (gone_.size() <= gone_max) return;
  gone_.erase(std::ranges::min_element(gone_, {}, [](const auto& it) { return it.second.left; }));
}

std::vector<Entry> Pen::begin(Milliseconds now) {
  resources_.clear();
  batches_.clear();
  sets_.clear();
  holdings_.clear();
  std::vector<Entry> entries;
  for (const auto& [id, gone] : gone_) entries.emplace_back(gone);
  for (const auto& [stream, opened] : streams_) {
    Opened again = opened;
    again.again = true;
    again.at = std::min(opened.at, now);
    entries.emplace_back(std::move(again));
  }
  return entries;
}

}  // namespace graymesh::record
