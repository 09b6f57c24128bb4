#include "control/record/replay.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/hash.h"
#include "control/record/delta.h"

namespace graymesh::record {
namespace {

constexpr std::size_t body_bytes_max = std::size_t{64} << 20;

bool below(const std::vector<Number>& numbers, std::size_t end) {
  return std::ranges::all_of(numbers, [&](Number number) { return number < end; });
}

}  // namespace

std::size_t Contents::names_of(const Holds& holds) const {
  std::set<std::string_view> names(holds.claimed.begin(), holds.claimed.end());
  for (const auto* numbers : {&holds.sets, &holds.claimed_sets}) {
    for (const Number set : *numbers) {
      for (const Number number : sets[set].resources) names.insert(resources[number].name);
    }
  }
  for (const auto& name : holds.lacks) names.erase(name);
  for (const Number number : holds.held) names.insert(resources[number].name);
  return names.size();
}

Status Contents::take(const Entry& entry) {
  const Error broken{
      Code::data_loss,
      fmt::format("{}: an entry means something that is not in the file", file.path.string())};
  if (const auto* body = std::get_if<Body>(&entry)) {
    if (body->base && *body->base >= resources.size()) return broken;
    resources.push_back({body->type, body->name, body->version, body->origins, body->base});
  } else if (const auto* batch = std::get_if<Batch>(&entry)) {
    if (!below(batch->now, resources.size())) return broken;
    batches.push_back(*batch);
  } else if (const auto* set = std::get_if<Set>(&entry)) {
    if (!below(set->resources, resources.size())) return broken;
    sets.push_back(*set);
  } else if (const auto* sent = std::get_if<Sent>(&entry)) {
    if (sent->batch >= batches.size()) return broken;
  } else if (const auto* holds = std::get_if<Holds>(&entry)) {
    if (!below(holds->sets, sets.size()) || !below(holds->claimed_sets, sets.size()) ||
        !below(holds->held, resources.size()))
      return broken;
  }
  return {};
}

Status replay(SegmentReader& reader, Contents& contents,
              const std::function<void(const Entry&)>& visit) {
  contents.head = reader.head();
  for (;;) {
    const auto block = TRY(reader.next());
    if (!block) return {};
    const auto entries = TRY(decode(*block));
    for (const Entry& entry : entries) {
      TRY(contents.take(entry));
      visit(entry);
    }
  }
}

Result<std::map<Number, std::string>> bodies(const std::filesystem::path& file,
                                             std::set<Number> wanted) {
  auto reader = TRY(SegmentReader::open(file));
  Contents contents;
  contents.file.path = file;
  if (auto read = replay(reader, contents, [](const Entry&) {});
      !read && (wanted.empty() || *wanted.rbegin() >= contents.resources.size())) {
    return read.error();
  }
  // What they are made from comes before them.
  std::set<Number> all = wanted;
  for (auto at = wanted.rbegin(); at != wanted.rend(); ++at) {
    if (*at >= contents.resources.size()) {
      return Error{Code::not_found, fmt::format("{} has no resource {}", file.string(), *at)};
    }
    for (auto base = contents.resources[*at].base; base && all.insert(*base).second;)
      base = contents.resources[*base].base;
  }
  std::map<Number, std::string> made;
  Number number = 0;
  auto again = TRY(SegmentReader::open(file));
  while (number < contents.resources.size()) {
    const auto block = TRY(again.next());
    if (!block) break;
    const auto entries = TRY(decode(*block));
    for (const Entry& entry : entries) {
      const auto* body = std::get_if<Body>(&entry);
      if (body == nullptr || !all.contains(number++)) continue;
      auto bytes = body->base ? TRY(apply_delta(made.at(*body->base), body->bytes, body_bytes_max))
                              : body->bytes;
      if (hash64(bytes) != body->version) {
        return Error{Code::data_loss,
                     fmt::format("{}: the bytes of {} are not those of version {}", file.string(),
                                 body->name, to_hex(body->version))};
      }
      made.emplace(number - 1, std::move(bytes));
    }
  }
  std::erase_if(made, [&](const auto& it) { return !wanted.contains(it.first); });
  return made;
}

}  // namespace graymesh::record
