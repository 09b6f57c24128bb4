// A header decides which version answers: Istio's http.match.headers, withoutHeaders, and the rest
// of a match.
#include <gtest/gtest.h>

#include "mesh.h"

namespace graymesh::feature {
namespace {

const std::string cart =
    app("cart", {"baseline", "feature-a"}) + subsets("cart", {"baseline", "feature-a"});

// A VirtualService cart whose first route, to feature-a, has this match; all else is the
// baseline's.
std::string when(const std::string& match) {
  return cart + R"(---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart, namespace: fe-pre}
spec:
  hosts: [cart]
  http:
  - match:
)" + match +
         R"(
    route:
    - destination: {host: cart, subset: feature-a}
  - route:
    - destination: {host: cart, subset: baseline}
)";
}

const std::string feature_a = outbound(8080, "feature-a", "cart");
const std::string baseline = outbound(8080, "baseline", "cart");
constexpr const char* url = "http://cart:8080/";

TEST(HeaderRouting, CanarytagReachesTheBranchAndOthersStayOnTheBaseline) {
  const Mesh mesh(when("    - headers: {canarytag: {exact: feature-a}}"));
  const Proxy web = mesh.sidecar("web");
  EXPECT_EQ(web.to(url, {{"canarytag", "feature-a"}}), feature_a);
  EXPECT_EQ(web.to(url, {{"canarytag", "feature-b"}}), baseline);
  EXPECT_EQ(web.to(url), baseline);
}

TEST(HeaderRouting, AServiceWithoutVirtualServiceTakesEveryRequestToEveryVersion) {
  const Mesh mesh(cart);
  EXPECT_EQ(mesh.sidecar("web").to(url, {{"canarytag", "feature-a"}}), outbound(8080, "", "cart"));
}

TEST(HeaderRouting, APrefixIsEnough) {
  const Mesh mesh(when("    - headers: {canarytag: {prefix: feature-}}"));
  EXPECT_EQ(mesh.sidecar("web").to(url, {{"canarytag", "feature-z"}}), feature_a);
  EXPECT_EQ(mesh.sidecar("web").to(url, {{"canarytag", "hotfix"}}), baseline);
}

TEST(HeaderRouting, ARegularExpressionMatchesTheWholeValue) {
  const Mesh mesh(when("    - headers: {canarytag: {regex: 'feature-[a-c]'}}"));
  EXPECT_EQ(mesh.sidecar("web").to(url, {{"canarytag", "feature-b"}}), feature_a);
  EXPECT_EQ(mesh.sidecar("web").to(url, {{"canarytag", "feature-bb"}}), baseline);
}

TEST(HeaderRouting, AnEmptyMatcherAsksOnlyWhetherTheHeaderIsThere) {
  const Mesh mesh(when("    - headers: {canarytag: {}}"));
  EXPECT_EQ(mesh.sidecar("web").to(url, {{"canarytag", "anything"}}), feature_a);
  EXPECT_EQ(mesh.sidecar("web").to(url), baseline);
}

TEST(HeaderRouting, WithoutHeadersTakesRequestsThatLackIt) {
  const Mesh mesh(when("    - withoutHeaders: {internal: {exact: 'yes'}}"));
  EXPECT_EQ(mesh.sidecar("web").to(url), feature_a);
  EXPECT_EQ(mesh.sidecar("web").to(url, {{"internal", "no"}}), feature_a);
  EXPECT_EQ(mesh.sidecar("web").to(url, {{"internal", "yes"}}), baseline);
}

TEST(HeaderRouting, AllConditionsOfOneMatchMustHold) {
  const Mesh mesh(
      when("    - headers: {canarytag: {exact: feature-a}, tenant: {exact: t1}}\n"
           "      uri: {prefix: /api}\n      method: {exact: POST}"));
  const Proxy web = mesh.sidecar("web");
  const Headers both = {{"canarytag", "feature-a"}, {"tenant", "t1"}};
  EXPECT_EQ(web.to("http://cart:8080/api/x", both, "POST"), feature_a);
  EXPECT_EQ(web.to("http://cart:8080/api/x", both, "GET"), baseline);
  EXPECT_EQ(web.to("http://cart:8080/other", both, "POST"), baseline);
  EXPECT_EQ(web.to("http://cart:8080/api/x", {{"tenant", "t1"}}, "POST"), baseline);
}

TEST(HeaderRouting, AnyOfSeveralMatchesIsEnough) {
  const Mesh mesh(
      when("    - headers: {canarytag: {exact: feature-a}}\n    - queryParams: {lane: {exact: "
           "feature-a}}"));
  const Proxy web = mesh.sidecar("web");
  EXPECT_EQ(web.to(url, {{"canarytag", "feature-a"}}), feature_a);
  EXPECT_EQ(web.to("http://cart:8080/?lane=feature-a"), feature_a);
  EXPECT_EQ(web.to("http://cart:8080/?lane=other"), baseline);
}

TEST(HeaderRouting, ThePathIsMatchedExactlyByPrefixOrByExpression) {
  const Mesh exact(when("    - uri: {exact: /a}"));
  EXPECT_EQ(exact.sidecar("web").to("http://cart:8080/a?x=1"), feature_a);
  EXPECT_EQ(exact.sidecar("web").to("http://cart:8080/ab"), baseline);
  const Mesh prefix(when("    - uri: {prefix: /a}"));
  EXPECT_EQ(prefix.sidecar("web").to("http://cart:8080/ab"), feature_a);
  EXPECT_EQ(prefix.sidecar("web").to("http://cart:8080/A"), baseline);
  const Mesh regex(when("    - uri: {regex: '/items/[0-9]+'}"));
  EXPECT_EQ(regex.sidecar("web").to("http://cart:8080/items/42"), feature_a);
  EXPECT_EQ(regex.sidecar("web").to("http://cart:8080/items/42/x"), baseline);
  const Mesh any_case(when("    - {uri: {prefix: /Api}, ignoreUriCase: true}"));
  EXPECT_EQ(any_case.sidecar("web").to("http://cart:8080/aPI/x"), feature_a);
}

TEST(HeaderRouting, AuthorityAndSchemeAreHeadersToo) {
  const Mesh mesh(when("    - {authority: {prefix: 'cart:'}, scheme: {exact: http}}"));
  EXPECT_EQ(mesh.sidecar("web").to(url), feature_a);
  EXPECT_EQ(mesh.sidecar("web").to("http://cart.fe-pre:8080/"), baseline);
}

TEST(HeaderRouting, TheFirstRouteThatMatchesTakesTheRequest) {
  const Mesh mesh(cart + R"(---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart, namespace: fe-pre}
spec:
  hosts: [cart]
  http:
  - match: [{uri: {prefix: /v1}}]
    route: [{destination: {host: cart, subset: baseline}}]
  - match: [{uri: {prefix: /v1/new}}]
    route: [{destination: {host: cart, subset: feature-a}}]
  - match: [{headers: {canarytag: {exact: feature-a}}}]
    route: [{destination: {host: cart, subset: feature-a}}]
)");
  const Proxy web = mesh.sidecar("web");
  EXPECT_EQ(web.to("http://cart:8080/v1/new", {{"canarytag", "feature-a"}}), baseline);
  EXPECT_EQ(web.to("http://cart:8080/v2", {{"canarytag", "feature-a"}}), feature_a);
  EXPECT_EQ(web.to("http://cart:8080/v2"), "no route") << "nothing catches all: Istio answers 404";
}

TEST(HeaderRouting, WhatStandsBehindACatchAllIsNeverReached) {
  const Mesh mesh(cart + R"(---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart, namespace: fe-pre}
spec:
  hosts: [cart]
  http:
  - route: [{destination: {host: cart, subset: baseline}}]
  - match: [{headers: {canarytag: {exact: feature-a}}}]
    route: [{destination: {host: cart, subset: feature-a}}]
)");
  EXPECT_EQ(mesh.sidecar("web").to(url, {{"canarytag", "feature-a"}}), baseline);
  EXPECT_EQ(mesh.sidecar("web").virtual_host("8080", "cart:8080")["routes"].size(), 1u);
}

TEST(HeaderRouting, SourceLabelsAndNamespaceChooseWhoIsAsking) {
  const Mesh mesh(when("    - {sourceLabels: {app: web}, sourceNamespace: fe-pre}"));
  EXPECT_EQ(mesh.sidecar("web").to(url), feature_a);
  EXPECT_EQ(mesh.sidecar("batch").to(url), baseline);
  EXPECT_EQ(mesh.sidecar("web", "other").to("http://cart.fe-pre:8080/"), baseline);
}

TEST(HeaderRouting, APortInTheMatchIsThePortTheRequestCameTo) {
  const Mesh mesh(when("    - port: 8081"));
  EXPECT_EQ(mesh.sidecar("web").to(url), baseline);
  const Mesh fits(when("    - port: 8080"));
  EXPECT_EQ(fits.sidecar("web").to(url), feature_a);
}

TEST(HeaderRouting, ARouteTellsWhichObjectItCameFrom) {
  const Mesh mesh(when("    - headers: {canarytag: {exact: feature-a}}"));
  const Json route = mesh.sidecar("web").route(url, {{"canarytag", "feature-a"}});
  ASSERT_TRUE(route.is_object());
  EXPECT_EQ(route["metadata"]["filter_metadata"]["istio"]["config"],
            "/apis/networking.istio.io/v1/namespaces/fe-pre/virtual-service/cart");
}

}  // namespace
}  // namespace graymesh::feature
