#include "release/workload/ended.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "base/file.h"
#include "release/workload/record.h"

namespace graymesh::workload {

namespace fs = std::filesystem;

Status Ended::open(const fs::path& folder) {
  folder_ = folder;
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    return Error{Code::internal,
                 fmt::format("cannot make {}: {}", folder.string(), error.message())};
  }
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    Instance ended{.folder = entry.path()};
    const auto dash = name.rfind('-') + 1;  // 0 if there is none
    std::from_chars(name.data() + dash, name.data() + name.size(), ended.time_ms);
    if (const auto text = read_file(entry.path() / "spec.json")) {
      if (const auto spec = read_spec(*text, "")) ended.address = parse_loopback(spec->address);
    }
    instances_.push_back(std::move(ended));
  }
  std::sort(instances_.begin(), instances_.end(),
            [](const Instance& a, const Instance& b) { return a.time_ms < b.time_ms; });
  prune();
  return {};
}

Status Ended::add(const std::string& key, const fs::path& from, const std::string& address,
                  Clock::Wall now) {
  const std::int64_t time =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count();
  const fs::path to = folder_ / fmt::format("{}-{}", key, time);
  std::error_code error;
  fs::rename(from, to, error);
  if (error) {
    std::error_code ignored;
    fs::remove_all(from, ignored);
    return Error{Code::internal, fmt::format("cannot move {} to {}: {}", from.string(), to.string(),
                                             error.message())};
  }
  instances_.push_back({.folder = to, .time_ms = time, .address = parse_loopback(address)});
  prune();
  return {};
}

void Ended::add_addresses(std::set<Loopback>& to) const {
  for (const Instance& instance : instances_) {
    if (instance.address) to.insert(*instance.address);
  }
}

void Ended::prune() {
  std::error_code error;
  for (; instances_.size() > max; instances_.pop_front())
    fs::remove_all(instances_.front().folder, error);
}

}  // namespace graymesh::workload
