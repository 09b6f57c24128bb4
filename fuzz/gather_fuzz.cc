// Two pages of an Envoy's statistics, divided by a line that says "--", as a proxy or whoever sits
// at its address may answer. Counts are numbers that can be added up, and what came between the
// pages is never less than nothing.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "control/gather/gather.h"

namespace {

using namespace graymesh;
using namespace graymesh::gather;
using namespace std::chrono_literals;

void check(bool holds) {
  if (!holds) std::abort();
}

void check_counts(const live::Counts& counts) {
  check(std::isfinite(counts.requests()) && counts.requests() >= counts.failures());
  check(counts.failures() >= 0 && counts.retries >= 0);
  for (const auto& [code, count] : counts.codes) check(count >= 0);
  for (const auto& [bucket, count] : counts.ms) check(bucket < live::buckets && count >= 0);
  check(live::since(counts, counts).empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto line = bytes.find("\n--\n");
  const auto before = read_page(bytes.substr(0, line));
  if (!before) return 0;
  for (const auto& [cluster, counts] : before->clusters) check_counts(counts);
  check_counts(before->received);
  if (line == std::string_view::npos) return 0;
  const auto now = read_page(bytes.substr(line + 4));
  if (!now) return 0;
  Followed::Sums sums{{{"fe-pre", "web"}, {}}, {{"fe-pre", "cart"}, {}}};
  add_steady(*before, *now, 10s, sums);
  check(sums.size() == 2);
  for (const auto& [service, subsets] : sums) {
    for (const auto& [subset, counts] : subsets) check_counts(counts);
  }
  return 0;
}
