// $(NAME) in commands and environments, and the environment that goes with it.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "release/workload/record.h"

namespace graymesh::workload {

using Variables = std::map<std::string, std::string>;

// ADDRESS, PORT, PORT_<NAME>, INSTANCE and PROXY of one instance. Names of ports are in upper case
// with _ for what an environment cannot have: PORT_GRPC_WEB of "grpc-web".
Variables variables_of(const Spec& spec);

// `text` with every $(NAME) of `variables` replaced; all else stays as it is, and what was put in
// is not looked at again.
std::string substitute(std::string_view text, const Variables& variables);

// What is added to the environment of the application: its own, substituted, over `variables` and
// http_proxy.
Variables environment_of(const Spec& spec, const Variables& variables);

}  // namespace graymesh::workload
