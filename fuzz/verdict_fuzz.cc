// What others answer an analysis: the first byte chooses a Prometheus' histogram, its
// value, or a State that was kept. Whatever is read is finite, and a state can be kept and judged.
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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 3) {
    case 0: {
      const auto read = read_prometheus_latencies(bytes);
      if (!read || !*read) break;
      for (const double count : **read) check(count >= 0 && std::isfinite(count));
      break;
    }
    case 1: {
      const auto value = read_prometheus(bytes);
      check(!value || !*value || std::isfinite(**value));
      break;
    }
    default: {
      const auto state = load(bytes);
      if (!state) break;
      check(load(save(*state)).has_value());
      check(!judge({{"web", *state}}, {{}}, {}).why.empty());
      break;
    }
  }
  return 0;
}
