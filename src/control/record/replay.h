// A segment read again: entries in order, with what their numbers mean.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "control/record/entries.h"
#include "control/record/files.h"
#include "control/record/segment.h"

namespace graymesh::record {

// What was told so far. Bodies are left where they are.
struct Contents {
  struct Resource {
    resource::Type type{};
    std::string name;
    std::uint64_t version = 0;
    std::vector<std::string> origins;
    std::optional<Number> base;
  };
  File file;
  SegmentHead head;
  std::vector<Resource> resources;
  std::vector<Batch> batches;
  std::vector<Set> sets;

  // How many names these are.
  std::size_t names_of(const Holds& holds) const;
  // data_loss: it calls something by a number that nothing has.
  Status take(const Entry& entry);
};

// Goes over all entries; the first error ends it, what came before has been visited.
Status replay(SegmentReader& reader, Contents& contents,
              const std::function<void(const Entry&)>& visit);

// The bytes of these resources of one file, checked against their versions.
Result<std::map<Number, std::string>> bodies(const std::filesystem::path& file,
                                             std::set<Number> wanted);

}  // namespace graymesh::record
