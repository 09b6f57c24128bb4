// Inside the room: which requests a route takes for sure. `shadowed` itself is at the door.
#pragma once

#include "control/snapshot/snapshot.h"

namespace graymesh::snapshot {

bool takes_all(const model::HttpMatch& match);
// One of its matches takes every request, or it has none.
bool takes_all(const model::HttpRoute& route);

// True if every request that `later` takes is one that `earlier` takes.
bool covers(const model::HttpRoute& earlier, const model::HttpRoute& later);

}  // namespace graymesh::snapshot
