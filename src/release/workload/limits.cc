#include "release/workload/limits.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <sstream>

#include "base/descriptor.h"

namespace graymesh::workload {
namespace {

namespace fs = std::filesystem;

constexpr int cpu_period_us = 100'000;  // the kernel's own

// Files of a cgroup are there already; O_CREAT serves tests, and the kernel refuses it.
bool put(const fs::path& file, const std::string& text) {
  const Descriptor descriptor(::open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  return descriptor &&
         ::write(descriptor.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

bool has_word(const fs::path& file, std::string_view wanted) {
  std::ifstream in(file);
  for (std::string word; in >> word;) {
    if (word == wanted) return true;
  }
  return false;
}

bool enable(const fs::path& parent, const char* controller) {
  const auto file = parent / "cgroup.subtree_control";
  return has_word(parent / "cgroup.controllers", controller) &&
         (has_word(file, controller) || put(file, fmt::format("+{}", controller)));
}

bool make(const fs::path& parent, const Spec& spec, fs::path& made) {
  const Template& pod = spec.pod;
  std::error_code error;
  if (!fs::is_directory(parent, error)) return false;
  if (pod.memory_bytes_max > 0 && !enable(parent, "memory")) return false;
  if (pod.cpus_max > 0 && !enable(parent, "cpu")) return false;
  made = parent / fmt::format("graymesh.{}.{}.{}", spec.namespace_, spec.name, spec.address);
  if (::mkdir(made.c_str(), 0755) != 0 && errno != EEXIST) return false;
  const auto quota = static_cast<std::int64_t>(pod.cpus_max * cpu_period_us);
  // The kernel's least quota is 1 ms.
  const bool set = (pod.memory_bytes_max == 0 ||
                    put(made / "memory.max", std::to_string(pod.memory_bytes_max))) &&
                   (pod.cpus_max == 0 ||
                    put(made / "cpu.max",
                        fmt::format("{} {}", std::max<std::int64_t>(quota, 1000), cpu_period_us)));
  if (!set) ::rmdir(made.c_str());
  return set;
}

std::string text_of(const char* file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

std::vector<fs::path> cgroup_parents(std::string_view mounts, std::string_view cgroup) {
  fs::path root;
  std::istringstream mount_lines{std::string(mounts)};
  for (std::string line; std::getline(mount_lines, line);) {
    std::istringstream words(line);
    std::string device;
    std::string place;
    std::string type;
    if (words >> device >> place >> type && type == "cgroup2" && root.empty()) root = place;
  }
  std::vector<fs::path> parents;
  std::istringstream group_lines{std::string(cgroup)};
  for (std::string line; std::getline(group_lines, line);) {
    if (!line.starts_with("0::/") || root.empty()) continue;
    const fs::path ours = root / line.substr(4);
    if (line != "0::/") parents.push_back(ours.parent_path());
    parents.push_back(ours);
  }
  return parents;
}

Limits limit(const Spec& spec, const std::vector<fs::path>& parents) {
  const Template& pod = spec.pod;
  if (pod.memory_bytes_max == 0 && pod.cpus_max == 0) return {};
  Limits limits;
  for (const fs::path& parent : parents) {
    if (!make(parent, spec, limits.cgroup)) continue;
    limits.text = fmt::format("by cgroup {}", limits.cgroup.string());
    return limits;
  }
  limits.cgroup.clear();
  limits.address_space_max = pod.memory_bytes_max;
  if (pod.memory_bytes_max > 0) {
    limits.text =
        fmt::format("address space is limited to {} bytes (RLIMIT_AS)", pod.memory_bytes_max);
  }
  if (pod.cpus_max > 0)
    limits.text += limits.text.empty() ? "cpu is not limited" : "; cpu is not limited";
  limits.text += ": no cgroup can be made";
  return limits;
}

Limits limit(const Spec& spec) {
  return limit(spec, cgroup_parents(text_of("/proc/self/mounts"), text_of("/proc/self/cgroup")));
}

}  // namespace graymesh::workload
