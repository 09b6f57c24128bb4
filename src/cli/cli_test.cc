#include "cli/cli.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/json.h"
#include "cli/client.h"
#include "cli/config_table.h"
#include "cli/table.h"

namespace graymesh::cli {
namespace {

using nlohmann::json;

int run_with(std::vector<std::string> words) {
  std::vector<char*> argv;
  argv.reserve(words.size());
  for (auto& word : words) argv.push_back(word.data());
  return run(static_cast<int>(argv.size()), argv.data());
}

TEST(Table, IsAsWideAsItsWidestCellsAndCountsCharacters) {
  EXPECT_EQ(table({"A", "B"}, {{"grün", "1"}, {"x", "22"}}),
            "A      B\n"
            "grün   1\n"
            "x      22\n");
}

TEST(Yaml, IsReadBackAsWhatItWas) {
  const json page = {{"name", "web"},
                     {"empty", json::array()},
                     {"no", "no"},
                     {"port", 8080},
                     {"list", {{{"a", "1"}, {"b", {1, 2}}}, "x: y"}}};
  EXPECT_EQ(to_text(page, Output::yaml),
            "empty: []\n"
            "list:\n"
            "- a: \"1\"\n"
            "  b:\n"
            "  - 1\n"
            "  - 2\n"
            "- \"x: y\"\n"
            "name: web\n"
            "\"no\": \"no\"\n"
            "port: 8080\n");
}

TEST(PercentEncoding, LeavesOnlyUnreservedCharacters) {
  EXPECT_EQ(percent_encoded("sidecar~127.1.2.3~web-0.x~a/b c"),
            "sidecar~127.1.2.3~web-0.x~a%2Fb%20c");
}

TEST(Cli, TellsWrongUsageFromAnAbsentServer) {
  EXPECT_EQ(run_with({"graymesh"}), exit_usage);
  EXPECT_EQ(run_with({"graymesh", "get"}), exit_usage);
  EXPECT_EQ(run_with({"graymesh", "--help"}), exit_ok);
  EXPECT_EQ(run_with({"graymesh", "-s", "127.0.0.1:1", "get", "vs"}), exit_unreachable);
  EXPECT_EQ(run_with({"graymesh", "validate", "no-such-file.yaml"}), exit_failed);
}

TEST(Validate, NamesObjectsOfKindsThatAreNotSupportedYet) {
  const std::string file = testing::TempDir() + "graymesh-validate.yaml";
  std::string text;
  for (const char* name : {"deny", "allow"})
    text += fmt::format(
        "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
        "metadata: {{name: {}, namespace: shop}}\n",
        name);
  text += "---\napiVersion: apps/v1\nkind: Deployment\n";
  ASSERT_TRUE(write_file(file, text));
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  const int code = run_with({"graymesh", "validate", file});
  const std::string told = testing::internal::GetCapturedStderr();
  EXPECT_EQ(code, exit_ok);
  EXPECT_EQ(testing::internal::GetCapturedStdout(),
            "0 good, 0 refused, 2 not supported yet, 1 of other kinds passed over, 2 warnings\n");
  EXPECT_EQ(told,
            fmt::format("warning: {0}:3 AuthorizationPolicy shop/deny: kind AuthorizationPolicy, "
                        "is not supported yet: nobody enforces it\n"
                        "warning: {0}:7 AuthorizationPolicy shop/allow: kind AuthorizationPolicy, "
                        "is not supported yet: nobody enforces it\n",
                        file));
}

TEST(ConfigTables, ShowRoutesAsOneLineEach) {
  const json dump = json::parse(R"({"configs":[{
    "@type": "type.googleapis.com/envoy.admin.v3.RoutesConfigDump",
    "dynamic_route_configs": [{"route_config": {"name": "8080", "virtual_hosts": [{"name": "web:8080", "routes": [
      {"match": {"prefix": "/", "headers": [{"name": "canarytag", "string_match": {"exact": "feature-a"}}]},
       "route": {"cluster": "outbound|8080|feature-a|web"},
       "metadata": {"filter_metadata": {"istio": {"config": "/apis/networking.istio.io/v1/namespaces/fe-pre/virtual-service/web"}}}},
      {"match": {"path": "/x"}, "direct_response": {"status": 404}}]}]}}]}]})");
  EXPECT_EQ(config_tables(dump),
            "ROUTE TABLE   VIRTUAL HOST   MATCH                    DESTINATION                   "
            "VIRTUAL SERVICE\n"
            "8080          web:8080       /* canarytag=feature-a   outbound|8080|feature-a|web   "
            "web.fe-pre\n"
            "8080          web:8080       /x                       answers 404\n");
}

}  // namespace
}  // namespace graymesh::cli
