// The release platform before a real engine and a real server, and a client of it.
#pragma once

#include <gtest/gtest.h>
#include <httplib.h>

#include <string>

#include "api/testing.h"
#include "base/json.h"

namespace graymesh::api {

using nlohmann::json;

inline std::string application(const std::string& name, const std::string& more = "") {
  return "apiVersion: graymesh.io/v1alpha1\nkind: Application\nmetadata: {name: " + name +
         ", namespace: fe-pre}\nspec:\n  team: shop\n  ports: [{name: http, port: 8080}]\n"
         "  run: {command: [./" +
         name + "], version: v1}\n  replicas: 2\n" + more;
}

inline json gray(const std::string& tag, const json& more = json::object()) {
  json out = {{"apiVersion", "graymesh.io/v1alpha1"},
              {"kind", "GrayRelease"},
              {"metadata", {{"name", "web-" + tag}, {"namespace", "fe-pre"}}},
              {"spec", {{"tag", tag}, {"applications", {{{"name", "web"}}}}}}};
  out["spec"].update(more);
  return out;
}

struct Answer {
  int status = -1;
  json body = {};
  httplib::Headers headers = {};
  std::string header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? "" : found->second;
  }
};

class PlatformApi : public ::testing::Test {
 protected:
  explicit PlatformApi(const std::string& tokens = "", bool with_engine = true)
      : platform_(tokens, with_engine), client_("127.0.0.1", platform_.server->port()) {
    client_.set_read_timeout(30);
  }

  static Answer of(const httplib::Result& result) {
    if (!result) return {};
    return {result->status, json::parse(result->body, nullptr, false), result->headers};
  }
  Answer get(const std::string& path) { return of(client_.Get(path)); }
  Answer post(const std::string& path, const std::string& body = "",
              const httplib::Headers& headers = {}) {
    return of(client_.Post(path, headers, body, "application/json"));
  }
  Answer remove(const std::string& path, const httplib::Headers& headers = {}) {
    return of(client_.Delete(path, headers));
  }

  // web with its baseline, and a release of tag `tag` that is gray.
  std::string gray_web(const std::string& tag) {
    EXPECT_EQ(post("/api/v1/applications", application("web")).status, 200);
    const Answer started = post("/api/v1/releases?wait=20", gray(tag).dump());
    EXPECT_EQ(started.body.value("phase", ""), "gray") << started.body;
    return std::to_string(started.body.value("id", 0));
  }

  testing::ServedPlatform platform_;
  httplib::Client client_;
};

}  // namespace graymesh::api
