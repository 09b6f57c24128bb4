// Who may act, by token.
#include <filesystem>

#include "api/platform.h"
#include "api/platform_fixture.h"
#include "base/file.h"

namespace graymesh::api {
namespace {

class PlatformWithTokens : public PlatformApi {
 protected:
  PlatformWithTokens()
      : PlatformApi("# who is who\n0123456789abcdef-ann ann\n0123456789abcdef-bob bob smith\n") {}
};

TEST_F(PlatformWithTokens, LetsActOnlyWhoIsKnown) {
  const std::string path = "/api/v1/applications";
  EXPECT_EQ(post(path, application("web")).status, 401);
  EXPECT_EQ(post(path, application("web"), {{"X-Graymesh-User", "ann"}}).status, 401);
  const Answer wrong =
      post(path, application("web"), {{"Authorization", "Bearer 0123456789abcdef-eve"}});
  EXPECT_EQ(wrong.status, 401);
  EXPECT_EQ(wrong.body.dump().find("eve"), std::string::npos) << "tokens are not repeated";
  EXPECT_EQ(post("/api/v1/objects", "kind: X\n").status, 401);
  EXPECT_EQ(
      post(path, application("web"), {{"Authorization", "Bearer 0123456789abcdef-bob"}}).status,
      200);
  EXPECT_EQ(get("/api/v1/history").body["items"].back()["who"], "bob smith");
}

TEST_F(PlatformWithTokens, ItsStarterMayNotApproveWhereFourEyesAreAskedFor) {
  const auto as = [](const char* name) {
    return httplib::Headers{{"Authorization", std::string("Bearer 0123456789abcdef-") + name}};
  };
  ASSERT_EQ(post("/api/v1/environments",
                 "apiVersion: graymesh.io/v1alpha1\nkind: Environment\nmetadata: {name: policy, "
                 "namespace: fe-pre}\nspec: {approval: {required: 1, fourEyes: true}}\n",
                 as("ann"))
                .status,
            200);
  ASSERT_EQ(post("/api/v1/applications", application("web"), as("ann")).status, 200);
  const Answer started = post("/api/v1/releases?wait=20", gray("a").dump(), as("ann"));
  const std::string path = "/api/v1/releases/" + std::to_string(started.body.value("id", 0));
  ASSERT_EQ(post(path + "/promote", "", as("ann")).status, 200);
  const Answer own = post(path + "/approve", "", as("ann"));
  EXPECT_EQ(own.status, 403);
  EXPECT_EQ(own.body["detail"], "ann started release 1: fe-pre asks for four eyes");
  auto disguised = as("ann");
  disguised.emplace("X-Graymesh-User", "bob smith");
  EXPECT_EQ(post(path + "/approve", "", disguised).status, 403) << "a token is who it is";
  EXPECT_EQ(get(path).body["phase"], "gray");
  EXPECT_EQ(post(path + "/approve", "", as("bob")).status, 200);
  EXPECT_EQ(get(path + "?until=promoted&wait=20").body["phase"], "promoted");
}

TEST(Tokens, AreRefusedByLineAndNeverShown) {
  const auto file = std::filesystem::path(::testing::TempDir()) / "graymesh-tokens";
  ASSERT_TRUE(write_file(file, "0123456789abcdef ann\nsecretsecretsecret\n"));
  const auto read = Tokens::read(file);
  ASSERT_FALSE(read);
  EXPECT_NE(read.error().message.find(":2:"), std::string::npos);
  EXPECT_EQ(read.error().message.find("secret"), std::string::npos);
  ASSERT_TRUE(write_file(file, "short ann\n"));
  EXPECT_FALSE(Tokens::read(file));
}

}  // namespace
}  // namespace graymesh::api
