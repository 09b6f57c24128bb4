// A GrayRelease from the words of a command line. Pure; graymeshd checks what it means.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace graymesh::cli {

// As a POSIX shell splits: blanks, '...', "...", and \ before a character. Nothing is expanded.
Result<std::vector<std::string>> shell_words(const std::string& text);

// "header:canarytag=x,cookie:user^=a" as one entry of spec.match.
Result<nlohmann::json> match_of(const std::string& text);

struct ReleaseWords {
  std::string applications = {};  // "web,cart"
  std::string namespace_ = {};
  std::string tag = {};
  std::vector<std::string> sets = {};     // "command=./web --v2", "cart.replicas=2"
  std::vector<std::string> matches = {};  // any of them
  int weight = -1;                        // percent; -1: none
  std::vector<int> steps = {};
  std::string pause = {};       // "10m", "approval"; of each step
  std::string verdict = {};     // URL; of each step
  bool analysis = false;        // of each step
  std::string prometheus = {};  // URL: of an analysis that asks it instead of proxies
  std::string laggards = {};
  std::string ready_within = {};
  bool promote = false;
  std::string promote_to = {};  // namespace
};
Result<nlohmann::json> gray_release(const ReleaseWords& words);
// The fields of its spec that say how it is released, as far as words give any: match, steps,
// laggards, readyWithin, promote, promoteTo.
Result<nlohmann::json> way_of(const ReleaseWords& words);

}  // namespace graymesh::cli
