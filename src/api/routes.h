// What is served below /api/v1: each path with its method, who may call it, and what answers.
// GET /api/v1 lists them, and tests/api_docs_test.py compares the list with docs/api.yaml.
#pragma once

#include <httplib.h>

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/api.h"
#include "release/plan/plan.h"

namespace graymesh::api {

// One request of somebody who is known.
struct Call {
  const httplib::Request& request;
  httplib::Response& response;
  const release::Actor& who;

  std::string part(std::size_t at) const { return request.matches[at + 1].str(); }
  std::string query(const char* name) const { return request.get_param_value(name); }
};

class Routes {
 public:
  // `tokens` null: names are taken on trust.
  Routes(httplib::Server& http, const Tokens* tokens) : http_(http), tokens_(tokens) {}

  // `path` as in OpenAPI: "/api/v1/lanes/{namespace}/{name}"; part(0) is the first in braces.
  void add(const std::string& method, const std::string& path,
           std::function<void(const Call&)> answer);
  // What is added from now on answers this instead, until none: it is not there in this program.
  void answer_instead(std::optional<Error> error) { instead_ = std::move(error); }
  const std::vector<std::pair<std::string, std::string>>& all() const { return all_; }

 private:
  httplib::Server& http_;
  const Tokens* tokens_;
  std::optional<Error> instead_;
  std::vector<std::pair<std::string, std::string>> all_;  // method, path
};

}  // namespace graymesh::api
