// The mesh that benchmarks build on: N services from tools/gen_mesh.py, with 11 pods to 7 services,
// a VirtualService and a DestinationRule for nine services of ten.
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "control/resource/node.h"
#include "model/model.h"

namespace graymesh::bench {

using Objects = std::vector<model::ObjectPtr>;

// As they are read, sorted by key. Ends the program if it is not run in the checkout's root.
inline Objects generate(int services) {
  namespace fs = std::filesystem;
  std::string name = (fs::temp_directory_path() / "graymesh-bench-XXXXXX").string();
  const fs::path folder = ::mkdtemp(name.data());
  const std::string command = fmt::format(
      "python3 tools/gen_mesh.py --out {} --services {} --pods {} --format k8s >/dev/null",
      folder.string(), services, services * 11 / 7);
  if (std::system(command.c_str()) != 0) {
    fmt::print(stderr, "run this from the root of the checkout: tools/gen_mesh.py was not found\n");
    std::exit(1);
  }
  std::map<model::Key, model::ObjectPtr> objects;
  for (const auto& file : fs::directory_iterator(folder / "config")) {
    for (const auto& document : model::read(read_file(file.path()).value(), file.path().string())) {
      if (document.object) objects[document.object->meta.key] = document.object;
    }
  }
  fs::remove_all(folder);
  Objects result;
  result.reserve(objects.size());
  for (auto& [key, object] : objects) result.push_back(std::move(object));
  return result;
}

// The same, generated once for each size.
inline const Objects& mesh_of(std::int64_t services) {
  static std::map<std::int64_t, Objects> meshes;
  auto& mesh = meshes[services];
  if (mesh.empty()) mesh = generate(static_cast<int>(services));
  return mesh;
}

// A sidecar for every pod.
inline std::vector<resource::Node> nodes_of(const Objects& objects) {
  std::vector<resource::Node> nodes;
  for (const auto& object : objects) {
    const auto* pod = std::get_if<model::Pod>(&object->spec);
    if (!pod || pod->ips.empty()) continue;
    resource::Node node;
    node.kind = resource::Node::Kind::sidecar;
    node.namespace_ = object->meta.key.namespace_;
    node.name = object->meta.key.name;
    node.address = pod->ips.front();
    node.addresses = {node.address};
    node.labels = object->meta.labels;
    node.user_agent = "envoy 1.40.0";
    nodes.push_back(std::move(node));
  }
  return nodes;
}

}  // namespace graymesh::bench
