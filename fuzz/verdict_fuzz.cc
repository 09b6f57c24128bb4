// What others answer an analysis: the first byte chooses an Envoy's statistics, a Prometheus' value
// or a State that was kept. Whatever is read is finite, and a state of it is judged.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "release/verdict/answers.h"
#include "release/verdict/verdict.h"

namespace {

using namespace graymesh::verdict;

void check(bool holds) {
  if (!holds) std::abort();
}

void read_as_envoy(std::string_view bytes) {
  const auto clusters = read_envoy_stats(bytes);
  if (!clusters) return;
  State state;
  const std::vector<Metric> metrics{{}, {.kind = Metric::Kind::latency, .name = "p99 latency"}};
  for (const auto& [name, counts] : *clusters) {
    check(counts.requests >= counts.failures && counts.failures >= 0);
    check(since(counts, counts).requests == 0);
    Sample sample{.seconds = 1, .requests = {{counts.failures, counts.requests}, {1, 100}}};
    sample.gray_ms = sample.baseline_ms = counts.ms;
    observe(state, metrics, sample);
  }
  check(!judge({{"web", state}}, metrics, {}).why.empty());
  const auto again = load(save(state));
  check(again.has_value() && *again == state);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 3) {
    case 0:
      read_as_envoy(bytes);
      break;
    case 1: {
      const auto value = read_prometheus(bytes);
      check(!value || !*value || std::isfinite(**value));
      break;
    }
    default: {
      const auto state = load(bytes);
      if (state) check(load(save(*state)).has_value());
      break;
    }
  }
  return 0;
}
