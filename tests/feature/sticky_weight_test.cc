// Weights that a user meets once: annotation graymesh.io/sticky of a VirtualService.
#include <gtest/gtest.h>

#include "mesh.h"

namespace graymesh::feature {
namespace {

std::string service(const std::string& sticky, const std::string& route, int gray = 10) {
  return R"(---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart, namespace: fe-pre, annotations: {)" +
         (sticky.empty() ? "" : "graymesh.io/sticky: \"" + sticky + "\"") + R"(}}
spec:
  hosts: [cart]
  http:
  - match: [{uri: {prefix: /one}}]
    route: [{destination: {host: cart, subset: baseline}}]
  - route:
    - {destination: {host: cart, subset: feature-a}, weight: )" +
         std::to_string(gray) + R"(}
    - {destination: {host: cart, subset: baseline}, weight: )" +
         std::to_string(100 - gray) + "}\n" + route;
}

const std::string cart =
    app("cart", {"baseline", "feature-a"}) + subsets("cart", {"baseline", "feature-a"});

Json route_of(const std::string& sticky, const std::string& path = "/", int gray = 10) {
  const Mesh mesh(cart + service(sticky, "", gray));
  return mesh.sidecar("web").route("http://cart:8080" + path)["route"];
}

// "cookie user, header x-request-id": what a route's hash is made of, each of which ends the
// search.
std::string hashed_by(const Json& route) {
  std::string text;
  for (const Json& policy : route.value("hash_policy", Json::array())) {
    EXPECT_EQ(policy["terminal"], true);
    text += text.empty() ? "" : ", ";
    text += policy.contains("cookie")
                ? "cookie " + policy["cookie"]["name"].get<std::string>()
                : "header " + policy["header"]["header_name"].get<std::string>();
  }
  return text;
}

TEST(StickyWeight, ChoosesByTheHeader) {
  const Json route = route_of("header=x-user");
  EXPECT_EQ(route["weighted_clusters"]["use_hash_policy"], true);
  EXPECT_EQ(hashed_by(route), "header x-user");
}

TEST(StickyWeight, ChoosesByACookieOfTheApplications) {
  EXPECT_EQ(hashed_by(route_of("cookie=user")), "cookie user");
  EXPECT_EQ(hashed_by(route_of("header=x-user, cookie=user")), "header x-user, cookie user");
}

TEST(StickyWeight, GivesTheCookieToWhoeverComesWithout) {
  const Mesh mesh(cart + service("cookie=user; ttl=720h; path=/shop", ""));
  const auto route = [&](const std::string& cookie) {
    return mesh.sidecar("web").route("http://cart:8080/",
                                     cookie.empty() ? Headers{} : Headers{{"cookie", cookie}});
  };
  for (const std::string has : {"user=1", "a=b; user=1", "a=b; user=1; c=d"})
    EXPECT_FALSE(route(has).contains("response_headers_to_add")) << has;
  for (const std::string has_not : {"", "user=", "otheruser=1", "a=user", "user=; a=b"}) {
    const Json added = route(has_not)["response_headers_to_add"];
    ASSERT_EQ(added.size(), 1u) << has_not;
    EXPECT_EQ(added[0]["header"]["key"], "set-cookie");
    EXPECT_EQ(added[0]["header"]["value"],
              "user=%REQ(X-REQUEST-ID)%; Max-Age=2592000; Path=/shop; HttpOnly");
  }
  EXPECT_EQ(hashed_by(route("")["route"]), "cookie user, header x-request-id");
}

TEST(StickyWeight, ACookieOfTheSessionHasNoAge) {
  const Mesh mesh(cart + service("cookie=user; ttl=0s", ""));
  const Json route = mesh.sidecar("web").route("http://cart:8080/");
  EXPECT_EQ(route["response_headers_to_add"][0]["header"]["value"],
            "user=%REQ(X-REQUEST-ID)%; Path=/; HttpOnly");
}

TEST(StickyWeight, KeepsTheWrittenOrderSoThatTheFirstMayGrow) {
  const Json clusters = route_of("header=x-user")["weighted_clusters"]["clusters"];
  ASSERT_EQ(clusters.size(), 2u);
  EXPECT_EQ(clusters[0]["name"], outbound(8080, "feature-a", "cart"));
  EXPECT_EQ(clusters[1]["name"], outbound(8080, "baseline", "cart"));
}

TEST(StickyWeight, IsNothingToARouteWithOneDestination) {
  EXPECT_FALSE(route_of("cookie=user", "/one").contains("hash_policy"));
  const Json all = route_of("cookie=user", "/", 100);
  EXPECT_FALSE(all.contains("hash_policy")) << "the other has no weight";
}

TEST(StickyWeight, WithoutTheAnnotationChanceDecides) {
  const Json route = route_of("");
  EXPECT_FALSE(route.contains("hash_policy"));
  EXPECT_FALSE(route["weighted_clusters"].contains("use_hash_policy"));
}

TEST(StickyWeight, AtAGatewayLeavesOtherVirtualServicesOfTheHostTheirRoutes) {
  const auto at_gateway = [](const std::string& name, const std::string& annotations,
                             const std::string& http) {
    return R"(---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: )" +
           name + ", namespace: fe-pre, annotations: {" + annotations + R"(}}
spec: {hosts: [shop.example], gateways: [istio-system/shop], http: [)" +
           http + "]}\n";
  };
  const Mesh mesh(cart + R"(---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: shop, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [shop.example]}]
)" +
                  at_gateway("a", "graymesh.io/sticky: \"cookie=user; ttl=1h\"",
                             "{route: [{destination: {host: cart, subset: feature-a}, weight: 10},"
                             " {destination: {host: cart, subset: baseline}, weight: 90}]}") +
                  at_gateway("b", "",
                             "{match: [{uri: {prefix: /b}}],"
                             " route: [{destination: {host: cart, subset: baseline}}]}"));
  for (const Headers& headers : {Headers{}, Headers{{"cookie", "user=1"}}})
    EXPECT_EQ(mesh.gateway(80).to("http://shop.example/b", headers),
              outbound(8080, "baseline", "cart"));
}

TEST(StickyWeight, GoesBeforeTheRulesOwnHash) {
  const Mesh mesh(app("cart", {"baseline", "feature-a"}) + R"(---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: cart, namespace: fe-pre}
spec:
  host: cart
  trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true}}}
  subsets:
  - {name: baseline, labels: {stage: normal}}
  - {name: feature-a, labels: {canarytag: feature-a}}
)" + service("header=x-user", ""));
  const Json policies = mesh.sidecar("web").route("http://cart:8080/")["route"]["hash_policy"];
  ASSERT_GE(policies.size(), 2u);
  EXPECT_EQ(policies[0]["header"]["header_name"], "x-user");
  EXPECT_EQ(policies[0]["terminal"], true) << "else two hashes were mixed, and a user would wander";
}

}  // namespace
}  // namespace graymesh::feature
