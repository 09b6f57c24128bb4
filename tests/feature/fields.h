// For the tests that no field of Istio's is silently without effect: each one, taken away, changes
// what some proxy is sent, or is missed (its object is refused without it), or the object says that
// it does nothing.
//
// An example is an object with many fields, none with its default value, beside a small mesh. Each
// part of its spec, inner ones too, is taken away by itself, and the mesh is translated again for a
// few proxies of different kinds. Fields that cannot stand together have examples of their own.
#pragma once

#include <set>
#include <string>
#include <vector>

namespace graymesh::feature {

struct Example {
  std::string object;                     // JSON
  std::string more = {};                  // YAML that it needs beside it
  std::set<std::string> on_purpose = {};  // fields that need no word
};

// Of `kind` with this spec, as JSON, in the namespace fe-pre.
std::string istio(const std::string& kind, const std::string& spec);

// The fields that do nothing and of which nobody is told: "http[0].match[0].port".
std::vector<std::string> silent(const Example& example);

// Those of a MeshConfig (JSON).
std::vector<std::string> silent_of_mesh(const std::string& config, const std::string& more,
                                        const std::set<std::string>& on_purpose);

}  // namespace graymesh::feature
