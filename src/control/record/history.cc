// The part of the room that reads the record again.
#include <fmt/core.h>

#include <algorithm>
#include <limits>
#include <set>

#include "control/record/files.h"
#include "control/record/record.h"
#include "control/record/replay.h"
#include "control/record/sightings.h"
#include "control/record/tracker.h"

namespace graymesh::record {
namespace {

// Until when files begin that may say something of that time.
std::vector<File> until(std::vector<File> files, Milliseconds time) {
  std::erase_if(files, [&](const File& file) { return file.begun > time; });
  return files;
}

// A file that is being written ends anywhere; that is no fault.
void note(const Status& status, const SegmentReader& reader, bool last,
          std::vector<std::string>& faults) {
  if (!status && !(last && reader.torn())) faults.push_back(status.error().message);
}

void read(const File& file, bool last, std::vector<std::string>& faults,
          const std::function<void(const Contents&)>& begin,
          const std::function<void(const Contents&, const Entry&)>& visit) {
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
}

// What befell one proxy, in words.
class Listing {
 public:
  Listing(std::string proxy, Milliseconds from, Milliseconds to)
      : proxy_(std::move(proxy)), from_(from), to_(to) {}

  void begin(const Contents& contents) {
    if (contents.head.boot == boot_) return;
    boot_ = contents.head.boot;
    streams_.clear();
    heard_.clear();
  }
  void take(const Contents& contents, const Entry& entry) {
    std::visit([&](const auto& it) { on(contents, it); }, entry);
  }
  std::vector<Happening> take() {
    std::ranges::stable_sort(all_, {}, &Happening::at);
    return std::move(all_);
  }

 private:
  using Kind = Happening::Kind;

  void add(Happening happening, Milliseconds at) {
    if (at <= from_ || at > to_) return;
    happening.at = wall(at);
    all_.push_back(std::move(happening));
  }
  template <typename Do>
  void each(const std::vector<Row>& rows, Do act) {
    for (const Row& row : rows) {
      if (streams_.contains(row.stream)) act(row);
    }
  }

  void on(const Contents&, const Opened& opened) {
    if (!means(proxy_, opened.node_id, opened.name, opened.namespace_)) return;
    streams_.insert(opened.stream);
    if (!opened.again) add({.kind = Kind::connected, .text = opened.peer}, opened.at);
  }
  void on(const Contents& contents, const Sent& sent) {
    const Batch& batch = contents.batches[sent.batch];
    each(sent.rows, [&](const Row& row) {
      heard_.insert({row.stream, batch.type});
      Happening happening{.kind = Kind::sent, .type = batch.type, .bytes = batch.bytes};
      for (const Number number : batch.now) {
        const auto& resource = contents.resources[number];
        happening.changed.emplace_back(resource.name, resource.version);
      }
      happening.removed = batch.removed;
      add(std::move(happening), row.at);
      if (row.acked) add({.kind = Kind::acked, .type = batch.type}, *row.acked);
    });
  }
  void on(const Contents&, const Acked& acked) {
    each(acked.rows,
         [&](const Row& row) { add({.kind = Kind::acked, .type = acked.type}, row.at); });
  }
  void on(const Contents&, const Refused& refused) {
    each(refused.rows, [&](const Row& row) {
      add({.kind = Kind::refused, .type = refused.type, .text = refused.error}, row.at);
    });
  }
  void on(const Contents&, const Dropped& dropped) {
    each(dropped.rows, [&](const Row& row) {
      add({.kind = Kind::dropped, .type = dropped.type, .removed = dropped.names}, row.at);
    });
  }
  void on(const Contents& contents, const Holds& holds) {
    std::size_t count = holds.claimed.size();
    for (const Number set : holds.sets) count += contents.sets[set].resources.size();
    each(holds.rows, [&](const Row& row) {
      if (!heard_.insert({row.stream, holds.type}).second) return;  // told once more
      add({.kind = Kind::returned, .type = holds.type, .text = fmt::format("with {}", count)},
          row.at);
    });
  }
  void on(const Contents&, const Closed& closed) {
    each(closed.rows, [&](const Row& row) { add({.kind = Kind::left}, row.at); });
  }
  void on(const Contents&, const Gap& gap) {
    add({.kind = Kind::gap, .text = fmt::format("{} events", gap.lost)}, gap.at);
  }
  template <typename Other>
  void on(const Contents&, const Other&) {}

  const std::string proxy_;
  const Milliseconds from_, to_;
  std::uint64_t boot_ = 0;
  std::set<StreamId> streams_;
  std::set<std::pair<StreamId, resource::Type>> heard_;
  std::vector<Happening> all_;
};

}  // namespace

Result<Moment> History::at(const std::string& proxy, Clock::Wall time,
                           std::vector<std::string>& faults) const {
  const auto files = until(TRY(files_of(folder_)), milliseconds(time));
  // Mostly the last two have it all: each begins with what is held.
  for (std::size_t count = 2;; count *= 4) {
    const std::size_t first = files.size() - std::min(count, files.size());
    std::vector<std::string> found_faults;
    Tracker tracker(proxy, milliseconds(time));
    for (std::size_t i = first; i < files.size(); ++i) {
      read(
          files[i], i + 1 == files.size(), found_faults,
          [&](const Contents& contents) { tracker.begin(contents); },
          [&](const Contents& contents, const Entry& entry) { tracker.take(contents, entry); });
    }
    if (!tracker.complete() && first > 0) continue;
    faults.insert(faults.end(), found_faults.begin(), found_faults.end());
    if (tracker.found()) return tracker.take();
    return Error{Code::not_found,
                 fmt::format("the record has nothing of proxy {} until then", proxy)};
  }
}

Result<std::vector<Happening>> History::between(const std::string& proxy, Clock::Wall from,
                                                Clock::Wall to, std::size_t most,
                                                std::vector<std::string>& faults) const {
  const auto files = until(TRY(files_of(folder_)), milliseconds(to));
  std::size_t first = 0;
  while (first + 1 < files.size() && files[first + 1].begun <= milliseconds(from)) ++first;
  Listing listing(proxy, milliseconds(from), milliseconds(to));
  for (std::size_t i = first; i < files.size(); ++i) {
    read(
        files[i], i + 1 == files.size(), faults,
        [&](const Contents& contents) { listing.begin(contents); },
        [&](const Contents& contents, const Entry& entry) { listing.take(contents, entry); });
  }
  auto all = listing.take();
  if (all.size() > most) {
    return Error{Code::out_of_range,
                 fmt::format("{} things happened to {} in that time, at most {} are told at once",
                             all.size(), proxy, most)};
  }
  return all;
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
    config->layers[i].push_back(
        std::make_shared<const resource::ResourceSet>(std::move(resources)));
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
  for (auto& [id, it] : all) sorted.push_back(std::move(it));
  return sorted;
}

}  // namespace graymesh::record
