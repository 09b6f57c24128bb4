// Releases write VirtualServices of their own beside the team's: label graymesh.io/precedence.
#include <gtest/gtest.h>

#include "mesh.h"

namespace graymesh::feature {
namespace {

const std::string cart = app("cart", {"baseline", "feature-a", "feature-b"}) +
                         subsets("cart", {"baseline", "feature-a", "feature-b"});

// A VirtualService for cart: a subset for requests with a header, or for all.
std::string fragment(const std::string& name, const std::string& precedence,
                     const std::string& header, const std::string& subset,
                     const std::string& more = "hosts: [cart]") {
  return R"(---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: )" +
         name + ", namespace: fe-pre, labels: {" +
         (precedence.empty() ? "" : "graymesh.io/precedence: " + precedence) + R"(}}
spec:
  )" + more +
         R"(
  http:
  - route: [{destination: {host: cart, subset: )" +
         subset + "}}]\n" +
         (header.empty() ? "" : "    match: [{headers: {" + header + ": {}}}]\n");
}

std::string to(const Mesh& mesh, const Headers& headers = {}) {
  return mesh.sidecar("web").to("http://cart:8080/", headers);
}

TEST(Fragments, AReleaseGoesBeforeTheTeamAndADefaultBehind) {
  const Mesh mesh(cart + fragment("cart", "", "team", "feature-b") +
                  fragment("cart-r", "release", "canarytag", "feature-a") +
                  fragment("cart-d", "default", "", "baseline"));
  EXPECT_EQ(to(mesh, {{"canarytag", "x"}, {"team", "x"}}), outbound(8080, "feature-a", "cart"));
  EXPECT_EQ(to(mesh, {{"team", "x"}}), outbound(8080, "feature-b", "cart"));
  EXPECT_EQ(to(mesh), outbound(8080, "baseline", "cart"));
}

TEST(Fragments, AReleaseThatGoesLeavesTheTeamsAsItWas) {
  const std::string team = cart + fragment("cart", "", "", "baseline");
  Mesh mesh(team);
  const Json before = mesh.sidecar("web").routes("8080");
  mesh.change(team + fragment("cart-r", "release", "", "feature-a"));
  EXPECT_EQ(to(mesh), outbound(8080, "feature-a", "cart"));
  EXPECT_TRUE(mesh.mentions("is hidden by http[0] of VirtualService fe-pre/cart-r"));
  mesh.change(team);
  EXPECT_EQ(to(mesh), outbound(8080, "baseline", "cart"));
  EXPECT_EQ(mesh.sidecar("web").routes("8080"), before);
}

TEST(Fragments, ARefusalNamesAllOfThem) {
  const Mesh mesh(cart + fragment("cart", "", "team", "feature-b") +
                  fragment("cart-r", "release", "canarytag", "feature-a"));
  const auto table = *mesh.sidecar("web").config().find(resource::Type::route, "8080");
  const auto& origins = table->origins();
  EXPECT_EQ(
      std::vector<std::string>(origins.begin(), origins.begin() + 2),
      (std::vector<std::string>{"VirtualService fe-pre/cart", "VirtualService fe-pre/cart-r"}));
}

TEST(Fragments, MeetAtGatewaysToo) {
  const std::string spec = "hosts: [shop.example]\n  gateways: [istio-system/shop]";
  const Mesh mesh(cart + R"(---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: shop, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [shop.example]}]
)" + fragment("front", "", "", "baseline", spec) +
                  fragment("front-r", "release", "canarytag", "feature-a", spec) +
                  fragment("front-all", "release", "every", "feature-b", spec));
  const Proxy gateway = mesh.gateway(80);
  EXPECT_EQ(gateway.to("http://shop.example/", {{"canarytag", "x"}}),
            outbound(8080, "feature-a", "cart"));
  EXPECT_EQ(gateway.to("http://shop.example/"), outbound(8080, "baseline", "cart"));
}

TEST(Fragments, ARouteForEveryRequestGoesBeforeTheTeamsAtAGatewayToo) {
  const std::string spec = "hosts: [shop.example]\n  gateways: [istio-system/shop]";
  const Mesh mesh(cart + R"(---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: shop, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [shop.example]}]
)" + fragment("front", "", "team", "baseline", spec) +
                  fragment("front-r", "release", "", "feature-a", spec));
  EXPECT_EQ(mesh.gateway(80).to("http://shop.example/", {{"team", "x"}}),
            outbound(8080, "feature-a", "cart"));
}

}  // namespace
}  // namespace graymesh::feature
