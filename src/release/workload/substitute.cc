#include "release/workload/substitute.h"

#include <fmt/core.h>

#include <cctype>

namespace graymesh::workload {

Variables variables_of(const Spec& spec) {
  Variables variables = {
      {"ADDRESS", application_address(spec)},
      {"INSTANCE", spec.name},
      {"PROXY", spec.pod.sidecar ? fmt::format("http://{}:15001", spec.address) : std::string()}};
  if (!spec.pod.ports.empty()) variables["PORT"] = std::to_string(spec.pod.ports[0].number);
  for (const Port& port : spec.pod.ports) {
    if (port.name.empty()) continue;
    std::string name = "PORT_";
    for (const char c : port.name) {
      const auto byte = static_cast<unsigned char>(c);
      name += std::isalnum(byte) != 0 ? static_cast<char>(std::toupper(byte)) : '_';
    }
    variables[name] = std::to_string(port.number);
  }
  return variables;
}

std::string substitute(std::string_view text, const Variables& variables) {
  std::string out;
  while (!text.empty()) {
    const auto open = text.find("$(");
    out += text.substr(0, open);
    if (open == std::string_view::npos) break;
    text.remove_prefix(open);
    const auto close = text.find(')');
    const auto known = close == std::string_view::npos
                           ? variables.end()
                           : variables.find(std::string(text.substr(2, close - 2)));
    if (known == variables.end()) {
      out += "$(";
      text.remove_prefix(2);
    } else {
      out += known->second;
      text.remove_prefix(close + 1);
    }
  }
  return out;
}

Variables environment_of(const Spec& spec, const Variables& variables) {
  Variables environment = variables;
  if (spec.pod.sidecar) environment["http_proxy"] = variables.at("PROXY");
  for (const auto& [name, value] : spec.pod.environment) {
    environment[name] = substitute(value, variables);
  }
  return environment;
}

}  // namespace graymesh::workload
