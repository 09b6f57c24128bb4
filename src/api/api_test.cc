// The API as a client sees it: a real folder, a real loop and a real ADS server behind it.
#include "api/api.h"

#include <gtest/gtest.h>
#include <httplib.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "api/pages.h"
#include "base/file.h"
#include "base/json.h"

namespace graymesh::api {
namespace {

using nlohmann::json;

constexpr const char* web = R"(apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  clusterIP: 10.0.0.1
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: shop, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080, protocol: TCP}]
endpoints: [{addresses: [10.1.0.1]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec:
  hosts: [web]
  http: [{route: [{destination: {host: web}}]}]
)";

class Api : public testing::Test {
 protected:
  Api() {
    std::string pattern = testing::TempDir() + "graymesh-api-XXXXXX";
    folder_path_ = ::mkdtemp(pattern.data());
    EXPECT_TRUE(write_file(folder_path_ / "web.yaml", web));
    loop_ =
        std::make_unique<push::Loop>(std::make_shared<const model::MeshConfig>(), metrics_, clock_);
    auto xds = xds::Server::start({.address = "127.0.0.1:0"}, *loop_, metrics_, clock_);
    EXPECT_TRUE(xds) << xds.error().message;
    xds_ = *std::move(xds);
    loop_->on_publish([this] { xds_->publish(); });
    source::FolderOptions options;
    options.folders = {folder_path_};
    auto folder = source::Folder::open(
        options, [this](source::ObjectsPtr objects) { loop_->changed(std::move(objects)); });
    EXPECT_TRUE(folder) << folder.error().message;
    folder_ = *std::move(folder);
    auto server = Server::start("127.0.0.1:0", {*folder_, *loop_, *xds_, metrics_, clock_});
    EXPECT_TRUE(server) << server.error().message;
    server_ = *std::move(server);
    client_ = std::make_unique<httplib::Client>("127.0.0.1", server_->port());
  }

  ~Api() override {
    server_.reset();
    folder_.reset();
    loop_->stop();
    xds_.reset();
    loop_.reset();
    std::filesystem::remove_all(folder_path_);
  }

  void serve_the_folder() {
    loop_->changed(folder_->objects());
    ASSERT_TRUE(becomes([this] { return loop_->state() != nullptr; }));
  }

  json get(const std::string& path) {
    const auto answer = client_->Get(path);
    return answer ? json::parse(answer->body, nullptr, false) : json();
  }

  int status(const std::string& path) {
    const auto answer = client_->Get(path);
    return answer ? answer->status : -1;
  }

  // Polls a condition that another thread will make true; 10 s is for machines under load.
  static bool becomes(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
  }

  const SystemClock clock_;
  metrics::Registry metrics_;
  std::filesystem::path folder_path_;
  std::unique_ptr<push::Loop> loop_;
  std::unique_ptr<xds::Server> xds_;
  std::unique_ptr<source::Folder> folder_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<httplib::Client> client_;
};

TEST_F(Api, IsReadyWhenTheFirstSnapshotIs) {
  EXPECT_EQ(status("/ready"), 503);
  serve_the_folder();
  EXPECT_EQ(status("/ready"), 200);
}

TEST_F(Api, ShowsObjectsByKindNamespaceAndName) {
  serve_the_folder();
  EXPECT_EQ(get("/api/v1/objects")["items"].size(), 3u);
  const json items = get("/api/v1/objects?kind=vs&namespace=shop&name=web")["items"];
  ASSERT_EQ(items.size(), 1u);
  EXPECT_EQ(items[0]["state"], "serving");
  EXPECT_EQ(items[0]["line"], 16);
  EXPECT_EQ(items[0]["object"]["spec"]["hosts"][0], "web");
  EXPECT_EQ(get("/api/v1/objects?kind=VirtualServices&namespace=other")["items"].size(), 0u);
}

TEST_F(Api, UnknownKindsAndPathsAreProblemsOfTheirOwn) {
  serve_the_folder();
  EXPECT_EQ(status("/api/v1/objects?kind=teapot"), 404);
  const auto answer = client_->Get("/no/such/page");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 404);
  EXPECT_EQ(answer->get_header_value("Content-Type"), "application/problem+json");
  EXPECT_NE(json::parse(answer->body)["detail"].get<std::string>().find("/no/such/page"),
            std::string::npos);
}

TEST_F(Api, AnObjectThatBecomesBadShowsItsLastGoodStateAndItsFault) {
  serve_the_folder();
  std::string bad = web;
  bad.replace(bad.find("hosts: [web]"), 12, "hosst: [web]");
  ASSERT_TRUE(write_file(folder_path_ / "web.yaml", bad));
  json item;
  ASSERT_TRUE(becomes([&] {
    item = get("/api/v1/objects?kind=vs")["items"][0];
    return item["state"] == "last-good";
  })) << item;
  EXPECT_EQ(item["object"]["spec"]["hosts"][0], "web") << "the last good text";
  EXPECT_NE(item["errors"].dump().find("hosst"), std::string::npos) << item["errors"];
  EXPECT_EQ(get("/debug/configz").dump().find("\"state\":\"refused\""), std::string::npos);
  EXPECT_NE(
      client_->Get("/metrics")->body.find("graymesh_objects_refused{kind=\"VirtualService\"} 1"),
      std::string::npos);
}

TEST_F(Api, ObjectsOfKindsThatAreNotSupportedYetAreShownAndSaySo) {
  ASSERT_TRUE(write_file(folder_path_ / "deny.yaml",
                         "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
                         "metadata: {name: deny, namespace: shop}\nspec: {action: DENY}\n---\n"
                         "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\n"
                         "metadata: {name: deny, namespace: shop}\n"));
  ASSERT_TRUE(becomes([&] { return folder_->objects()->entries.size() == 5; }));
  serve_the_folder();
  const json items =
      get("/api/v1/objects?kind=authorizationpolicies&namespace=shop&name=deny")["items"];
  ASSERT_EQ(items.size(), 1u);
  EXPECT_EQ(items[0]["kind"], "AuthorizationPolicy");
  EXPECT_EQ(items[0]["name"], "deny");
  EXPECT_EQ(items[0]["state"], "unsupported");
  const std::string warning =
      "deny.yaml:2 AuthorizationPolicy shop/deny: kind AuthorizationPolicy, is not supported yet: "
      "nobody enforces it";
  EXPECT_NE(items[0]["warnings"].dump().find(warning), std::string::npos) << items[0];
  EXPECT_EQ(get("/api/v1/objects?state=unsupported")["items"].size(), 2u);
  EXPECT_EQ(get("/api/v1/objects?kind=vs")["items"].size(), 1u);
  std::size_t shown = 0;
  for (const json& one : get("/debug/configz")) {
    if (one["kind"] != "AuthorizationPolicy") continue;
    ++shown;
    EXPECT_EQ(one["spec"]["action"], "DENY");
    EXPECT_EQ(one["graymesh"]["state"], "unsupported");
    EXPECT_NE(one["graymesh"]["warnings"].dump().find(warning), std::string::npos) << one;
  }
  EXPECT_EQ(shown, 1u);

  ASSERT_EQ(client_->Delete("/api/v1/objects/ap/shop/deny")->status, 200);
  ASSERT_TRUE(becomes([&] { return get("/api/v1/objects?kind=ap")["items"].empty(); }));
  EXPECT_EQ(get("/api/v1/objects?kind=pa")["items"].size(), 1u);
}

TEST_F(Api, MetricsAreInTheFormatThatIsAskedFor) {
  serve_the_folder();
  const auto plain = client_->Get("/metrics");
  EXPECT_EQ(plain->get_header_value("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_EQ(plain->body.find("# EOF"), std::string::npos);
  const auto open = client_->Get(
      "/metrics", {{"Accept", "application/openmetrics-text;version=1.0.0,*/*;q=0.1"}});
  EXPECT_EQ(open->get_header_value("Content-Type"),
            "application/openmetrics-text; version=1.0.0; charset=utf-8");
  EXPECT_TRUE(open->body.ends_with("\n# EOF\n"));
  EXPECT_NE(open->body.find("# TYPE process_cpu_seconds counter\nprocess_cpu_seconds_total "),
            std::string::npos);
}

TEST_F(Api, AppliesAndDeletesInTheFolder) {
  serve_the_folder();
  const std::string text =
      "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: web, namespace: "
      "shop}\n"
      "spec: {host: web, subsets: [{name: a, labels: {v: a}}]}\n";
  auto answer = client_->Post("/api/v1/objects", text, "application/yaml");
  ASSERT_TRUE(answer);
  ASSERT_EQ(answer->status, 200) << answer->body;
  EXPECT_EQ(json::parse(answer->body)["items"][0]["result"], "created");
  ASSERT_TRUE(becomes([&] { return get("/api/v1/objects?kind=dr")["items"].size() == 1; }));

  answer = client_->Post("/api/v1/objects", "kind: DestinationRule\n", "application/yaml");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 400) << answer->body;

  answer = client_->Delete("/api/v1/objects/dr/shop/web");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200) << answer->body;
  ASSERT_TRUE(becomes([&] { return get("/api/v1/objects?kind=dr")["items"].empty(); }));
  EXPECT_EQ(client_->Delete("/api/v1/objects/dr/shop/web")->status, 404);
}

TEST_F(Api, RegistryAndEndpointsSpeakOfServices) {
  serve_the_folder();
  EXPECT_EQ(get("/debug/registryz")[0]["hostname"], "web.shop.svc.cluster.local");
  const json endpoints = get("/debug/endpointz");
  EXPECT_EQ(endpoints[0]["endpoints"][0]["address"], "10.1.0.1");
  EXPECT_EQ(endpoints[0]["endpoints"][0]["port"], 8080);
}

TEST_F(Api, AProxyThatIsNotThereIsNotFound) {
  serve_the_folder();
  EXPECT_EQ(get("/api/v1/proxies")["items"].size(), 0u);
  EXPECT_EQ(status("/debug/config_dump?proxyID=web-0.shop"), 404);
  EXPECT_EQ(status("/debug/config_dump"), 400);
}

TEST(ApiAddress, ThatCannotBeListenedOnIsAnError) {
  const SystemClock clock;
  metrics::Registry metrics;
  push::Loop loop(std::make_shared<const model::MeshConfig>(), metrics, clock);
  auto xds = xds::Server::start({.address = "127.0.0.1:0"}, loop, metrics, clock);
  ASSERT_TRUE(xds);
  source::FolderOptions options;
  options.folders = {testing::TempDir()};
  auto folder = source::Folder::open(options, [](const source::ObjectsPtr&) {});
  ASSERT_TRUE(folder);
  const Parts parts{**folder, loop, **xds, metrics, clock};
  EXPECT_EQ(Server::start("nonsense", parts).error().code, Code::invalid_argument);
  EXPECT_EQ(Server::start("127.0.0.1:99999", parts).error().code, Code::invalid_argument);
  auto first = Server::start("127.0.0.1:0", parts);
  ASSERT_TRUE(first);
  const auto second = Server::start("127.0.0.1:" + std::to_string((*first)->port()), parts);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::unavailable);
}

TEST(ConfigDump, PrintsResourcesAsMessages) {
  const auto cluster = std::make_shared<const resource::Resource>(
      resource::Type::cluster, "x", std::string_view("\x0a\x01x", 3));  // Cluster.name = "x"
  resource::Config config;
  config.add(resource::Type::cluster, std::make_shared<const resource::ResourceSet>(
                                          std::vector<resource::ResourcePtr>{cluster}));
  const auto page = config_dump_page(config, "cluster");
  ASSERT_TRUE(page) << page.error().message;
  const json dump = json::parse(*page);
  EXPECT_EQ(dump["configs"][0]["dynamic_active_clusters"][0]["cluster"]["name"], "x");
  EXPECT_EQ(dump["configs"][0]["dynamic_active_clusters"][0]["version_info"],
            cluster->version_text());
  EXPECT_EQ(config_dump_page(config, "teapot").error().code, Code::invalid_argument);
}

TEST(ConfigDump, OfWhatAProxyShallHaveLeavesOutWhatItDoesNotAskFor) {
  using resource::Type;
  using State = xds::TypeStatus::State;
  const auto set = [](Type type, const std::vector<std::string>& names) {
    std::vector<resource::ResourcePtr> all;
    all.reserve(names.size());
    for (const auto& name : names)
      all.push_back(std::make_shared<const resource::Resource>(type, name, ""));
    return std::make_shared<const resource::ResourceSet>(std::move(all));
  };
  resource::Config target, held;
  target.snapshot = 7;
  target.add(Type::cluster, set(Type::cluster, {"a", "b"}));
  target.add(Type::endpoints, set(Type::endpoints, {"a"}));
  target.add(Type::endpoints, set(Type::endpoints, {"b"}));
  target.add(Type::route, set(Type::route, {"80", "8080"}));
  held.add(Type::cluster, set(Type::cluster, {"a"}));
  held.add(Type::endpoints, set(Type::endpoints, {"a"}));
  held.add(Type::route, set(Type::route, {"80"}));
  const auto names = [](const resource::Config& config, Type type) {
    std::string all;
    for (const auto& layer : config.of(type)) {
      for (const auto& resource : layer->all()) all += resource->name() + " ";
    }
    return all;
  };
  const auto asked = target_asked_for(target, held,
                                      {{.type = Type::cluster, .state = State::synced},
                                       {.type = Type::endpoints, .state = State::stale},
                                       {.type = Type::route, .state = State::synced}});
  EXPECT_EQ(asked->snapshot, 7u);
  EXPECT_EQ(names(*asked, Type::cluster), "a b ") << "all are asked for";
  EXPECT_EQ(names(*asked, Type::endpoints), "a b ") << "some may be on their way";
  EXPECT_EQ(names(*asked, Type::route), "80 ");
}

TEST(ConfigDump, ShowsVirtualHostsThatCameOneByOneInTheirTables) {
  const auto named = [](resource::Type type, const std::string& name) {  // field 1: the name
    return std::make_shared<const resource::Resource>(
        type, name, std::string("\x0a") + static_cast<char>(name.size()) + name);
  };
  const auto set = [](std::vector<resource::ResourcePtr> all) {
    return std::make_shared<const resource::ResourceSet>(std::move(all));
  };
  resource::Config config;
  config.add(resource::Type::route,
             set({named(resource::Type::route, "80"), named(resource::Type::route, "90")}));
  config.add(resource::Type::virtual_host, set({named(resource::Type::virtual_host, "80/a"),
                                                named(resource::Type::virtual_host, "80/b"),
                                                named(resource::Type::virtual_host, "70/c")}));
  const json dump = json::parse(*config_dump_page(config, "route"));
  const json& tables = dump["configs"][0]["dynamic_route_configs"];
  ASSERT_EQ(tables.size(), 2u);
  ASSERT_EQ(tables[0]["route_config"]["virtual_hosts"].size(), 2u);
  EXPECT_EQ(tables[0]["route_config"]["virtual_hosts"][1]["name"], "80/b");
  EXPECT_FALSE(tables[1]["route_config"].contains("virtual_hosts"));
}

}  // namespace
}  // namespace graymesh::api
