#include <gmock/gmock.h>

#include "control/snapshot/delegate.h"
#include "control/snapshot/test_mesh.h"

namespace graymesh::snapshot {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// A root in `shop` whose first route is left to `delegate`, with this match; then a route of its
// own.
std::string root(const std::string& match,
                 const std::string& delegate = "{name: cart, namespace: bank}") {
  return R"(
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: root, namespace: shop}
spec:
  hosts: [www.example.com]
  gateways: [public]
  http:
  - name: r
    match: )" +
         match + R"(
    timeout: 5s
    headers: {request: {set: {x-root: "1"}}}
    delegate: )" +
         delegate + R"(
  - name: rest
    route: [{destination: {host: web}}]
)";
}

std::string delegate(const std::string& http, const std::string& more = "") {
  return R"(
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart, namespace: bank}
spec:
)" + more +
         "  http:\n" + http;
}

const model::VirtualService& merged(TestMesh& mesh) {
  return mesh.snapshot().virtual_services()[0]->spec;
}

TEST(Delegate, PutsItsRoutesInThePlaceOfTheRootsRoute) {
  TestMesh mesh(root("[{uri: {prefix: /cart}}]") + delegate(R"(
  - name: d
    match: [{uri: {prefix: /cart/v2}}]
    timeout: 9s
    route: [{destination: {host: cart2}}]
  - route: [{destination: {host: cart}}]
)"));
  const auto& http = merged(mesh).http;
  ASSERT_EQ(http.size(), 3U);
  EXPECT_EQ(http[0].name, "r-d");
  EXPECT_EQ(http[0].match[0].uri->value, "/cart/v2");
  EXPECT_EQ(http[0].timeout, std::chrono::seconds(9));
  EXPECT_EQ(http[0].headers.request.set.at("x-root"), "1");
  EXPECT_EQ(http[0].route[0].destination.host, "cart2.bank.svc.cluster.local");
  EXPECT_EQ(http[1].name, "r");
  EXPECT_EQ(http[1].match[0].uri->value, "/cart");
  EXPECT_EQ(http[1].timeout, std::chrono::seconds(5));
  EXPECT_EQ(http[2].name, "rest");
  EXPECT_THAT(mesh.snapshot().virtual_services()[0]->delegates,
              ElementsAre(model::Key{model::Kind::virtual_service, "bank", "cart"}));
}

TEST(Delegate, IsNoVirtualServiceOfItsOwn) {
  TestMesh mesh(root("[{uri: {prefix: /cart}}]") +
                delegate("  - route: [{destination: {host: cart}}]"));
  EXPECT_EQ(mesh.snapshot().virtual_services().size(), 1U);
}

TEST(Delegate, IsLookedForInTheRootsNamespaceIfNoneIsGiven) {
  TestMesh mesh(root("[{uri: {prefix: /cart}}]", "{name: cart}") +
                delegate("  - route: [{destination: {host: cart}}]"));
  EXPECT_EQ(merged(mesh).http.size(), 1U);
  EXPECT_THAT(mesh.problems(), Contains(HasSubstr("http[0].delegate shop/cart, is not there")));
}

TEST(Delegate, UnitesItsHeadersWithTheRoots) {
  TestMesh mesh(root("[{name: m, headers: {a: {exact: x}}, port: 80}]") + delegate(R"(
  - match: [{name: n, headers: {b: {prefix: y}}, method: {exact: GET}}]
    route: [{destination: {host: cart}}]
)"));
  const auto& match = merged(mesh).http[0].match[0];
  EXPECT_EQ(match.name, "m-n");
  EXPECT_EQ(match.headers.at("a").value, "x");
  EXPECT_EQ(match.headers.at("b").value, "y");
  EXPECT_EQ(match.port, 80U);
  EXPECT_EQ(match.method->value, "GET");
}

TEST(Delegate, TakesEveryPairOfMatchesThatAgree) {
  TestMesh mesh(root("[{uri: {prefix: /a}}, {uri: {prefix: /b}}]") + delegate(R"(
  - match: [{uri: {exact: /b/1}}, {headers: {x: {exact: y}}}]
    route: [{destination: {host: cart}}]
)"));
  const auto& match = merged(mesh).http[0].match;
  ASSERT_EQ(match.size(), 3U);
  EXPECT_EQ(match[0].uri->value, "/b/1");
  EXPECT_EQ(match[1].uri->value, "/a");
  EXPECT_EQ(match[2].uri->value, "/b");
}

struct Pair {
  const char* root;
  const char* delegate;
};

class Conflicting : public testing::TestWithParam<Pair> {};

TEST_P(Conflicting, LeavesTheDelegatesRouteOutAndSaysSo) {
  TestMesh mesh(root(std::string("[") + GetParam().root + "]") +
                delegate(std::string("  - match: [") + GetParam().delegate +
                         "]\n    route: [{destination: {host: cart}}]\n"));
  EXPECT_EQ(merged(mesh).http.size(), 1U);
  EXPECT_THAT(mesh.problems(),
              Contains(HasSubstr("VirtualService bank/cart: http[0].match contradicts the match of "
                                 "http[0] in VirtualService shop/root")));
}

INSTANTIATE_TEST_SUITE_P(
    Delegate, Conflicting,
    testing::Values(Pair{"{uri: {prefix: /a}}", "{uri: {prefix: /b}}"},
                    Pair{"{uri: {exact: /a}}", "{uri: {prefix: /a}}"},
                    Pair{"{uri: {regex: /a}}", "{uri: {exact: /a}}"},
                    Pair{"{uri: {prefix: /a}}", "{uri: {regex: /a.*}}"},
                    Pair{"{headers: {x: {exact: a}}}", "{headers: {x: {exact: b}}}"},
                    Pair{"{method: {exact: GET}}", "{method: {exact: PUT}}"},
                    Pair{"{port: 80}", "{port: 81}"},
                    Pair{"{uri: {prefix: /a}, ignoreUriCase: true}", "{uri: {prefix: /a}}"},
                    Pair{"{sourceLabels: {app: a}}", "{sourceLabels: {app: b}}"},
                    Pair{"{sourceNamespace: shop}", "{uri: {prefix: /a}}"},
                    Pair{"{queryParams: {q: {exact: a}}}", "{queryParams: {q: {exact: b}}}"}));

TEST(Delegate, NotExportedToTheRootIsLeftOut) {
  TestMesh mesh(root("[{uri: {prefix: /cart}}]") +
                delegate("  - route: [{destination: {host: cart}}]", "  exportTo: [\".\"]\n"));
  EXPECT_EQ(merged(mesh).http.size(), 1U);
  EXPECT_THAT(mesh.problems(), Contains(HasSubstr("is not exported to namespace shop")));
}

VirtualService written(const std::string& name, std::vector<std::string> hosts,
                       std::vector<model::HttpRoute> http) {
  VirtualService result;
  result.origin = {model::Kind::virtual_service, "shop", name};
  result.spec.hosts = std::move(hosts);
  result.spec.http = std::move(http);
  return result;
}

model::HttpRoute left_to(const std::string& name) {
  model::HttpRoute http;
  http.delegate = model::Delegate{.name = name, .namespace_ = ""};
  return http;
}

TEST(Delegate, ThatDelegatesFurtherLosesThatRouteAlone) {
  model::HttpRoute plain;
  plain.name = "plain";
  const auto top = written("top", {"web"}, {left_to("middle")});
  const auto middle = written("middle", {}, {left_to("bottom"), plain});
  std::vector<DelegateFault> faults;
  const auto result = merge_delegates(
      top, [&middle](auto, auto name) { return name == "middle" ? &middle : nullptr; }, faults);
  ASSERT_EQ(result.spec.http.size(), 1U);
  EXPECT_EQ(result.spec.http[0].name, "plain");
  ASSERT_EQ(faults.size(), 1U);
  EXPECT_EQ(faults[0].object.name, "middle");
  EXPECT_THAT(faults[0].rule, HasSubstr("cannot delegate further"));
}

TEST(Delegate, InACircleIsNamedAsOne) {
  const auto in_circle = [](const std::string& name, const std::string& next) {
    return "\n---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: " +
           name + ", namespace: shop}\nspec:\n  hosts: [" + name +
           ".example.com]\n  http: [{delegate: {name: " + next + "}}]\n";
  };
  TestMesh mesh(in_circle("a", "b") + in_circle("b", "a") + in_circle("c", "c"));
  const auto problems = mesh.problems();
  for (const auto* object : {"shop/a", "shop/b", "shop/c"}) {
    EXPECT_THAT(problems, Contains(AllOf(HasSubstr(object), HasSubstr("in a circle")))) << object;
  }
  for (const auto& service : mesh.snapshot().virtual_services()) {
    EXPECT_THAT(service->spec.http, IsEmpty());
  }
}

TEST(Delegate, WithHostsOfItsOwnIsNone) {
  TestMesh mesh(root("[{uri: {prefix: /cart}}]") +
                delegate("  - route: [{destination: {host: cart}}]", "  hosts: [cart]\n"));
  EXPECT_THAT(mesh.problems(), Contains(HasSubstr("has hosts of its own")));
}

}  // namespace
}  // namespace graymesh::snapshot
