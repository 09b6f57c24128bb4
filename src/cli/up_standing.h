// How far a mesh is with what `graymesh up` asked of it: a pure function of what graymeshd tells.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"

namespace graymesh::cli {

// Pages of the API, as they are: lists of items.
struct UpPages {
  nlohmann::json objects = nlohmann::json::array();
  nlohmann::json applications = nlohmann::json::array();
  nlohmann::json instances = nlohmann::json::array();
  nlohmann::json releases = nlohmann::json::array();
  nlohmann::json proxies = nlohmann::json::array();
};

struct UpApplication {
  std::string namespace_, name, version;
  std::size_t ready = 0, replicas = 0;
  bool gateway = false;
  bool up = false;
  std::string waits_for;  // for people; empty if it is up
  std::vector<std::string> urls;
};

struct UpStanding {
  std::vector<UpApplication> applications;
  std::vector<std::string> waits_for;  // beside applications: "3 of 4 proxies are in sync"
  std::vector<std::string> problems;   // of objects that are served all the same
  std::string hopeless;                // why it will not come up; empty: it may
  bool up = false;
};

// `wanted`: the objects that graymeshd was given.
UpStanding standing(const std::vector<nlohmann::json>& wanted, const UpPages& pages);

// What is there and where it answers, for people.
std::string up_table(const UpStanding& standing);
nlohmann::json up_json(const UpStanding& standing);

}  // namespace graymesh::cli
