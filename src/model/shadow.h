// Which requests a route takes for sure, and so which routes behind it are met by nobody. Told
// where it is plain: no match, an equal one, a prefix of the path or of a value, any value, the
// same or fewer other conditions; nobody compares regular expressions.
//
//   http[0] user: {prefix: beta}   hides   http[1] user: {exact: beta-7}, ring: {exact: "1"}
#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "model/traffic.h"

namespace graymesh::model {

bool takes_all(const HttpMatch& match);
// One of its matches takes every request, or it has none.
bool takes_all(const HttpRoute& route);

// True if every request that `later` takes is one that `earlier` takes.
bool covers(const HttpMatch& earlier, const HttpMatch& later);
bool covers(const HttpRoute& earlier, const HttpRoute& later);

// Routes that no request reaches, each as (hidden, hiding), places in `routes`, which are tried in
// order: an earlier one, the first of them, takes whatever the hidden one would.
std::vector<std::pair<std::size_t, std::size_t>> shadowed(std::span<const HttpRoute> routes);

}  // namespace graymesh::model
