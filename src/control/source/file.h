// One file as it is believed to be: what its newest text says, and what of its older text still
// stands because the newest cannot be trusted.
//
// The rule. A document that is refused leaves its last good state standing. If a refused document
// does not even tell its name (the text is cut in the middle, or a brace is missing), it may be any
// of those that the file had: then every object that the file had, and that the new text does not
// name, stands as it was, until the file reads well again. A file that cannot be read at all keeps
// all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/source/disk.h"
#include "model/model.h"

namespace graymesh::source {

// What came of reading a file once.
struct Reading {
  Stamp stamp;
  std::uint64_t hash = 0;  // of the bytes
  // The file changed so shortly before it was read, that its Stamp may not show the next change.
  bool young = false;
  bool known = false;  // its hash is that of the reading before: `documents` is left empty
  std::vector<model::Document> documents;
  std::optional<std::string> failure;  // why there are none
};

// How one Key stands in one file.
struct Standing {
  model::Key key;
  model::ObjectPtr object;  // the newest if it is good, else the last good; null if never good
  std::vector<model::Problem> errors;  // why the newest text was refused
  model::Position position;            // of the newest text
  std::string text;                    // the newest text, if refused
  bool found = true;                   // false: not really there any more, but kept
};

struct File {
  std::string path;
  Stamp stamp;
  std::uint64_t hash = 0;
  bool young = false;
  bool failed = false;              // it could not be read the last time; `hash` means nothing
  std::vector<Standing> standings;  // in the order of the text; kept ones last
  std::vector<model::Problem> nameless;
  std::map<std::string, std::size_t> passed_over;
};
using FilePtr = std::shared_ptr<const File>;

struct ToRead {
  std::string path;
  std::optional<std::uint64_t> known_hash;  // of the last reading, if that went well
};

// Reads and checks files, many of them on several threads; in the order of `files`.
std::vector<Reading> read_all(const std::vector<ToRead>& files, std::size_t bytes_max);

// The File after `reading`; `before` is null at the first one. Objects whose text and place did not
// change keep their address.
FilePtr absorb(const File* before, const std::string& path, Reading reading);

// The File while it is not there, but that is not believed yet: it steps back behind what is.
FilePtr doubted(const File& file);

}  // namespace graymesh::source
