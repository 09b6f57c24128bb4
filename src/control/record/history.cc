// The part of the room that reads the record again.
#include <fmt/core.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <set>
#include <span>
#include <tuple>

#include "control/record/files.h"
#include "control/record/listing.h"
#include "control/record/mail.h"
#include "control/record/record.h"
#include "control/record/replay.h"
#include "control/record/sightings.h"
#include "control/record/tracker.h"

namespace graymesh::record {
namespace {

// What one look at a time reads, at most: segments of 16 MB or a little more.
constexpr std::size_t parts_few = 2, parts_max = 6;
constexpr Milliseconds forever = std::numeric_limits<Milliseconds>::max();

struct Part {
  File file;
  Milliseconds begun = 0;
  Milliseconds end = forever;  // nothing in it is later
};

// In the order in which they were written. Times ascend in each; from one to the next they go back
// only where the clock was set back meanwhile.
Result<std::vector<Part>> parts_of(const std::filesystem::path& folder,
                                   std::vector<std::string>& faults) {
  std::vector<Part> parts;
  for (auto& file : TRY(files_of(folder))) {
    const auto head = head_of(file.path);
    if (!head) {
      if (head.error().code != Code::not_found) faults.push_back(head.error().message);
      continue;  // else trimmed meanwhile
    }
    constexpr Milliseconds slack = clock_back_max.count();
    if (!parts.empty() && parts.back().begun <= head->begun)
      parts.back().end = std::min(head->begun, forever - slack) + slack;
    parts.push_back({.file = std::move(file), .begun = head->begun});
  }
  return parts;
}

// Of several moments at which the clock showed that time, the newest is meant: so many parts were
// begun until then.
std::size_t count_until(std::span<const Part> parts, Milliseconds time) {
  std::size_t count = parts.size();
  while (count > 0 && parts[count - 1].begun > time) --count;
  return count;
}

// A file that is being written ends anywhere; that is no fault.
void note(const Status& status, const SegmentReader& reader, bool last,
          std::vector<std::string>& faults) {
  if (!status && !(last && reader.torn())) faults.push_back(status.error().message);
}

void read(const File& file, bool last, std::vector<std::string>& faults,
          const std::function<void(const Contents&)>& begin,
          const std::function<void(const Contents&, const Entry&)>& visit,
          const std::function<void(const Contents&)>& end = {}) {
  auto reader = SegmentReader::open(file.path);
  if (!reader) {
    if (reader.error().code != Code::not_found) faults.push_back(reader.error().message);
    return;  // else trimmed meanwhile
  }
  Contents contents;
  contents.file = file;
  contents.head = reader->head();
  begin(contents);
  const auto status =
      replay(*reader, contents, [&](const Entry& entry) { visit(contents, entry); });
  note(status, *reader, last, faults);
  if (end) end(contents);
}

// One attempt to follow a proxy from the first to the last of these segments, up to a time of the
// last one.
Tracker follow(const std::string& proxy, std::span<const Part> parts, Milliseconds until,
               bool newest, std::vector<std::string>& faults) {
  Tracker tracker(proxy);
  for (const Part& part : parts) {
    const bool last = &part == &parts.back();
    read(
        part.file, last && newest, faults,
        [&](const Contents& contents) { tracker.begin(contents, last ? until : forever); },
        [&](const Contents& contents, const Entry& entry) { tracker.take(contents, entry); });
  }
  return tracker;
}

}  // namespace

Result<Moment> History::at(const std::string& proxy, Clock::Wall time,
                           std::vector<std::string>& faults) const {
  std::vector<std::string> found_faults;
  const auto all = TRY(parts_of(folder_, found_faults));
  std::span<const Part> parts = all;
  parts = parts.first(count_until(parts, milliseconds(time)));
  const auto followed = [&](std::size_t most) {
    auto those = found_faults;
    auto tracker = follow(proxy, parts.last(std::min(most, parts.size())), milliseconds(time),
                          parts.size() == all.size(), those);
    return std::pair(std::move(tracker), std::move(those));
  };
  // Mostly the last two have it all: each begins with who is there and what they hold.
  auto [tracker, its_faults] = followed(parts_few);
  const auto left = tracker.left_before();
  const bool gone = left && !tracker.found();
  if (gone) {
    parts = parts.first(count_until(parts, *left));
    std::tie(tracker, its_faults) = followed(parts_few);
  }
  if (!tracker.complete() && parts.size() > parts_few)
    std::tie(tracker, its_faults) = followed(parts_max);
  if (gone) tracker.leave(*left);
  faults.insert(faults.end(), its_faults.begin(), its_faults.end());
  if (tracker.found()) return tracker.take();
  return Error{Code::not_found, fmt::format("the record has nothing of proxy {} until then: it was "
                                            "not connected, and is not among those that had left "
                                            "last",
                                            proxy)};
}

Result<Happenings> History::between(const std::string& proxy, Clock::Wall from, Clock::Wall to,
                                    std::size_t most, const std::string& next,
                                    std::vector<std::string>& faults) const {
  std::optional<Place> place;
  if (!next.empty()) place = TRY(place_of(next));
  const auto parts = TRY(parts_of(folder_, faults));
  Listing listing(proxy, milliseconds(from), milliseconds(to));
  Happenings page;
  std::uint64_t bytes = 0;
  for (const Part& part : parts) {
    if (place && part.file.key < place->key) continue;
    if (part.begun > milliseconds(to) || part.end <= milliseconds(from)) continue;
    if (bytes > 0 && bytes + part.file.size > page_bytes_) {
      page.next = to_text(Place{.key = part.file.key});
      return page;
    }
    bytes += part.file.size;
    bool full = false;
    read(
        part.file, &part == &parts.back(), faults,
        [&](const Contents& contents) { listing.begin(contents, place, most - page.items.size()); },
        [&](const Contents& contents, const Entry& entry) { listing.take(contents, entry); },
        [&](const Contents& contents) { full = !listing.end(contents, page); });
    if (full) return page;
  }
  page.next.clear();
  return page;
}

Result<std::string> History::body(const Item& item) const {
  auto made = TRY(bodies(item.file, {item.number}));
  return std::move(made.at(item.number));
}

Result<resource::ConfigPtr> History::config(const Moment& moment) const {
  std::map<std::filesystem::path, std::set<Number>> wanted;
  for (const auto& type : moment.types) {
    for (const auto& [name, item] : type.items) wanted[item.file].insert(item.number);
  }
  std::map<std::filesystem::path, std::map<Number, std::string>> made;
  for (auto& [file, numbers] : wanted) made[file] = TRY(bodies(file, numbers));
  auto config = std::make_shared<resource::Config>();
  for (const auto type : resource::all_types) {
    const auto i = static_cast<std::size_t>(type);
    std::vector<resource::ResourcePtr> resources;
    for (const auto& [name, item] : moment.types[i].items) {
      resources.push_back(std::make_shared<const resource::Resource>(
          type, name, made[item.file].at(item.number), item.origins));
    }
    config->add(type, std::make_shared<const resource::ResourceSet>(std::move(resources)));
  }
  return resource::ConfigPtr(std::move(config));
}

Result<std::vector<Sighting>> History::seen(std::vector<std::string>& faults) const {
  const auto files = TRY(files_of(folder_));
  std::map<std::string, Sighting> all;
  for (auto file = files.rbegin(); file != files.rend(); ++file) {
    Sightings sightings;
    read(
        *file, file == files.rbegin(), faults, [](const Contents&) {},
        [&](const Contents&, const Entry& entry) { sightings.take(entry); });
    for (const auto& it : sightings.gone()) {
      all[it.node_id] = {it.node_id,         it.name,      it.namespace_, it.address,
                         wall(it.connected), wall(it.left)};
    }
    for (const auto& [stream, it] : sightings.open()) {
      all[it.node_id] = {it.node_id, it.name, it.namespace_, it.address, wall(it.at), std::nullopt};
    }
    if (sightings.any()) break;
  }
  std::vector<Sighting> sorted;
  sorted.reserve(all.size());
  for (auto& [id, it] : all) sorted.push_back(std::move(it));
  return sorted;
}

}  // namespace graymesh::record
