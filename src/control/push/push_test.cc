// The loop, with a sink in the place of the xDS server: what reaches it, how often, and made of
// what.
#include "control/push/push.h"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "model/model.h"

namespace graymesh::push {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

std::string service(const std::string& name, int port = 80) {
  return fmt::format(
      "apiVersion: v1\nkind: Service\nmetadata: {{name: {}, namespace: shop}}\n"
      "spec: {{clusterIP: 10.0.0.1, ports: [{{name: http, port: {}}}]}}\n",
      name, port);
}

// What a Folder would hand over for this text.
source::ObjectsPtr objects_of(std::uint64_t number, const std::string& text) {
  auto objects = std::make_shared<source::Objects>();
  objects->number = number;
  std::map<model::Key, std::optional<source::Entry>> entries;
  for (auto& document : model::read(text, "mesh.yaml")) {
    if (!document.key) {
      for (auto& error : document.errors) objects->nameless.push_back(error);
      continue;
    }
    source::Entry entry;
    entry.serving = document.object;
    entry.errors = document.errors;
    entries[*document.key] = std::move(entry);
  }
  objects->entries.update({entries.begin(), entries.end()});
  return objects;
}

// A loop, and the numbers of the Snapshots it told of. It can be kept inside on_publish.
class Told {
 public:
  Told() {
    loop.on_publish([this] {
      std::unique_lock lock(mutex_);
      numbers_.push_back(loop.state()->snapshot->number());
      changed_.notify_all();
      changed_.wait(lock, [this] { return !held_; });
    });
  }
  ~Told() { hold(false); }

  bool of(std::uint64_t number) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 10s,
                             [&] { return !numbers_.empty() && numbers_.back() == number; });
  }
  std::vector<std::uint64_t> numbers() {
    std::lock_guard lock(mutex_);
    return numbers_;
  }
  void hold(bool on) {
    std::lock_guard lock(mutex_);
    held_ = on;
    changed_.notify_all();
  }

  SystemClock clock;
  metrics::Registry metrics;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::uint64_t> numbers_;
  bool held_ = false;

 public:
  Loop loop{std::make_shared<const model::MeshConfig>(), metrics,
            clock};  // last: it calls the above
};

resource::Node sidecar() {
  resource::Node node;
  node.id = "sidecar~10.1.1.1~web-0.shop~shop.svc.cluster.local";
  node.kind = resource::Node::Kind::sidecar;
  node.address = "10.1.1.1";
  node.addresses = {"10.1.1.1"};
  node.namespace_ = "shop";
  return node;
}

TEST(Loop, HasNothingToServeBeforeTheFirstObjects) {
  Told told;
  EXPECT_EQ(told.loop.state(), nullptr);
  EXPECT_EQ(told.loop.config_for(sidecar()), nullptr);
}

TEST(Loop, MakesObjectsIntoConfigurationAndSaysSoOnce) {
  Told told;
  told.loop.changed(objects_of(1, service("web")));
  ASSERT_TRUE(told.of(1));

  const auto config = told.loop.config_for(sidecar());
  ASSERT_NE(config, nullptr);
  EXPECT_EQ(config->snapshot, 1U);
  EXPECT_NE(config->find(resource::Type::cluster, "outbound|80||web.shop.svc.cluster.local"),
            nullptr);

  told.loop.changed(objects_of(2, service("web", 81)));
  ASSERT_TRUE(told.of(2));
  const auto next = told.loop.config_for(sidecar());
  EXPECT_EQ(next->find(resource::Type::cluster, "outbound|80||web.shop.svc.cluster.local"),
            nullptr);
  EXPECT_NE(next->find(resource::Type::cluster, "outbound|81||web.shop.svc.cluster.local"),
            nullptr);
  EXPECT_THAT(told.numbers(), ::testing::ElementsAre(1, 2));
}

TEST(Loop, FoldsWhatComesWhileItIsAtWork) {
  Told told;
  told.hold(true);
  told.loop.changed(objects_of(1, service("web")));
  ASSERT_TRUE(told.of(1));
  for (std::uint64_t number = 2; number <= 700; ++number) {
    told.loop.changed(objects_of(number, service("web", static_cast<int>(number))));
  }
  told.hold(false);

  ASSERT_TRUE(told.of(700));
  EXPECT_THAT(told.numbers(), ::testing::ElementsAre(1, 700));
}

TEST(Loop, SaysWhenTheFirstOfWhatItFoldedWasWritten) {
  Told told;
  told.hold(true);
  told.loop.changed(objects_of(1, service("web")));
  ASSERT_TRUE(told.of(1));
  const auto written = told.clock.now() - 1h;
  for (std::uint64_t number = 2; number <= 4; ++number) {
    auto objects = std::make_shared<source::Objects>(*objects_of(number, service("web")));
    objects->since = written + std::chrono::minutes(number);
    told.loop.changed(objects);
  }
  told.hold(false);
  ASSERT_TRUE(told.of(4));
  EXPECT_EQ(told.loop.state()->since, written + 2min);
  const auto before = told.clock.now();
  told.loop.changed(objects_of(5, service("web")));
  ASSERT_TRUE(told.of(5));
  EXPECT_GE(told.loop.state()->since, before) << "nobody knows when it was written";
}

TEST(Loop, PassesByWhatIsOlderThanWhatCameBefore) {
  Told told;
  told.loop.changed(objects_of(5, service("web", 85)));
  ASSERT_TRUE(told.of(5));
  told.loop.changed(objects_of(4, service("web", 84)));
  told.loop.changed(objects_of(6, service("web", 86)));
  ASSERT_TRUE(told.of(6));
  EXPECT_THAT(told.numbers(), ::testing::ElementsAre(5, 6));
}

TEST(Loop, TellsProblemsAcrossObjects) {
  Told told;
  told.loop.changed(objects_of(
      1, service("web") +
             "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: web, "
             "namespace: shop}\n"
             "spec: {hosts: [web], http: [{route: [{destination: {host: nobody}}]}]}\n"));
  ASSERT_TRUE(told.of(1));

  std::string problems;
  const auto state = told.loop.state();
  for (const auto& problem : state->snapshot->problems())
    problems += model::to_string(problem) + '\n';
  EXPECT_THAT(problems, HasSubstr("VirtualService shop/web"));
  EXPECT_THAT(problems, HasSubstr("nobody"));
}

TEST(Loop, CountsWhatServesAndWhatIsRefused) {
  Told told;
  told.loop.changed(objects_of(1, service("a") + "---\n" + service("b") +
                                      "---\napiVersion: networking.istio.io/v1\nkind: "
                                      "VirtualService\nmetadata: {name: web, namespace: shop}\n"
                                      "spec: {hots: [web]}\n---\n: [\n---\napiVersion: "
                                      "security.istio.io/v1\nkind: AuthorizationPolicy\n"
                                      "metadata: {name: deny, namespace: shop}\n"));
  ASSERT_TRUE(told.of(1));
  const std::string page = told.metrics.page();
  EXPECT_THAT(page, HasSubstr("graymesh_objects{kind=\"Service\"} 2\n"));
  EXPECT_THAT(page, HasSubstr("graymesh_objects{kind=\"Pod\"} 0\n"));
  EXPECT_THAT(page, HasSubstr("graymesh_objects_refused{kind=\"VirtualService\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("graymesh_documents_refused_nameless 1\n"));
  EXPECT_THAT(page, HasSubstr("graymesh_objects_unsupported 1\n"));
  EXPECT_THAT(page, Not(HasSubstr("kind=\"Unsupported")));
  EXPECT_THAT(page, HasSubstr("graymesh_snapshots_total 1\n"));
  EXPECT_THAT(page, HasSubstr("graymesh_snapshot_build_seconds_count 1\n"));
}

TEST(Loop, TellsBeforeItLetsGoOfWhatWas) {
  SystemClock clock;
  metrics::Registry metrics;
  Loop loop(std::make_shared<const model::MeshConfig>(), metrics, clock);
  std::weak_ptr<const State> first;
  std::promise<void> first_told;
  bool first_lives = false;
  loop.on_publish([&] {
    if (loop.state()->snapshot->number() == 1) {
      first = loop.state();
      first_told.set_value();
      return;
    }
    first_lives = !first.expired();
  });
  loop.changed(objects_of(1, service("web")));
  first_told.get_future().wait();
  loop.changed(objects_of(2, service("web", 81)));
  while (loop.state()->snapshot->number() == 1) std::this_thread::yield();
  loop.stop();

  EXPECT_TRUE(first_lives);
  EXPECT_TRUE(first.expired());
}

TEST(Loop, EndsWithWorkWaiting) {
  Told told;
  for (std::uint64_t number = 1; number < 50; ++number)
    told.loop.changed(objects_of(number, service("web")));
}

}  // namespace
}  // namespace graymesh::push
