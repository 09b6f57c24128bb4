// The fuzzers' corpus and seeded mutations of it, so that every build tries hostile bytes, without
// clang.
#include <algorithm>
#include <filesystem>
#include <random>

#include "base/file.h"
#include "model/fuzzing.h"
#include "model/testing.h"

namespace graymesh::model {
namespace {

std::vector<std::string> corpus() {
  std::vector<std::string> files;
  for (const std::string folder : {"fuzz/model.corpus", "fuzz/tree.corpus"}) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      auto bytes = read_file(entry.path());
      EXPECT_TRUE(bytes) << entry.path();
      if (bytes) files.push_back(*std::move(bytes));
    }
  }
  // Folders list in any order; the seed must mean the same mutations everywhere.
  std::sort(files.begin(), files.end());
  return files;
}

class Mutator {
 public:
  explicit Mutator(unsigned seed) : random_(seed) {}

  std::string mutate(std::string text, const std::string& other) {
    for (std::size_t i = 0, count = 1 + below(4); i < count; ++i) step(text, other);
    return text;
  }

 private:
  std::size_t below(std::size_t bound) { return bound == 0 ? 0 : random_() % bound; }

  void step(std::string& text, const std::string& other) {
    static const std::vector<std::string> tokens = {"---\n",   "...\n", "&a ",
                                                    "*a",      "<<: ",  "\n  ",
                                                    "\t",      "\"",    "'",
                                                    "|\n",     ">-\n",  "[",
                                                    "]",       "{",     "}",
                                                    ": ",      "- ",    "!!str ",
                                                    "~",       "\r\n",  "\xEF\xBB\xBF",
                                                    "\xFF",    "1e9",   "-1",
                                                    "\\u0000", "%",     "kind: List\nitems:\n- "};
    const std::size_t at = below(text.size() + 1);
    const std::size_t size = below(std::min<std::size_t>(text.size() - at, 40) + 1);
    switch (below(6)) {
      case 0:
        text.insert(at, tokens[below(tokens.size())]);
        break;
      case 1:
        text.erase(at, size);
        break;
      case 2:
        text.insert(below(text.size() + 1), text.substr(at, size));
        break;
      case 3:
        text.insert(at, other, below(other.size() + 1), below(60));
        break;
      case 4:
        text.resize(at);
        break;
      default:
        if (at < text.size()) text[at] = static_cast<char>(random_());
    }
  }

  std::mt19937 random_;
};

TEST(AnyBytes, OfTheCorpusAreReadOrRefused) {
  const auto files = corpus();
  ASSERT_GE(files.size(), 10u);
  for (const std::string& file : files) {
    try_read(file);
    try_tree(file);
  }
}

TEST(AnyBytes, MutatedAreReadOrRefused) {
  constexpr unsigned seed = 20240501;
  constexpr std::size_t mutations = 3000;
  const auto files = corpus();
  ASSERT_FALSE(files.empty());
  Mutator mutator(seed);
  for (std::size_t i = 0; i < mutations; ++i) {
    const std::string bytes =
        mutator.mutate(files[i % files.size()], files[(i * 7 + 3) % files.size()]);
    SCOPED_TRACE(i);
    try_read(bytes);
    try_tree(bytes);
  }
}

}  // namespace
}  // namespace graymesh::model
