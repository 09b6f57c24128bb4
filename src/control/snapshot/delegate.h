// Delegates: HTTP routes that a root VirtualService leaves to another one
// (docs/translation.md 4.9).
#pragma once

#include <functional>
#include <vector>

#include "control/snapshot/snapshot.h"

namespace graymesh::snapshot {

bool is_delegate(const VirtualService& service);  // it has no hosts of its own
bool has_delegates(const VirtualService& service);

// Null if there is no VirtualService of this name, resolved and not merged.
using FindVirtualService =
    std::function<const VirtualService*(std::string_view namespace_, std::string_view name)>;

// An HTTP route that could not be merged: of `object`, http[index].
struct DelegateFault {
  model::Key object;
  std::size_t index = 0;
  std::string field;  // below http[index]
  std::string value;
  std::string rule;
};

// `root` with the routes of its delegates in place. Routes that cannot be merged are left out and
// named in `faults`.
VirtualService merge_delegates(const VirtualService& root, const FindVirtualService& find,
                               std::vector<DelegateFault>& faults);

}  // namespace graymesh::snapshot
