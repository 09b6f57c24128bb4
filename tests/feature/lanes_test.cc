// A lane is one canarytag across many applications. Each hop decides for itself: the version of the
// lane where there is one, the baseline where there is none, and back to the lane at the next hop.
//
//     web[feature-a] -> cart[baseline] -> pay[feature-a]
#include <gtest/gtest.h>

#include "mesh.h"

namespace graymesh::feature {
namespace {

std::string by_canarytag(const std::string& name, const std::string& version) {
  return R"(---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: )" +
         name + R"(, namespace: fe-pre}
spec:
  hosts: [)" +
         name + R"(]
  http:
  - match: [{headers: {canarytag: {exact: )" +
         version + R"(}}}]
    route: [{destination: {host: )" +
         name + ", subset: " + version + R"(}}]
  - route: [{destination: {host: )" +
         name + R"(, subset: baseline}}]
)";
}

const std::string shop =
    app("web", {"baseline", "feature-a"}) + subsets("web", {"baseline", "feature-a"}) +
    by_canarytag("web", "feature-a") + app("cart", {"baseline", "feature-b"}) +
    subsets("cart", {"baseline", "feature-b"}) + by_canarytag("cart", "feature-b") +
    app("pay", {"baseline", "feature-a"}) + subsets("pay", {"baseline", "feature-a"}) +
    by_canarytag("pay", "feature-a");

// The way of a request with this canarytag, each hop asked of the sidecar it starts from.
std::vector<std::string> way(const Mesh& mesh, const std::string& tag) {
  const Headers headers = tag.empty() ? Headers{} : Headers{{"canarytag", tag}};
  std::vector<std::string> out;
  std::string from = "client";
  for (const std::string next : {"web", "cart", "pay"}) {
    const std::string cluster = mesh.sidecar(from).to("http://" + next + ":8080/", headers);
    const auto begin = cluster.find('|', 9) + 1;  // behind "outbound|8080|"
    out.push_back(cluster.substr(begin, cluster.find('|', begin) - begin));
    from = next;
  }
  return out;
}

using Way = std::vector<std::string>;

TEST(Lanes, WithoutATagEveryHopIsTheBaseline) {
  EXPECT_EQ(way(Mesh(shop), ""), (Way{"baseline", "baseline", "baseline"}));
}

TEST(Lanes, TheBaselineStandsInWhereTheLaneHasNoVersionAndLaterHopsReturnToTheLane) {
  EXPECT_EQ(way(Mesh(shop), "feature-a"), (Way{"feature-a", "baseline", "feature-a"}));
  EXPECT_EQ(way(Mesh(shop), "feature-b"), (Way{"baseline", "feature-b", "baseline"}));
}

TEST(Lanes, AnUnknownLaneIsTheBaselineEverywhere) {
  EXPECT_EQ(way(Mesh(shop), "feature-z"), (Way{"baseline", "baseline", "baseline"}));
}

TEST(Lanes, EveryVersionHasItsOwnInstances) {
  const Mesh mesh(shop);
  const Proxy web = mesh.sidecar("web");
  const auto of = [&](const std::string& subset) {
    return web.addresses(outbound(8080, subset, "pay"));
  };
  ASSERT_EQ(of("baseline").size(), 1u);
  ASSERT_EQ(of("feature-a").size(), 1u);
  EXPECT_NE(of("baseline"), of("feature-a"));
  EXPECT_EQ(of("").size(), 2u) << "the service as a whole has both";
}

TEST(Lanes, AGatewayRoutesTheFirstHopByTheSameRule) {
  const Mesh mesh(shop + R"(---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: shop, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: [shop.example]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: front, namespace: fe-pre}
spec:
  hosts: [shop.example]
  gateways: [istio-system/shop]
  http:
  - match: [{headers: {canarytag: {exact: feature-a}}}]
    route: [{destination: {host: web, subset: feature-a}}]
  - route: [{destination: {host: web, subset: baseline}}]
)");
  const Proxy gateway = mesh.gateway(80);
  EXPECT_EQ(gateway.to("http://shop.example/", {{"canarytag", "feature-a"}}),
            outbound(8080, "feature-a", "web"));
  EXPECT_EQ(gateway.to("http://shop.example/"), outbound(8080, "baseline", "web"));
}

}  // namespace
}  // namespace graymesh::feature
