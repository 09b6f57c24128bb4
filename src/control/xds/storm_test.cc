// An Envoy in a storm: Configs change at any moment, ACKs come late and in any order, and still no
// route ever leads to a cluster that isn't there and warm, and in the end the proxy runs exactly
// the Config. Whoever adds up what he is told of it knows at any moment what it has ACKed.
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "control/xds/fake_proxy.h"
#include "control/xds/fold.h"
#include "control/xds/teller.h"

namespace graymesh::xds {
namespace {

using resource::Type;

// What Envoy does with responses: applies them at once, warms each new or changed cluster until
// endpoints arrive for it, and ACKs clusters only then. It refuses what has "bad" in it.
class Envoy {
 public:
  Envoy(FakeProxy::Protocol protocol, std::mt19937& random)
      : delta_(protocol == FakeProxy::delta),
        limits_{.chunk_resources_max = 3},
        session_(delta_, limits_, diffs_),
        random_(random) {
    teller_.opened({}, "", delta_);
  }

  void runs(resource::ConfigPtr config) {
    ASSERT_TRUE(session_.update(std::move(config), clock_.now(), now()));
    teller_.heard({}, session_);
  }

  void starts() {
    request(Type::cluster, {});
    request(Type::listener, {});
    request(Type::route, {"r0", "r1", "r2"});
  }

  // Hears one response, or answers one.
  bool steps() {
    if (random_() % 2 == 0) {
      if (auto response = next()) return apply(*response), true;
      return answers_one();
    }
    if (answers_one()) return true;
    if (auto response = next()) return apply(*response), true;
    return false;
  }

  // What the witness made of what it was told.
  const Fold& witnessed() const { return fold_; }

  const std::map<std::string, std::string>& of(Type type) const {
    return held_[static_cast<std::size_t>(type)];
  }
  const Session& session() const { return session_; }

 private:
  std::map<std::string, std::string>& at(Type type) {
    return held_[static_cast<std::size_t>(type)];
  }
  Now now() const { return {clock_.now(), clock_.wall()}; }

  std::optional<Response> next() {
    auto response = session_.next(now());
    if (response) teller_.sent(*response, session_, 1);
    return response;
  }

  template <typename Request>
  void hear(Request request) {
    const auto listened = teller_.listen(request);
    ASSERT_TRUE(session_.hear(std::move(request), now()));
    teller_.heard(listened, session_);
  }

  void apply(const Response& response) {
    const Type type = *std::ranges::find_if(
        resource::all_types, [&](Type it) { return type_url(it) == response.type_url; });
    std::string error;
    std::set<std::string> seen;
    for (const auto* each : response.resources) {
      const auto& resource = *each;
      seen.insert(resource->name());
      if (resource->body().find("bad") != std::string_view::npos) {
        error += resource->name() + ": no, ";
      } else {
        set(type, *resource);
      }
    }
    Texts gone = response.removed;
    if (!delta_ && (type == Type::cluster || type == Type::listener)) {
      for (const auto& [name, body] : of(type)) {
        if (!seen.contains(name)) gone.push_back(name);
      }
    }
    for (const auto& name : gone) remove(type, name);
    owed_.push_back({type, response.nonce, error});
    subscribe_endpoints();
  }

  void set(Type type, const resource::Resource& resource) {
    auto& held = at(type)[resource.name()];
    const bool changed = held.empty() || held != resource.body();
    held = resource.body();
    if (type == Type::cluster && changed) warming_.insert(resource.name());
    if (type == Type::endpoints) warming_.erase(resource.name());
    if (type == Type::route) {
      EXPECT_TRUE(of(Type::cluster).contains(held))
          << resource.name() << " leads to the missing cluster " << held;
      EXPECT_TRUE(of(Type::endpoints).contains(held))
          << resource.name() << " leads to " << held << " without endpoints";
    }
  }

  void remove(Type type, const std::string& name) {
    at(type).erase(name);
    if (type == Type::endpoints) warming_.erase(name);
    if (type != Type::cluster) return;
    warming_.erase(name);
    for (const auto& [route, cluster] : of(Type::route))
      EXPECT_NE(cluster, name) << "still used by " << route;
  }

  // Envoy watches the endpoints of the clusters it has.
  void subscribe_endpoints() {
    Texts names, added, dropped;
    for (const auto& [name, body] : of(Type::cluster)) {
      names.push_back(name);
      if (!watched_.contains(name)) added.push_back(name);
    }
    for (const auto& name : watched_) {
      if (!of(Type::cluster).contains(name)) dropped.push_back(name);
    }
    if (added.empty() && dropped.empty()) return;
    for (const auto& name : dropped) at(Type::endpoints).erase(name);
    watched_ = {names.begin(), names.end()};
    request(Type::endpoints, delta_ ? added : names, dropped);
  }

  void request(Type type, Texts names, const Texts& dropped = {}, std::string nonce = {},
               std::optional<std::string> error = {}) {
    const auto i = static_cast<std::size_t>(type);
    if (delta_) {
      DeltaRequest request;
      request.type_url = type_url(type);
      request.subscribe = names;
      request.unsubscribe = dropped;
      request.nonce = std::move(nonce);
      request.error = std::move(error);
      return hear(std::move(request));
    }
    if (!nonce.empty()) nonces_[i] = nonce;
    SotwRequest request;
    request.type_url = type_url(type);
    request.names = names_[i] = std::move(names);
    request.nonce = nonces_[i];
    request.error = std::move(error);
    hear(std::move(request));
  }

  bool answers_one() {
    std::ranges::shuffle(owed_, random_);
    for (auto it = owed_.begin(); it != owed_.end(); ++it) {
      if (it->type == Type::cluster && !warming_.empty()) continue;
      const auto owed = *it;
      owed_.erase(it);
      const auto names = delta_ ? Texts{} : names_[static_cast<std::size_t>(owed.type)];
      request(owed.type, names, {}, owed.nonce,
              owed.error.empty() ? std::nullopt : std::optional(owed.error));
      return true;
    }
    return false;
  }

  struct Owed {
    Type type;
    std::string nonce, error;
  };
  bool delta_;
  Limits limits_;
  Diffs diffs_;
  Session session_;
  Fold fold_;
  Teller teller_{&fold_, 1};
  FakeClock clock_;
  std::mt19937& random_;
  std::array<std::map<std::string, std::string>, resource::type_count> held_;
  std::set<std::string> warming_, watched_;
  std::vector<Owed> owed_;
  std::array<std::string, resource::type_count> nonces_;
  std::array<Texts, resource::type_count> names_;
};

// Some of 20 clusters in some versions, and three routes to three of them.
ConfigText weather(std::mt19937& random, bool bad) {
  ConfigText text;
  for (int i = 0; i < 20; ++i) {
    if (random() % 3 == 0 && i > 0) continue;
    const auto name = "c" + std::to_string(i);
    text.clusters.push_back(name + "=v" + std::to_string(random() % 2));
    text.endpoints.push_back(name + "=e" + std::to_string(random() % 3));
  }
  if (bad) text.clusters.push_back("culprit=bad" + std::to_string(random() % 2));
  for (int i = 0; i < 3; ++i) {
    const auto& to = text.endpoints[random() % text.endpoints.size()];
    text.routes.push_back("r" + std::to_string(i) + "=" + to.substr(0, to.find('=')));
  }
  text.listeners.push_back("l=v" + std::to_string(random() % 2));
  return text;
}

std::map<std::string, std::string> map_of(const resource::Config& config, Type type) {
  std::map<std::string, std::string> all;
  for (const auto& layer : config.of(type)) {
    for (const auto& resource : layer->all()) {
      if (!resource->body().starts_with("bad")) all[resource->name()] = resource->body();
    }
  }
  return all;
}

// In state of the world endpoints that are gone are not removed: the proxy has them until it asks
// for fewer.
void expect_witnessed(const Envoy& envoy, bool at_rest) {
  const auto acked = envoy.session().acked();
  for (const Type type : resource::all_types) {
    Fold::Names names;
    for (const auto& layer : acked->of(type)) {
      for (const auto& resource : layer->all()) names[resource->name()] = resource->body();
    }
    auto witnessed = envoy.witnessed().of(type);
    if (!at_rest && type == Type::endpoints && !envoy.session().delta())
      std::erase_if(witnessed, [&](const auto& it) { return !names.contains(it.first); });
    EXPECT_EQ(witnessed, names) << short_name(type);
  }
}

void ride(FakeProxy::Protocol protocol, unsigned seed) {
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  Envoy envoy(protocol, random);
  auto config = make_config(weather(random, false));
  envoy.runs(config);
  envoy.starts();
  for (int change = 0; change < 30; ++change) {
    for (auto steps = random() % 12; steps > 0; --steps) envoy.steps();
    expect_witnessed(envoy, false);
    config = make_config(weather(random, seed % 2 == 1), config);
    envoy.runs(config);
  }
  int steps = 0;
  while (envoy.steps()) ASSERT_LT(++steps, 2000) << "it never comes to rest";
  EXPECT_EQ(envoy.of(Type::cluster), map_of(*config, Type::cluster));
  EXPECT_EQ(envoy.of(Type::endpoints), map_of(*config, Type::endpoints));
  EXPECT_EQ(envoy.of(Type::listener), map_of(*config, Type::listener));
  EXPECT_EQ(envoy.of(Type::route), map_of(*config, Type::route));
  const auto acked = envoy.session().acked();
  EXPECT_EQ(map_of(*acked, Type::cluster), envoy.of(Type::cluster));
  EXPECT_EQ(map_of(*acked, Type::endpoints), envoy.of(Type::endpoints));
  expect_witnessed(envoy, true);
}

TEST(Storm, DeltaEnvoyIsNeverBrokenAndEndsAtTheLastConfig) {
  for (unsigned seed = 0; seed < 300 && !testing::Test::HasFailure(); ++seed)
    ride(FakeProxy::delta, seed);
}

TEST(Storm, SotwEnvoyIsNeverBrokenAndEndsAtTheLastConfig) {
  for (unsigned seed = 0; seed < 300 && !testing::Test::HasFailure(); ++seed)
    ride(FakeProxy::sotw, seed);
}

}  // namespace
}  // namespace graymesh::xds
