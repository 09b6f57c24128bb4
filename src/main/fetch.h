// One GET of what others count: an Envoy's admin, a Prometheus; and one POST to an Envoy's admin.
#pragma once

#include <string>

#include "base/result.h"

namespace graymesh {

// The body of a 200 from "http://host:port/path". unavailable otherwise, with the address and why.
Result<std::string> fetch(const std::string& url);
// Of nothing; what is answered is not read.
Status post(const std::string& url);

}  // namespace graymesh
