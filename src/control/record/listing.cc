#include "control/record/listing.h"

#include <fmt/core.h>

#include <charconv>
#include <iterator>

#include "control/record/tracker.h"

namespace graymesh::record {
namespace {

constexpr std::size_t names_max = 50'000;  // of resources, on a page

}  // namespace

std::string to_text(const Place& place) {
  return fmt::format("{}.{}.{}", place.key, place.at, place.count);
}

Result<Place> place_of(const std::string& text) {
  Place place;
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  const auto number = [&](auto& value, bool last) {
    const auto [rest, error] = std::from_chars(at, end, value);
    const bool good = error == std::errc() && (last ? rest == end : rest != end && *rest == '.');
    at = last || !good ? rest : rest + 1;
    return good;
  };
  if (number(place.key, false) && number(place.at, false) && number(place.count, true))
    return place;
  return Error{Code::invalid_argument,
               fmt::format("continue {}, must be as the page before has it", text)};
}

void Listing::begin(const Contents& contents, const std::optional<Place>& place, std::size_t room) {
  room_ = room;
  count_ = 0;
  told_.clear();
  passed_.reset();
  if (place && place->key == contents.file.key) passed_ = Order{place->at, place->count};
  if (contents.head.boot == boot_) return;
  boot_ = contents.head.boot;
  streams_.clear();
  heard_.clear();
}

void Listing::take(const Contents& contents, const Entry& entry) {
  std::visit([&](const auto& it) { on(contents, it); }, entry);
}

bool Listing::end(const Contents& contents, Happenings& page) {
  std::size_t names = 0;
  for (auto& [order, told] : told_) {
    if (room_ == 0 || names >= names_max) return false;
    --room_;
    Happening it{.kind = told.kind, .at = wall(order.first), .type = told.type};
    it.removed = std::move(told.removed);
    it.text = std::move(told.text);
    if (told.batch) {
      const Batch& batch = contents.batches[*told.batch];
      for (const Number number : batch.now) {
        const auto& resource = contents.resources[number];
        it.changed.emplace_back(resource.name, resource.version);
      }
      it.removed = batch.removed;
      it.bytes = batch.bytes;
    }
    names += it.changed.size() + it.removed.size();
    page.items.push_back(std::move(it));
    page.next = to_text({contents.file.key, order.first, order.second});
  }
  return true;
}

void Listing::add(Told told, Milliseconds at) {
  const Order order{at, count_++};
  if (at <= from_ || at > to_) return;
  if (passed_ && order <= *passed_) return;
  if (told_.size() > room_ && std::prev(told_.end())->first < order) return;
  told_.emplace(order, std::move(told));
  if (told_.size() > room_ + 1) told_.erase(std::prev(told_.end()));
}

void Listing::on(const Contents&, const Opened& opened) {
  if (!means(proxy_, opened.node_id, opened.name, opened.namespace_)) return;
  const bool fresh = streams_.insert(opened.stream).second;
  if (!opened.again) return add({.kind = Kind::connected, .text = opened.peer}, opened.at);
  if (!fresh) return;
  // What it came with was told in a segment that is not read.
  for (const auto type : resource::all_types) heard_.insert({opened.stream, type});
}

void Listing::on(const Contents& contents, const Sent& sent) {
  const auto type = contents.batches[sent.batch].type;
  each(sent.rows, [&](const Row& row) {
    heard_.insert({row.stream, type});
    add({.kind = Kind::sent, .type = type, .batch = sent.batch}, row.at);
    if (row.acked) add({.kind = Kind::acked, .type = type}, *row.acked);
  });
}

void Listing::on(const Contents&, const Acked& acked) {
  each(acked.rows, [&](const Row& row) { add({.kind = Kind::acked, .type = acked.type}, row.at); });
}

void Listing::on(const Contents&, const Refused& refused) {
  each(refused.rows, [&](const Row& row) {
    add({.kind = Kind::refused, .type = refused.type, .text = refused.error}, row.at);
  });
}

void Listing::on(const Contents&, const Dropped& dropped) {
  each(dropped.rows, [&](const Row& row) {
    add({.kind = Kind::dropped, .type = dropped.type, .removed = dropped.names}, row.at);
  });
}

void Listing::on(const Contents& contents, const Holds& holds) {
  each(holds.rows, [&](const Row& row) {
    if (!heard_.insert({row.stream, holds.type}).second) return;  // told once more
    add({.kind = Kind::returned,
         .type = holds.type,
         .text = fmt::format("with {}", contents.names_of(holds))},
        row.at);
  });
}

void Listing::on(const Contents&, const Closed& closed) {
  each(closed.rows, [&](const Row& row) { add({.kind = Kind::left}, row.at); });
}

void Listing::on(const Contents&, const Gap& gap) {
  add({.kind = Kind::gap, .text = fmt::format("{} events", gap.lost)}, gap.at);
}

}  // namespace graymesh::record
