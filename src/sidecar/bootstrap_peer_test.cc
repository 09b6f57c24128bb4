// What a real Envoy says to our bootstraps. Skipped out loud where there is none.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "sidecar/sidecar.h"

namespace graymesh::sidecar {
namespace {

std::filesystem::path envoy() {
  if (const char* bin = std::getenv("GRAYMESH_BIN"); bin != nullptr) {
    if (const auto found = find_envoy(std::filesystem::path(bin) / "envoy")) return *found;
  }
  return find_envoy({}).value_or({});
}

class BootstrapInEnvoy : public testing::Test {
 protected:
  void SetUp() override {
    if (envoy().empty()) GTEST_SKIP() << "no envoy to ask: tools/install-deps brings it";
  }

  // "" if Envoy accepts it, else what it printed.
  static std::string refusal(const Identity& identity, const BootstrapOptions& options) {
    const auto text = bootstrap(identity, options);
    if (!text) return text.error().message;
    std::string base = testing::TempDir() + "graymesh-bootstrap-XXXXXX";
    if (::mkdtemp(base.data()) == nullptr) return "no temporary folder";
    const std::filesystem::path folder = base;
    std::ofstream(folder / "bootstrap.json") << *text;
    const std::string command = envoy().string() + " --mode validate --log-level warning -c " +
                                (folder / "bootstrap.json").string() + " >" +
                                (folder / "said").string() + " 2>&1";
    const int status = std::system(command.c_str());
    std::ifstream file(folder / "said");
    std::string said{std::istreambuf_iterator<char>(file), {}};
    std::filesystem::remove_all(folder);
    // A warning is a refusal too: people would see it at every start.
    return status == 0 && said.find("[warning]") == std::string::npos ? "" : said;
  }

  Identity identity_{.address = "127.1.2.3",
                     .name = "web-0",
                     .namespace_ = "fe-pre",
                     .labels = {{"app", "web"}},
                     .locality = "eu/eu-1/rack-2"};
};

TEST_F(BootstrapInEnvoy, IsAcceptedWithoutAWarning) { EXPECT_EQ(refusal(identity_, {}), ""); }

TEST_F(BootstrapInEnvoy, IsAcceptedInEveryVariant) {
  EXPECT_EQ(refusal(identity_, {.delta = false, .all_stats = true, .ports = {.stats = 0}}), "");
  EXPECT_EQ(refusal(identity_, {.control_planes = {"localhost:15010", "10.0.0.1:15010"}}), "");
  identity_.address = "fd00::1";
  identity_.type = Identity::Type::router;
  identity_.http_proxy_port = 15001;
  EXPECT_EQ(refusal(identity_, {.control_planes = {"[fd00::2]:15010"}}), "");
}

}  // namespace
}  // namespace graymesh::sidecar
