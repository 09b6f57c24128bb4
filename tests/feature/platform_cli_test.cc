// `graymesh` as scripts call it, before a real API and a real engine whose instances and proxies
// are made up: what goes to standard output, what to standard error, and the exit code.
#include <gmock/gmock.h>
#include <httplib.h>

#include "api/testing.h"
#include "base/json.h"
#include "cli/cli.h"

namespace graymesh {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;

struct Ran {
  int code = -1;
  std::string out, err;
  json parsed() const { return json::parse(out, nullptr, false); }
};

class PlatformCli : public ::testing::Test {
 protected:
  // As `graymesh --server ADDRESS words...`.
  Ran graymesh(std::vector<std::string> words) const {
    words.insert(words.begin(), {"graymesh", "--server", platform_.address()});
    std::vector<char*> argv;
    for (auto& word : words) argv.push_back(word.data());
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    Ran ran;
    ran.code = cli::run(static_cast<int>(argv.size()), argv.data());
    std::fflush(stdout);
    ran.out = ::testing::internal::GetCapturedStdout();
    ran.err = ::testing::internal::GetCapturedStderr();
    return ran;
  }

  std::string file(const std::string& name, const std::string& text) const {
    // Not a .yaml in the watched folder: what files declare is changed there, not by the CLI.
    const auto path = platform_.folder_path / "files" / name;
    std::filesystem::create_directories(path.parent_path());
    EXPECT_TRUE(write_file(path, text));
    return path.string();
  }
  std::string application(const std::string& name) const {
    return file(name + ".txt",
                "apiVersion: graymesh.io/v1alpha1\nkind: Application\nmetadata: {name: " + name +
                    ", namespace: fe-pre}\nspec:\n  team: shop\n  ports: [{name: http, "
                    "port: 8080}]\n  hosts: [" +
                    name +
                    ".shop.example]\n  gateways: [ingress/shop]\n  run: {command: "
                    "[./" +
                    name + "], version: v1}\n  replicas: 2\n");
  }
  void apply(const std::string& name) const {
    const Ran ran = graymesh({"app", "apply", "-f", application(name)});
    ASSERT_EQ(ran.code, cli::exit_ok) << ran.err;
  }
  Ran start(const std::string& tag, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words = {"release", "start", "web",    "-n", "fe-pre",
                                      "--tag",   tag,     "--wait", "-o", "json"};
    words.insert(words.end(), more.begin(), more.end());
    return graymesh(words);
  }

  api::testing::ServedPlatform platform_;
};

TEST_F(PlatformCli, AppliesListsShowsAndDeletesApplications) {
  const Ran applied = graymesh({"app", "apply", "-f", application("web")});
  EXPECT_EQ(applied.code, cli::exit_ok);
  EXPECT_EQ(applied.out, "Application fe-pre/web applied\n");
  EXPECT_THAT(applied.err, IsEmpty());
  Ran listed;
  EXPECT_TRUE(platform_.becomes([&] {
    listed = graymesh({"app", "list", "-n", "fe-pre"});
    return listed.out.find(" 2/2 ") != std::string::npos;
  })) << listed.out;
  EXPECT_EQ(listed.code, cli::exit_ok);
  EXPECT_THAT(listed.out,
              StartsWith("NAMESPACE   APPLICATION   TEAM   BASELINE   READY   RELEASES\n"
                         "fe-pre      web           shop   v1         2/2     0\n"));
  EXPECT_EQ(graymesh({"app", "show", "web", "-n", "fe-pre", "-o", "json"})
                .parsed()["spec"]["run"]["version"],
            "v1");
  EXPECT_EQ(graymesh({"app", "instances", "web", "-n", "fe-pre", "-o", "json"}).parsed().size(),
            2u);
  const Ran misspelt = graymesh({"app", "instances", "wed", "-n", "fe-pre"});
  EXPECT_EQ(misspelt.code, cli::exit_failed);
  EXPECT_THAT(misspelt.err, HasSubstr("fe-pre/wed"));
  EXPECT_EQ(graymesh({"app", "instances", "web/absent", "-n", "fe-pre"}).err,
            "there are no instances of web/absent in namespace fe-pre (-n names another, -A is "
            "all)\n");
  const Ran removed = graymesh({"app", "delete", "web", "-n", "fe-pre"});
  EXPECT_EQ(removed.code, cli::exit_ok) << removed.err;
  EXPECT_TRUE(platform_.becomes([&] {
    return graymesh({"app", "list", "-n", "fe-pre", "-o", "json"}).parsed().empty();
  }));
  const Ran absent = graymesh({"app", "show", "web", "-n", "fe-pre"});
  EXPECT_EQ(absent.code, cli::exit_failed);
  EXPECT_THAT(absent.out, IsEmpty());
  EXPECT_THAT(absent.err, AllOf(StartsWith("graymesh: "), HasSubstr("fe-pre/web")));
}

TEST_F(PlatformCli, NamesEverythingThatIsWrongWithAFileAndAppliesNothing) {
  const Ran refused =
      graymesh({"app", "apply", "-f",
                file("bad.txt",
                     "apiVersion: graymesh.io/v1alpha1\nkind: Application\nmetadata: {name: web, "
                     "namespace: fe-pre}\nspec: {ports: [], replica: 3, run: {}}\n")});
  EXPECT_EQ(refused.code, cli::exit_failed);
  EXPECT_THAT(refused.out, IsEmpty());
  EXPECT_THAT(refused.err, AllOf(HasSubstr("bad.txt"), HasSubstr("replica"), HasSubstr("ports")));
  EXPECT_EQ(graymesh({"app", "list", "-n", "fe-pre", "-o", "json"}).out, "[]\n");
}

TEST_F(PlatformCli, StartsAReleaseAndEndsWithItsReceipt) {
  apply("web");
  const Ran started = start("feature-a", {"--set", "command=./web --v2", "--match",
                                          "header:canarytag=feature-a", "--weight", "10"});
  EXPECT_EQ(started.code, cli::exit_ok) << started.err;
  const json receipt = started.parsed();
  ASSERT_TRUE(receipt.is_object()) << started.out;
  EXPECT_EQ(receipt["phase"], "gray");
  EXPECT_EQ(receipt["reached"], true);
  EXPECT_EQ(receipt["name"], "web/feature-a");
  EXPECT_EQ(receipt["proxies"], receipt["acked"]);
  EXPECT_EQ(receipt["missing"], json::array());
  for (const char* figure : {"p50_ms", "p99_ms", "last_ms"}) {
    EXPECT_TRUE(receipt[figure].is_number()) << figure;
  }
  EXPECT_EQ(std::count(started.out.begin(), started.out.end(), '\n'), 1) << "one line for scripts";
  EXPECT_THAT(started.err, HasSubstr("web/feature-a: gray, weight 10%")) << "its way, for people";
  const json shown =
      graymesh({"release", "show", "web/feature-a", "-n", "fe-pre", "-o", "json"}).parsed();
  EXPECT_EQ(shown["weight"], 10);
  EXPECT_EQ(shown["match"], json::array()) << "the header of the lane is the lane itself";
  const auto world = platform_.engine->view()->world;
  EXPECT_EQ(world->releases.at(1).members.at(0).gray.run.command,
            (std::vector<std::string>{"./web", "--v2"}));
}

TEST_F(PlatformCli, TakesStepsOneAfterTheOther) {
  apply("web");
  const Ran started = start("feature-a", {"--steps", "1,10,50,100"});
  EXPECT_EQ(started.code, cli::exit_ok) << started.err;
  const json shown =
      graymesh({"release", "show", "web/feature-a", "-n", "fe-pre", "-o", "json"}).parsed();
  EXPECT_EQ(shown["weight"], 100);
  for (const char* step : {"step-1", "step-2", "step-3", "step-4"}) {
    EXPECT_TRUE(shown["receipts"].contains(step)) << step;
  }
}

TEST_F(PlatformCli, PromotesAndRollsBackWithReceipts) {
  apply("web");
  ASSERT_EQ(start("feature-a", {"--set", "version=v2"}).code, cli::exit_ok);
  const Ran promoted =
      graymesh({"release", "promote", "web/feature-a", "-n", "fe-pre", "--wait", "-o", "json"});
  EXPECT_EQ(promoted.code, cli::exit_ok) << promoted.err;
  EXPECT_EQ(promoted.parsed()["phase"], "promoted");
  EXPECT_EQ(promoted.parsed()["missing"], json::array());
  EXPECT_THAT(graymesh({"app", "list", "-n", "fe-pre"}).out, HasSubstr("v2"));

  ASSERT_EQ(start("feature-b").code, cli::exit_ok);
  const Ran back = graymesh({"release", "rollback", "web/feature-b", "-n", "fe-pre", "--wait", "-o",
                             "json", "--reason", "errors on checkout"});
  EXPECT_EQ(back.code, cli::exit_ok) << back.err;
  const json receipt = back.parsed();
  EXPECT_EQ(receipt["phase"], "rolled-back");
  EXPECT_EQ(receipt["what"], "rollback");
  EXPECT_EQ(receipt["acked"], receipt["proxies"]);
  EXPECT_GT(receipt["proxies"], 0);
  EXPECT_THAT(receipt["reason"], HasSubstr("errors on checkout"));
}

TEST_F(PlatformCli, PromotesToAnotherEnvironmentAndTakesBackWhatWasPromoted) {
  apply("web");
  std::string online = *read_file(application("web"));
  online.replace(online.find("fe-pre"), 6, "fe-online");
  ASSERT_EQ(graymesh({"app", "apply", "-f", file("online.txt", online)}).code, cli::exit_ok);
  ASSERT_EQ(start("feature-a", {"--set", "version=v2"}).code, cli::exit_ok);
  const Ran there =
      graymesh({"release", "promote", "web/feature-a", "-n", "fe-pre", "--to", "fe-online",
                "--steps", "5,50", "--reason", "as agreed", "--wait", "-o", "json"});
  EXPECT_EQ(there.code, cli::exit_ok) << there.err;
  EXPECT_EQ(there.parsed()["phase"], "gray");
  EXPECT_EQ(there.parsed()["missing"], json::array());
  const json shown =
      graymesh({"release", "show", "web/feature-a", "-n", "fe-online", "-o", "json"}).parsed();
  EXPECT_EQ(shown["weight"], 50);
  EXPECT_EQ(shown["id"], there.parsed()["release"]);
  const Ran twice =
      graymesh({"release", "promote", "web/feature-a", "-n", "fe-pre", "--to", "fe-online"});
  EXPECT_EQ(twice.code, cli::exit_failed);
  EXPECT_THAT(twice.err, HasSubstr("runs what release 1 (web/feature-a) proved already"));
  const Ran aimless =
      graymesh({"release", "promote", "web/feature-a", "-n", "fe-pre", "--steps", "5"});
  EXPECT_EQ(aimless.code, cli::exit_failed);
  EXPECT_THAT(aimless.err, HasSubstr("--to must be there"));

  ASSERT_EQ(graymesh({"release", "promote", "web/feature-a", "-n", "fe-online", "--wait"}).code,
            cli::exit_ok);
  EXPECT_THAT(graymesh({"app", "list", "-n", "fe-online"}).out, HasSubstr("v2"));
  const Ran back =
      graymesh({"release", "rollback", "web/feature-a", "-n", "fe-online", "--wait", "-o", "json"});
  EXPECT_EQ(back.code, cli::exit_ok) << back.err;
  EXPECT_EQ(back.parsed()["phase"], "rolled-back");
  EXPECT_EQ(back.parsed()["what"], "rollback");
  EXPECT_EQ(back.parsed()["acked"], back.parsed()["proxies"]);
  EXPECT_THAT(graymesh({"app", "list", "-n", "fe-online"}).out, HasSubstr("v1"));
}

TEST_F(PlatformCli, SaysByItsExitCodeThatAReleaseIsStillOnItsWay) {
  apply("web");
  ASSERT_TRUE(platform_.becomes([&] { return platform_.runtime.instances().size() == 2; }));
  platform_.mesh.silence("web-baseline-1-1");
  const Ran waiting = start("feature-a", {"--timeout", "3s"});
  EXPECT_EQ(waiting.code, cli::exit_waiting) << waiting.err;
  EXPECT_EQ(waiting.parsed()["missing"].size(), 1u) << waiting.out;
  EXPECT_THAT(waiting.parsed()["missing"][0].get<std::string>(), HasSubstr("web-baseline-1-1"));
  EXPECT_EQ(waiting.parsed()["reached"], false);
}

TEST_F(PlatformCli, RefusesWhatCannotBe) {
  apply("web");
  const Ran unknown = graymesh({"release", "promote", "web/absent", "-n", "fe-pre", "--wait"});
  EXPECT_EQ(unknown.code, cli::exit_failed);
  EXPECT_EQ(unknown.err, "graymesh: release web/absent is not there in namespace fe-pre\n");
  EXPECT_EQ(graymesh({"release", "start", "web", "-n", "fe-pre"}).code, cli::exit_failed);
  EXPECT_EQ(graymesh({"release", "start", "web", "--tag", "a", "--weight", "101"}).code,
            cli::exit_usage);
  const Ran no_such = start("feature-a", {"--set", "cart.version=1"});
  EXPECT_EQ(no_such.code, cli::exit_failed);
  EXPECT_THAT(no_such.err, HasSubstr("cart"));
  ASSERT_EQ(start("a", {"--weight", "60"}).code, cli::exit_ok);
  const Ran too_much = start("b", {"--weight", "50"});
  EXPECT_EQ(too_much.code, cli::exit_failed);
  EXPECT_THAT(too_much.err, HasSubstr("110 %"));
  const Ran dry = graymesh(
      {"release", "start", "web", "-n", "fe-pre", "--tag", "b", "--weight", "50", "--dry-run"});
  EXPECT_EQ(dry.code, cli::exit_failed);
  EXPECT_THAT(dry.err, HasSubstr("110 %"));
  EXPECT_EQ(graymesh({"release", "start", "web", "-n", "fe-pre", "--tag", "b", "--dry-run"}).out,
            "the plan holds at every step\n");
}

TEST_F(PlatformCli, ListsReleasesForPeopleAndForScripts) {
  apply("web");
  ASSERT_EQ(start("feature-a").code, cli::exit_ok);
  const Ran table = graymesh({"release", "list", "-n", "fe-pre"});
  EXPECT_THAT(table.out, AllOf(StartsWith("ID   NAMESPACE   RELEASE         PHASE"),
                               HasSubstr("web/feature-a"), HasSubstr("promote or rollback")));
  const json items = graymesh({"release", "list", "-A", "--active", "-o", "json"}).parsed();
  ASSERT_EQ(items.size(), 1u);
  EXPECT_EQ(items[0]["tag"], "feature-a");
  EXPECT_EQ(graymesh({"release", "list", "-n", "other", "-o", "json"}).out, "[]\n");
  const Ran none = graymesh({"release", "list", "-n", "other", "--active", "--tag", "x"});
  EXPECT_EQ(none.code, cli::exit_ok);
  EXPECT_EQ(
      none.err,
      "there are no active releases of /x in namespace other (-n names another, -A is all)\n");
}

TEST_F(PlatformCli, HoldsAndLetsGoAndApproves) {
  apply("web");
  ASSERT_EQ(graymesh({"release", "start", "web", "-n", "fe-pre", "--tag", "a", "--steps", "5,50",
                      "--pause", "approval"})
                .code,
            cli::exit_ok);
  const auto weight = [&] {
    return graymesh({"release", "show", "1", "-o", "json"}).parsed()["weight"];
  };
  ASSERT_TRUE(platform_.becomes([&] { return weight() == 5; }));
  EXPECT_EQ(graymesh({"release", "pause", "web/a", "-n", "fe-pre"}).code, cli::exit_ok);
  const Ran held = graymesh({"release", "approve", "web/a", "-n", "fe-pre"});
  EXPECT_EQ(held.code, cli::exit_ok) << held.err;
  const auto waits_for = [&] {
    return graymesh({"release", "show", "1", "-o", "json"}).parsed()["progress"]["waitsFor"];
  };
  EXPECT_TRUE(platform_.becomes([&] { return waits_for() == "paused"; })) << waits_for();
  EXPECT_EQ(graymesh({"release", "resume", "web/a", "-n", "fe-pre"}).code, cli::exit_ok);
  EXPECT_TRUE(platform_.becomes([&] { return weight() == 50; }));
  EXPECT_EQ(graymesh({"release", "resume", "web/a", "-n", "fe-pre"}).code, cli::exit_ok)
      << "said twice it is so still";
}

TEST_F(PlatformCli, MakesListsLinksAndDeletesLanes) {
  apply("web");
  apply("cart");
  EXPECT_EQ(graymesh({"lane", "create", "feature-a", "-n", "fe-pre", "--owner", "ann"}).out,
            "Lane fe-pre/feature-a applied\n");
  ASSERT_EQ(start("feature-a").code, cli::exit_ok);
  const json lanes = graymesh({"lane", "list", "-n", "fe-pre", "-o", "json"}).parsed();
  ASSERT_EQ(lanes.size(), 1u) << lanes;
  EXPECT_EQ(lanes[0]["metadata"]["name"], "feature-a");
  EXPECT_EQ(lanes[0]["spec"]["owner"], "ann");
  EXPECT_EQ(lanes[0]["status"]["applications"].size(), 2u);
  EXPECT_THAT(graymesh({"lane", "show", "feature-a", "-n", "fe-pre"}).out,
              AllOf(HasSubstr("web"), MatchesRegex("(.|\n)*cart +baseline(.|\n)*")));
  EXPECT_EQ(graymesh({"lane", "link", "feature-a", "-n", "fe-pre", "--host", "web.shop.example",
                      "--gateway", "http://:8000"})
                .out,
            "http://web.shop.example:8000/?canarytag=feature-a\n");
  EXPECT_THAT(graymesh({"lane", "show", "feature-a", "-n", "fe-pre"}).out,
              StartsWith("Lane     feature-a in fe-pre, permissive\nOwner    ann\nCreated  20"));
  const Ran elsewhere =
      graymesh({"lane", "link", "feature-a", "-n", "fe-pre", "--host", "no.example"});
  EXPECT_EQ(elsewhere.code, cli::exit_failed);
  EXPECT_THAT(elsewhere.err, HasSubstr("no application of fe-pre has the host no.example"));
  EXPECT_EQ(graymesh({"lane", "link", "absent", "-n", "fe-pre", "--host", "web.shop.example",
                      "--gateway", "http://:8000"})
                .code,
            cli::exit_failed)
      << "a link into a lane that is not there";
  EXPECT_EQ(graymesh({"lane", "delete", "feature-a", "-n", "fe-pre"}).code, cli::exit_ok);
  EXPECT_TRUE(platform_.becomes([&] {
    return graymesh({"lane", "list", "-n", "fe-pre", "-o", "json"}).out == "[]\n";
  }));
  EXPECT_EQ(graymesh({"release", "show", "1", "-o", "json"}).parsed()["phase"], "rolled-back");
  EXPECT_EQ(graymesh({"lane", "show", "feature-a", "-n", "fe-pre"}).code, cli::exit_failed);
}

TEST_F(PlatformCli, AppliesAndShowsThePolicyOfANamespace) {
  EXPECT_EQ(graymesh({"env", "show", "-n", "fe-pre"}).code, cli::exit_failed);
  const std::string policy =
      file("policy.txt",
           "apiVersion: graymesh.io/v1alpha1\nkind: Environment\nmetadata: {name: policy, "
           "namespace: fe-pre}\nspec: {approval: {required: 1}, baseline: {minimum: 2}}\n");
  EXPECT_EQ(graymesh({"env", "apply", "-f", policy}).out, "Environment fe-pre/policy applied\n");
  EXPECT_EQ(graymesh({"env", "show", "-n", "fe-pre", "-o", "json"})
                .parsed()["spec"]["approval"]["required"],
            1);
  EXPECT_THAT(graymesh({"env", "list"}).out, HasSubstr("fe-pre      policy"));
}

TEST_F(PlatformCli, TellsWhoDidWhat) {
  apply("web");
  ASSERT_EQ(start("feature-a", {"--reason", "as agreed"}).code, cli::exit_ok);
  const json acts =
      graymesh({"history", "-n", "fe-pre", "--object", "release/1", "-o", "json"}).parsed();
  ASSERT_TRUE(acts.is_array()) << acts;
  ASSERT_GE(acts.size(), 3u);
  const json& first = acts.back();
  EXPECT_EQ(first["verb"], "start");
  EXPECT_EQ(first["reason"], "as agreed");
  EXPECT_EQ(acts.front()["who"], "engine");
  EXPECT_EQ(graymesh({"history", "-n", "fe-pre", "--limit", "1", "-o", "json"}).parsed().size(),
            1u);
  EXPECT_THAT(graymesh({"history", "-n", "fe-pre", "--who", "engine"}).out,
              AllOf(HasSubstr("advance"), Not(HasSubstr("as agreed"))));
}

}  // namespace
}  // namespace graymesh
