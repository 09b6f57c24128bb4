// Each fuzz target with its corpus, with the first half of each of these inputs, and with noise:
// what libFuzzer does not need to find a second time. A target aborts where something is wrong.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <utility>
#include <vector>

#define FUZZ_TARGET(name) extern "C" int fuzz_##name(const std::uint8_t* data, std::size_t size);
#include "fuzz_targets.inc"
#undef FUZZ_TARGET

namespace graymesh {
namespace {

using Target = std::pair<const char*, int (*)(const std::uint8_t*, std::size_t)>;

#define FUZZ_TARGET(name) {#name, fuzz_##name},
const std::vector<Target> targets{
#include "fuzz_targets.inc"
};
#undef FUZZ_TARGET

// In an order that is the same everywhere.
std::vector<std::string> corpus_of(const std::string& name) {
  std::vector<std::filesystem::path> files;
  const std::filesystem::path folder = "fuzz/" + name + ".corpus";
  if (std::filesystem::exists(folder)) {
    for (const auto& entry : std::filesystem::directory_iterator(folder))
      files.push_back(entry.path());
  }
  std::ranges::sort(files);
  std::vector<std::string> inputs;
  for (const auto& path : files) {
    std::ifstream file(path, std::ios::binary);
    inputs.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return inputs;
}

class Fuzz : public testing::TestWithParam<Target> {
 protected:
  void take(const std::string& input) {
    // Of its own length, so that a sanitizer sees what is read beyond it.
    const std::vector<std::uint8_t> bytes(input.begin(), input.end());
    EXPECT_EQ(GetParam().second(bytes.data(), bytes.size()), 0);
  }
};

TEST_P(Fuzz, TakesItsCorpus) {
  const std::string source = std::string("fuzz/") + GetParam().first + "_fuzz.cc";
  ASSERT_TRUE(std::filesystem::exists(source)) << "to be run where the repository is";
  take("");
  for (const auto& input : corpus_of(GetParam().first)) {
    take(input);
    take(input.substr(0, input.size() / 2));
  }
}

TEST_P(Fuzz, TakesNoise) {
  std::mt19937 random(1);
  for (std::size_t size = 1; size <= 400; ++size) {
    std::string noise(size, '\0');
    for (char& c : noise) c = static_cast<char>(random());
    take(noise);
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, Fuzz, testing::ValuesIn(targets),
                         [](const auto& it) { return std::string(it.param.first); });

}  // namespace
}  // namespace graymesh
