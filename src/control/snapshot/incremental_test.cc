// A Snapshot built upon the one before says the same as one built from nothing, whatever happened
// between: thousands of random changes to a small mesh in which everything touches everything.

#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <random>
#include <set>

#include "control/snapshot/test_mesh.h"

namespace graymesh::snapshot {
namespace {

using Random = std::mt19937;

std::size_t any(Random& random, std::size_t count) {
  return std::uniform_int_distribution<std::size_t>(0, count - 1)(random);
}

template <std::size_t Count>
std::string one_of(Random& random, const std::array<const char*, Count>& words) {
  return words[any(random, Count)];
}

std::string name(Random& random) { return one_of(random, std::array{"web", "cart", "pay"}); }
std::string place(Random& random) { return one_of(random, std::array{"shop", "bank"}); }
std::string host(Random& random) {
  return one_of(random, std::array{"web", "cart.bank.svc.cluster.local", "pay", "api.example.com"});
}
std::string scope(Random& random) { return one_of(random, std::array{"\"*\"", "\".\"", "shop"}); }

std::string head(Random& random, const std::string& kind, const std::string& more = "") {
  const bool kubernetes = kind == "Service" || kind == "Pod";
  const std::string version = kubernetes                ? "v1"
                              : kind == "EndpointSlice" ? "discovery.k8s.io/v1"
                                                        : "networking.istio.io/v1";
  return "apiVersion: " + version + "\nkind: " + kind + "\nmetadata: {name: " + name(random) +
         ", namespace: " + place(random) + more + "}\n";
}

// One document; the few names there are make many of them replace one another.
std::string any_document(Random& random, std::size_t kind) {
  const std::string n = name(random);
  const std::string address = "10.0.0." + std::to_string(any(random, 5));
  switch (kind) {
    case 0:
      return head(random, "Service") + "spec: {selector: {app: " + n +
             "}, ports: [{name: http, port: 80, targetPort: 8080}, {name: tcp, port: 81}]}\n";
    case 1:
      return head(random, "Service") + "spec: {type: ExternalName, externalName: " + n +
             ".shop.svc.cluster.local}\n";
    case 2:
      return head(random, "EndpointSlice", ", labels: {kubernetes.io/service-name: " + n + "}") +
             "addressType: IPv4\nports: [{name: http, port: 8080}]\nendpoints: [{addresses: [" +
             address + "], targetRef: {kind: Pod, name: " + name(random) + "}}]\n";
    case 3:
    case 4:
      return head(random, "Pod", ", labels: {app: " + n + ", version: " + name(random) + "}") +
             "spec: {containers: [{name: app}]}\nstatus: {podIP: " + address + "}\n";
    case 5:
      return head(random, "VirtualService") + "spec: {hosts: [" + host(random) + "], exportTo: [" +
             scope(random) + "], http: [{route: [{destination: {host: " + host(random) +
             ", subset: " + name(random) + "}}]}]}\n";
    case 6:
      return head(random, "VirtualService") + "spec: {hosts: [" + host(random) +
             "], http: [{match: [{port: 80}], delegate: {name: " + name(random) +
             ", namespace: " + place(random) + "}}]}\n";
    case 7:
      return head(random, "VirtualService") +
             "spec: {http: [{match: [{uri: {prefix: /a}}], route: [{destination: {host: " +
             host(random) + "}}]}]}\n";
    case 8:
      return head(random, "DestinationRule") + "spec: {host: " + host(random) + ", exportTo: [" +
             scope(random) + "], subsets: [{name: " + n + ", labels: {version: " + n + "}}]}\n";
    case 9:
      return head(random, "ServiceEntry") + "spec: {hosts: [api.example.com], exportTo: [" +
             scope(random) +
             "], resolution: STATIC, ports: [{number: " + std::to_string(80 + any(random, 2)) +
             ", name: http, protocol: HTTP}], endpoints: [{address: " + address + "}]}\n";
    case 10:
    case 11:
      return head(random, "VirtualService",
                  ", labels: {graymesh.io/precedence: " +
                      one_of(random, std::array{"release", "default"}) + "}") +
             "spec: {hosts: [" + host(random) + "], exportTo: [" + scope(random) +
             "], http: [{match: [{uri: {prefix: " + one_of(random, std::array{"/", "/a"}) +
             "}}], route: [{destination: {host: " + host(random) + "}}]}]}\n";
    case 12:
      return head(random, "DestinationRule", ", annotations: {graymesh.io/fallback: \"a=b\"}") +
             "spec: {host: " + host(random) + ", subsets: [{name: a, labels: {version: " + n +
             "}}, {name: b, labels: {version: web}}]}\n";
    default:
      return head(random, "Sidecar") +
             "spec: {egress: [{port: {number: 80, protocol: HTTP, name: http}, "
             "hosts: [\"" +
             place(random) + "/*\"]}, {hosts: [\"./*\"]}]}\n";
  }
}

// "web.shop.svc.cluster.local[0]>8080 ..."
std::string served(const Snapshot& snapshot, std::string_view namespace_,
                   std::span<const std::string> addresses) {
  std::string result;
  for (const auto& inbound : snapshot.inbound(namespace_, addresses, {})) {
    result += inbound.service->host + "[" + std::to_string(inbound.port) + "]>" +
              std::to_string(inbound.target_port) + " ";
  }
  return result;
}

// Everything that a Snapshot says, without addresses.
void expect_same(const Snapshot& a, const Snapshot& b) {
  const auto equal = [](const auto& x, const auto& y) {
    return std::ranges::equal(x, y, [](const auto& p, const auto& q) { return *p == *q; });
  };
  EXPECT_TRUE(equal(a.services(), b.services()));
  EXPECT_TRUE(equal(a.virtual_services(), b.virtual_services()));
  EXPECT_TRUE(equal(a.destination_rules(), b.destination_rules()));
  for (const auto& service : a.services()) {
    EXPECT_TRUE(*a.endpoints(*service) == *b.endpoints(*service)) << service->host;
  }
  for (const auto* namespace_ : {"shop", "bank", "office"}) {
    const auto x = a.view(namespace_, {});
    const auto y = b.view(namespace_, {});
    EXPECT_EQ(x->sidecar, y->sidecar);
    ASSERT_EQ(x->egress.size(), y->egress.size());
    for (std::size_t i = 0; i < x->egress.size(); ++i) {
      EXPECT_TRUE(equal(x->egress[i].virtual_services, y->egress[i].virtual_services));
      EXPECT_EQ(hosts_of(x->egress[i].services), hosts_of(y->egress[i].services));
    }
    ASSERT_EQ(x->services.size(), y->services.size());
    for (std::size_t i = 0; i < x->services.size(); ++i) {
      const auto& s = x->services[i];
      const auto& t = y->services[i];
      EXPECT_TRUE(*s.service == *t.service) << s.service->host;
      EXPECT_TRUE(*a.endpoints(*s.service) == *b.endpoints(*t.service)) << s.service->host;
      EXPECT_TRUE(s.rule == nullptr ? t.rule == nullptr : t.rule && *s.rule == *t.rule);
    }
    for (int i = 0; i < 5; ++i) {
      const std::vector<std::string> addresses{"10.0.0." + std::to_string(i)};
      EXPECT_EQ(served(a, namespace_, addresses), served(b, namespace_, addresses));
    }
  }
}

// A mesh to which something is done, and beside it all its objects.
class Changing {
 public:
  explicit Changing(unsigned seed) : random_(seed) {}

  void apply(std::size_t kind) {
    const std::string text = any_document(random_, kind);
    mesh_.apply(text);
    for (const auto& document : model::read(text, "mesh.yaml")) {
      if (document.object) objects_[document.object->meta.key] = document.object;
    }
  }
  void apply_any() { apply(any(random_, 14)); }
  // False: there is none of those that `is_one` means.
  template <typename IsOne>
  bool remove(const IsOne& is_one) {
    std::vector<model::Key> keys;
    for (const auto& [key, object] : objects_) {
      if (is_one(key)) keys.push_back(key);
    }
    if (keys.empty()) return false;
    const auto& key = keys[any(random_, keys.size())];
    mesh_.remove(key.kind, key.namespace_, key.name);
    objects_.erase(key);
    return true;
  }
  Random& random() { return random_; }

  void expect_same_as_from_nothing() {
    std::vector<model::ObjectPtr> all;
    all.reserve(objects_.size());
    for (const auto& [key, object] : objects_) all.push_back(object);
    const SnapshotPtr fresh = build(all, std::make_shared<const model::MeshConfig>(), nullptr, 1);
    expect_same(mesh_.snapshot(), *fresh);
    std::multiset<std::string> problems;
    for (const auto& problem : fresh->problems()) problems.insert(model::to_string(problem));
    const auto incremental = mesh_.problems();
    EXPECT_EQ(std::multiset<std::string>(incremental.begin(), incremental.end()), problems);
  }

 private:
  Random random_;
  TestMesh mesh_;
  std::map<model::Key, model::ObjectPtr> objects_;
};

class Incremental : public testing::TestWithParam<unsigned> {};

TEST_P(Incremental, SaysTheSameAsFromNothing) {
  Changing mesh(GetParam());
  for (int step = 0; step < 150 && !HasFailure(); ++step) {
    SCOPED_TRACE(testing::Message() << "seed " << GetParam() << ", step " << step);
    for (std::size_t changes = 1 + any(mesh.random(), 3); changes > 0; --changes) {
      const bool removed =
          any(mesh.random(), 4) == 0 && mesh.remove([](const model::Key&) { return true; });
      if (!removed) mesh.apply_any();
    }
    mesh.expect_same_as_from_nothing();
  }
}

// Then only the services of those slices are looked at again.
TEST_P(Incremental, SaysTheSameAsFromNothingWhileOnlySlicesComeAndGo) {
  constexpr std::size_t slice = 2;
  Changing mesh(GetParam());
  for (int i = 0; i < 60; ++i) mesh.apply_any();
  mesh.expect_same_as_from_nothing();
  for (int step = 0; step < 50 && !HasFailure(); ++step) {
    SCOPED_TRACE(testing::Message() << "seed " << GetParam() << ", step " << step);
    for (std::size_t changes = 1 + any(mesh.random(), 3); changes > 0; --changes) {
      const bool removed = any(mesh.random(), 3) == 0 && mesh.remove([](const model::Key& key) {
        return key.kind == model::Kind::endpoint_slice;
      });
      if (!removed) mesh.apply(slice);
    }
    mesh.expect_same_as_from_nothing();
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, Incremental, testing::Range(1U, 21U));

}  // namespace
}  // namespace graymesh::snapshot
