// apply() and remove() of a Folder, planned as a whole before the first byte is written.
//
// A plan is made from the files as they are on disk now, not as they were when last read; Objects
// only say where to look. Carrying it out fails, before anything is written, if a file has changed
// under the plan's feet.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "control/source/source.h"

namespace graymesh::source {

struct FileChange {
  std::string path;                   // links followed
  std::optional<std::string> before;  // none: there must be no such file
  std::optional<std::string> after;   // none: the file is deleted
};

struct EditPlan {
  std::vector<FileChange> changes;
  std::vector<std::pair<model::Key, Folder::Applied>> outcome;
};

// New objects get files in `folder`. invalid_argument, with a line for each problem;
// failed_precondition where the object stands in a place that cannot be written.
Result<EditPlan> plan_apply(const Objects& objects, const std::string& text,
                            const std::string& folder);
Result<EditPlan> plan_remove(const Objects& objects, const model::Key& key);

// aborted: a file is not as planned, and nothing was written. Other errors name what was written.
Status carry_out(const EditPlan& plan);

// "virtualservice-fe-pre-web.yaml"
std::string file_name_of(const model::Key& key);

}  // namespace graymesh::source
