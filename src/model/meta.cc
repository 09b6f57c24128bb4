#include "model/meta.h"

#include <fmt/core.h>

#include <algorithm>

namespace graymesh::model {

std::string_view name_of(Kind kind) {
  switch (kind) {
    case Kind::namespace_:
      return "Namespace";
    case Kind::node:
      return "Node";
    case Kind::pod:
      return "Pod";
    case Kind::service:
      return "Service";
    case Kind::endpoint_slice:
      return "EndpointSlice";
    case Kind::virtual_service:
      return "VirtualService";
    case Kind::destination_rule:
      return "DestinationRule";
    case Kind::service_entry:
      return "ServiceEntry";
    case Kind::workload_entry:
      return "WorkloadEntry";
    case Kind::gateway:
      return "Gateway";
    case Kind::sidecar:
      return "Sidecar";
    case Kind::unsupported:
      return "Unsupported";
    case Kind::application:
      return "Application";
    case Kind::gray_release:
      return "GrayRelease";
    case Kind::lane:
      return "Lane";
    case Kind::environment:
      return "Environment";
  }
  return "unknown";
}

std::pair<std::string_view, std::string_view> kind_and_name(const Key& key) {
  constexpr std::string_view endpoints = "endpoints/";
  std::string_view kind = name_of(key.kind), name = key.name;
  if (key.kind == Kind::endpoint_slice && name.starts_with(endpoints)) {
    kind = "Endpoints";
    name.remove_prefix(endpoints.size());
  } else if (key.kind == Kind::unsupported) {
    kind = name.substr(0, name.find('/'));
    name.remove_prefix(std::min(kind.size() + 1, name.size()));
  }
  return {kind, name};
}

std::string to_string(const Key& key) {
  const auto [kind, name] = kind_and_name(key);
  return key.namespace_.empty() ? fmt::format("{} {}", kind, name)
                                : fmt::format("{} {}/{}", kind, key.namespace_, name);
}

std::string to_string(const Problem& problem) {
  std::string text = problem.position.file;
  if (text.empty())
    text = fmt::format("line {}", problem.position.line);
  else if (problem.position.line > 0)
    text += fmt::format(":{}", problem.position.line);  // 0: the file as a whole
  if (!problem.object.empty()) text += fmt::format(" {}", problem.object);
  text += ": ";
  if (!problem.field.empty()) text += fmt::format("{} ", problem.field);
  if (!problem.value.empty()) {
    text += problem.value;
    text += ", ";
  }
  return text + problem.rule;
}

}  // namespace graymesh::model
