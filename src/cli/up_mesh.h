// What graymeshd shall read, from the files that people gave to `graymesh up`. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"

namespace graymesh::cli {

struct UpSource {
  std::string from;       // as errors shall name it
  std::string directory;  // where applications run that do not say; relative ones start here
  std::string namespace_;
  std::string text;
};

struct UpMesh {
  std::string yaml;                     // one file: a change of it is one change
  std::vector<nlohmann::json> objects;  // the same, in order
  std::vector<std::string> errors;      // any: nothing of it may be used
  std::vector<std::string> warnings;
  bool own_gateway = false;  // there is one that nobody declared
};

// An Application that says no directory runs in its file's. One with hosts and no gateways is
// served by the one Gateway that is declared; if none is, there is one at `listen` (HOST:PORT).
UpMesh up_mesh(const std::vector<UpSource>& sources, const std::string& listen);

// Where a browser or curl finds each host of an Application: "http://hello.localhost:8000/", or
// "http://127.0.0.1:8000/ -H 'Host: hello.example'" where no resolver knows the name.
std::vector<std::string> addresses_of(const nlohmann::json& application,
                                      const std::vector<nlohmann::json>& objects);

// HOST:PORT of each server of the Gateways among `objects`, for HTTP.
std::vector<std::string> gateway_addresses(const std::vector<nlohmann::json>& objects);

}  // namespace graymesh::cli
