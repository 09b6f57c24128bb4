// What `graymesh up` makes of files, where it puts things, and when it says that all is there.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "base/lock.h"
#include "cli/durations.h"
#include "cli/up_daemon.h"
#include "cli/up_folder.h"
#include "cli/up_mesh.h"
#include "cli/up_standing.h"
#include "model/model.h"

namespace graymesh::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr const char* hello = R"(apiVersion: graymesh.io/v1alpha1
kind: Application
metadata: {name: hello}
spec:
  ports: [{name: http, port: 8080}]
  hosts: [hello.localhost, hello.example]
  run: {command: [./hello, "1.0"], version: "1.0"}
)";
constexpr const char* gateway = R"(apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: edges}
spec:
  selector: {app: edge}
  servers: [{port: {number: 9000, name: http, protocol: HTTP}, bind: 127.7.0.1, hosts: ["*"]}]
)";

UpSource source(const std::string& text, const std::string& from = "/home/ann/app.yaml") {
  return {.from = from,
          .directory = fs::path(from).parent_path().string(),
          .namespace_ = "shop",
          .text = text};
}

TEST(UpMesh, GivesHostsAGatewayWhereNoneIsDeclared) {
  const UpMesh mesh = up_mesh({source(hello)}, "127.0.0.1:8000");
  ASSERT_THAT(mesh.errors, IsEmpty());
  EXPECT_THAT(mesh.warnings, IsEmpty());
  EXPECT_TRUE(mesh.own_gateway);
  ASSERT_EQ(mesh.objects.size(), 3u);
  EXPECT_EQ(mesh.objects[0]["metadata"]["namespace"], "shop");
  EXPECT_EQ(mesh.objects[0]["spec"]["gateways"], json({"ingress/gateway"}));
  EXPECT_EQ(mesh.objects[0]["spec"]["run"]["directory"], "/home/ann/");
  EXPECT_EQ(mesh.objects[0]["spec"]["run"]["command"], json({"./hello", "1.0"}))
      << "still a string";
  EXPECT_EQ(mesh.objects[1]["spec"]["servers"][0]["bind"], "127.0.0.1");
  EXPECT_THAT(mesh.yaml, HasSubstr("# /home/ann/app.yaml:1\n"));
  for (const auto& document : model::read(mesh.yaml, "mesh.yaml"))
    EXPECT_THAT(document.errors, IsEmpty()) << mesh.yaml;
  EXPECT_THAT(addresses_of(mesh.objects[0], mesh.objects),
              ElementsAre("http://hello.localhost:8000/",
                          "http://127.0.0.1:8000/ -H 'Host: hello.example'"));
}

TEST(UpMesh, UsesTheOneGatewayThatIsDeclared) {
  const UpMesh mesh = up_mesh({source(std::string(hello) + "---\n" + gateway)}, "127.0.0.1:8000");
  ASSERT_THAT(mesh.errors, IsEmpty());
  EXPECT_FALSE(mesh.own_gateway);
  EXPECT_EQ(mesh.objects.size(), 2u);
  EXPECT_EQ(mesh.objects[0]["spec"]["gateways"], json({"edges/edge"}));
  EXPECT_THAT(addresses_of(mesh.objects[0], mesh.objects),
              ElementsAre("http://127.7.0.1:9000/ -H 'Host: hello.localhost'",
                          "http://127.7.0.1:9000/ -H 'Host: hello.example'"));
}

TEST(UpMesh, LeavesTheChoiceAmongSeveralGatewaysToTheUser) {
  std::string second = gateway;
  second.replace(second.find("name: edge"), 10, "name: side");
  const UpMesh mesh = up_mesh({source(hello), source(gateway, "a.yaml"), source(second, "b.yaml")},
                              "127.0.0.1:8000");
  ASSERT_THAT(mesh.errors, IsEmpty());
  EXPECT_THAT(mesh.warnings, ElementsAre(HasSubstr("name some of edges/edge, edges/side")));
}

TEST(UpMesh, NamesEverythingThatIsWrongByTheUsersOwnFiles) {
  const UpMesh mesh = up_mesh({source("kind: Application\napiVersion: graymesh.io/v1alpha1\n"
                                      "metadata: {name: a}\nspec: {ports: [], run: {}}\n",
                                      "/a.yaml"),
                               source(hello, "/b.yaml"), source(hello, "/c.yaml")},
                              "127.0.0.1:8000");
  EXPECT_THAT(mesh.errors,
              ::testing::IsSupersetOf({HasSubstr("/a.yaml"),
                                       HasSubstr("Application shop/hello is also at /b.yaml:1")}));
  EXPECT_THAT(up_mesh({source("# nothing\n")}, "127.0.0.1:8000").errors,
              ElementsAre("no object is in these files"));
}

TEST(UpMesh, WarnsOfKindsThatHaveNoEffectAndLeavesThemOut) {
  const UpMesh mesh =
      up_mesh({source(std::string(hello) + "---\napiVersion: security.istio.io/v1\nkind: "
                                           "AuthorizationPolicy\nmetadata: {name: deny}\n"
                                           "---\napiVersion: apps/v1\nkind: Deployment\n")},
              "127.0.0.1:8000");
  ASSERT_THAT(mesh.errors, IsEmpty());
  EXPECT_THAT(mesh.warnings, ElementsAre(HasSubstr("AuthorizationPolicy default/deny: kind "
                                                   "AuthorizationPolicy, is not supported yet"),
                                         HasSubstr("apps/v1 Deployment is no kind")));
  EXPECT_THAT(mesh.yaml, Not(HasSubstr("AuthorizationPolicy")));
}

class Folder : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "graymesh-up-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    path_ = pattern;
  }
  void TearDown() override { fs::remove_all(path_); }
  fs::path path_;
};

TEST(Timeouts, AreSpansOfAYearAtMost) {
  EXPECT_EQ(seconds_of("90s").value(), std::chrono::seconds(90));
  EXPECT_EQ(seconds_of("1h30m").value(), std::chrono::minutes(90));
  EXPECT_EQ(seconds_of("5").value(), std::chrono::seconds(5));
  EXPECT_EQ(seconds_of("8760h").value(), std::chrono::hours(8760));
  for (const char* text : {"8761h", "9999999999h", "9999999999", "m", "5x"})
    EXPECT_FALSE(seconds_of(text)) << text;
}

TEST_F(Folder, RemembersWhatWasAskedForAndGoesWhole) {
  const UpFolder folder = UpFolder::named(path_ / "state");
  EXPECT_EQ(folder.record().error().code, Code::not_found);
  const UpRecord record{.block = 3,
                        .listen = "127.0.0.1:8002",
                        .files = {{"/m", "/m/a.yaml", "1-a.yaml", "/m", "shop"}}};
  {
    const auto lock = folder.lock([] {});
    ASSERT_TRUE(lock) << lock.error().message;
    ASSERT_TRUE(folder.save(record));
    EXPECT_EQ(folder.record().value(), record);
    ASSERT_TRUE(folder.remove());
  }
  EXPECT_FALSE(fs::exists(folder.path()));
}

TEST_F(Folder, ThatIsSomebodyElsesIsNotTouched) {
  std::ofstream(path_ / "thesis.txt") << "years";
  const auto lock = UpFolder::named(path_).lock([] {});
  ASSERT_FALSE(lock);
  EXPECT_THAT(lock.error().message, HasSubstr("has something else in it"));
  EXPECT_TRUE(fs::exists(path_ / "thesis.txt"));
}

TEST_F(Folder, WithARecordThatCannotBeReadSaysWhichFile) {
  const UpFolder folder = UpFolder::named(path_);
  const std::string file = (path_ / "up.json").string();
  for (const auto& [text, fault] : std::vector<std::pair<const char*, const char*>>{
           {"", "is no JSON object"},
           {"[]", "is no JSON object"},
           {R"({"block": 64})", "block must be 0 to 63"},
           {R"({"block": 4294967297})", "block must be 0 to 63"},
           {R"({"block": "1"})", "block must be 0 to 63"},
           {R"({"listen": 8000})", "listen must be a text"},
           {R"({"files": {}})", "files must be a list"},
           {R"({"files": [7]})", "files[0] must be an object"},
           {R"({"files": [{"copy": "a"}, {"copy": "../../etc/passwd"}]})",
            "files[1].copy must be a file's name"},
           {R"({"files": [{"copy": ".."}]})", "files[0].copy must be a file's name"}}) {
    std::ofstream(path_ / "up.json") << text;
    const auto record = folder.record();
    ASSERT_FALSE(record) << text;
    EXPECT_EQ(record.error().message, file + ": " + fault);
  }
}

TEST(Addresses, ThatCannotBeReadAreNone) {
  EXPECT_EQ(read_addresses(R"({"xds":"127.0.0.1:1","api":"127.0.0.1:2"})").value(),
            (Addresses{"127.0.0.1:1", "127.0.0.1:2"}));
  for (const char* text : {"", "{}", "[1]", R"({"xds": 1, "api": "127.0.0.1:2"})",
                           R"({"xds": "127.0.0.1:1", "api": []})", R"({"api": "127.0.0.1:2"})"})
    EXPECT_FALSE(read_addresses(text)) << text;
}

TEST_F(Folder, KnowsADaemonOnlyWhileItLives) {
  const UpFolder folder = UpFolder::named(path_);
  std::ofstream(path_ / "graymeshd.json") << R"({"xds":"127.0.0.1:1","api":"127.0.0.1:2"})";
  EXPECT_FALSE(folder.daemon()) << "its file alone is no life";
  // One process does not see its own lock.
  int ready[2], go[2];
  ASSERT_EQ(::pipe(ready) + ::pipe(go), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto held = hold(path_ / "graymeshd.lock");
    char byte = held ? 'y' : 'n';
    (void)!::write(ready[1], &byte, 1);
    (void)!::read(go[0], &byte, 1);
    ::_exit(0);
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  ASSERT_EQ(byte, 'y');
  const auto daemon = folder.daemon();
  ASSERT_TRUE(daemon);
  EXPECT_EQ(daemon->pid, child);
  EXPECT_EQ(daemon->api, "127.0.0.1:2");
  (void)!::write(go[1], &byte, 1);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_FALSE(folder.daemon());
  for (const int fd : {ready[0], ready[1], go[0], go[1]}) ::close(fd);
}

TEST(Blocks, AreNotGivenTwice) {
  const auto first = claim_block(0, false), second = claim_block(0, false);
  ASSERT_TRUE(first && second);
  EXPECT_NE(first->number, second->number);
  const auto third = claim_block(first->number, false);
  ASSERT_TRUE(third);
  EXPECT_NE(third->number, first->number) << "it is claimed";
  const auto ports = std::pair(choose_listen("", first->number), choose_listen("", second->number));
  ASSERT_TRUE(ports.first && ports.second);
  EXPECT_NE(*ports.first, *ports.second) << "also of two that choose at the same time";
}

TEST(Listen, MustBeFreeAndAnAddress) {
  EXPECT_EQ(choose_listen("70000", 1).error().code, Code::invalid_argument);
  EXPECT_EQ(choose_listen("here:80", 1).error().code, Code::invalid_argument);
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int on = 1;
  ::setsockopt(socket, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);  // as Envoy listens
  ASSERT_EQ(::bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(socket, 1), 0);
  socklen_t size = sizeof address;
  ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size);
  const std::string port = std::to_string(ntohs(address.sin_port));
  EXPECT_THAT(choose_listen(port, 1).error().message,
              HasSubstr("127.0.0.1:" + port + " is in use"));
  ::close(socket);
  EXPECT_EQ(choose_listen(port, 1).value(), "127.0.0.1:" + port);
}

// One application as graymeshd tells it, with one ready instance and a proxy in sync.
struct Told {
  Told() {
    wanted = up_mesh({source(gateway, "g.yaml"), source(hello)}, "127.0.0.1:8000").objects;
    for (const json& object : wanted)
      pages.objects.push_back({{"kind", object["kind"]},
                               {"name", object["metadata"]["name"]},
                               {"namespace", object["metadata"]["namespace"]},
                               {"object", object},
                               {"problems", json::array()}});
    json app = wanted[1];
    app["status"] = {{"settled", true},
                     {"next", nullptr},
                     {"baseline", {{"version", "1.0"}, {"ready", 1u}, {"replicas", 1u}}}};
    pages.applications.push_back(app);
    pages.instances.push_back({{"application", "hello"},
                               {"namespace", "shop"},
                               {"name", "hello-baseline-1-1"},
                               {"tag", ""},
                               {"address", "127.1.1.1"},
                               {"phase", "ready"},
                               {"ready", true},
                               {"restarts", 0u},
                               {"message", ""}});
    pages.proxies.push_back(
        {{"address", "127.1.1.1"}, {"types", json::array({{{"state", "SYNCED"}}})}});
  }
  UpStanding now() const { return standing(wanted, pages); }
  std::vector<json> wanted;
  UpPages pages;
};

TEST(Standing, IsUpWhenAllIsTakenReadyAndInSync) {
  const UpStanding now = Told().now();
  EXPECT_TRUE(now.up) << up_json(now).dump(2);
  EXPECT_THAT(up_table(now),
              HasSubstr("shop        hello         1.0       1/1     http://127.7.0.1:"
                        "9000/ -H 'Host: hello.localhost'"));
  EXPECT_EQ(up_json(now)["applications"][0]["answersAt"][0],
            (json{{"url", "http://127.7.0.1:9000/"}, {"host", "hello.localhost"}}));
}

TEST(Standing, WaitsForWhatIsNotAsItWasGiven) {
  Told old;  // another text of the application is served
  old.pages.objects[1]["object"]["spec"]["replicas"] = 2;
  EXPECT_THAT(old.now().waits_for, ElementsAre("Application shop/hello to be taken over"));
  Told engine;  // the release engine has not heard of it yet
  engine.pages.applications[0]["spec"]["replicas"] = 2;
  EXPECT_FALSE(engine.now().up);
  Told rolling;
  rolling.pages.applications[0]["status"]["settled"] = false;
  rolling.pages.applications[0]["status"]["next"] = {{"ready", 0u}, {"replicas", 1u}};
  EXPECT_EQ(rolling.now().applications[0].waits_for,
            "the new baseline: 0 of 1 instances are ready");
  EXPECT_FALSE(rolling.now().up);
  Told stale;
  stale.pages.proxies[0]["types"][0]["state"] = "STALE";
  EXPECT_THAT(stale.now().waits_for, ElementsAre("0 of 1 proxies are in sync"));
}

TEST(Standing, SaysWhyItIsHopeless) {
  Told told;
  told.pages.applications[0]["status"]["baseline"]["ready"] = 0u;
  json& instance = told.pages.instances[0];
  instance["phase"] = "crashing";
  instance["ready"] = false;
  instance["message"] = "application exited with code 3";
  instance["restarts"] = 2u;
  EXPECT_THAT(told.now().hopeless, IsEmpty());
  EXPECT_THAT(told.now().applications[0].waits_for,
              HasSubstr("(hello-baseline-1-1: application exited with code 3)"));
  instance["restarts"] = 3u;
  EXPECT_EQ(told.now().hopeless,
            "hello-baseline-1-1 does not start: application exited with code 3");
}

TEST(Standing, TellsOfAReleaseInAFileThatWasNotStarted) {
  Told told;
  const json release = {{"apiVersion", "graymesh.io/v1alpha1"},
                        {"kind", "GrayRelease"},
                        {"metadata", {{"name", "beta"}, {"namespace", "shop"}}},
                        {"spec", {{"tag", "beta"}}}};
  told.wanted.push_back(release);
  told.pages.objects.push_back(
      {{"kind", "GrayRelease"},
       {"name", "beta"},
       {"namespace", "shop"},
       {"object", release},
       {"problems", json::array({{{"field", ""}, {"rule", "the plan does not hold"}}})}});
  EXPECT_THAT(told.now().waits_for, ElementsAre("GrayRelease shop/beta to be started"));
  EXPECT_THAT(told.now().problems, ElementsAre("GrayRelease shop/beta: the plan does not hold"));
  told.pages.releases.push_back(
      {{"id", 4u}, {"namespace", "shop"}, {"name", "beta"}, {"declared", true}, {"phase", "gray"}});
  EXPECT_TRUE(told.now().up);
}

}  // namespace
}  // namespace graymesh::cli
