// Waits until a mesh is as `graymesh up` wants it, and tells people how far it is.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/up_standing.h"

namespace graymesh::cli {

struct UpWait {
  std::string server;                   // graymeshd's API
  std::vector<nlohmann::json> objects;  // what it was given
  std::chrono::seconds timeout{120};
};

// The last standing; it is up, hopeless, or late. Progress goes to standard error: a screen on a
// terminal, a line for each change elsewhere. unavailable: graymeshd answers no more.
Result<UpStanding> wait_until_up(const UpWait& wait);

}  // namespace graymesh::cli
