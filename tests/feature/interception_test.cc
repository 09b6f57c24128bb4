// How traffic comes to the sidecar: redirected (REDIRECT, Istio's default), or handed over to
// listeners that bind (NONE, the way of one machine).
#include <gtest/gtest.h>

#include "mesh.h"

namespace graymesh::feature {
namespace {

const std::string shop = app("web") + app("cart") + R"(---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: fe-pre}
spec: {clusterIP: 10.96.7.8, selector: {app: db}, ports: [{name: tcp, port: 5432}]}
)";

// The sidecar of the Pod web-baseline.
resource::Node of_web(const Mesh& mesh, resource::Node::Interception mode,
                      const std::string& app_address = "") {
  resource::Node node = sidecar_node("web", "fe-pre", {{"stage", "normal"}});
  const auto service = mesh.snapshot().service("web.fe-pre.svc.cluster.local");
  node.address = mesh.snapshot().endpoints(*service)->by_port[0][0].address;
  node.addresses = {node.address};
  node.interception = mode;
  node.app_address = app_address;
  return node;
}

TEST(Redirect, OneListenerTakesAllOutboundAndOneAllInbound) {
  const Mesh mesh(shop);
  const Proxy web = mesh.proxy(of_web(mesh, resource::Node::Interception::redirect));
  EXPECT_EQ(web.listener("virtualOutbound")["address"]["socket_address"]["port_value"], 15001);
  EXPECT_EQ(web.listener("virtualOutbound")["use_original_dst"], true);
  EXPECT_EQ(web.listener("virtualInbound")["address"]["socket_address"]["port_value"], 15006);
  EXPECT_EQ(web.listener("0.0.0.0_8080")["bind_to_port"], false);
}

TEST(Redirect, InboundGoesToWhereItWasSentTo) {
  const Mesh mesh(shop);
  const Proxy web = mesh.proxy(of_web(mesh, resource::Node::Interception::redirect));
  EXPECT_EQ(web.cluster("inbound|8080||")["type"], "ORIGINAL_DST");
  EXPECT_NE(web.listener("virtualInbound").dump().find("inbound|8080||"), std::string::npos);
}

TEST(Redirect, PortsAreTheMeshConfigs) {
  const Mesh mesh(shop, "{proxyListenPort: 16001, proxyInboundListenPort: 16006}");
  const Proxy web = mesh.proxy(of_web(mesh, resource::Node::Interception::redirect));
  EXPECT_EQ(web.listener("virtualOutbound")["address"]["socket_address"]["port_value"], 16001);
  EXPECT_EQ(web.listener("virtualInbound")["address"]["socket_address"]["port_value"], 16006);
}

TEST(Redirect, NothingBoundIsLeftOfTheVirtualServiceOnTheWayIn) {
  const Mesh mesh(shop +
                  "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: "
                  "web, namespace: fe-pre}\n"
                  "spec: {hosts: [web], http: [{directResponse: {status: 403}}]}\n");
  const Proxy web = mesh.proxy(of_web(mesh, resource::Node::Interception::redirect));
  EXPECT_EQ(web.listener("virtualInbound").dump().find("403"), std::string::npos)
      << "VirtualServices act at the caller";
}

TEST(ModeNone, OutboundListenersBindAndNothingCatchesAll) {
  const Mesh mesh(shop);
  const Proxy web = mesh.proxy(of_web(mesh, resource::Node::Interception::none));
  EXPECT_TRUE(web.listener("virtualOutbound").is_null());
  EXPECT_TRUE(web.listener("virtualInbound").is_null());
  for (const auto& name : web.listeners()) {
    EXPECT_TRUE(web.listener(name).value("bind_to_port", true)) << name;
  }
}

TEST(ModeNone, TheHttpProxyKnowsEveryServiceAtEveryPort) {
  const Mesh mesh(shop + app("pay", {"baseline"}, "fe-pre", 80), "proxyHttpPort: 15002");
  const auto node = of_web(mesh, resource::Node::Interception::none);
  const Proxy web = mesh.proxy(node, "http_proxy");
  EXPECT_EQ(web.to("http://cart:8080/"), outbound(8080, "", "cart"));
  EXPECT_EQ(web.to("http://cart.fe-pre.svc.cluster.local:8080/"), outbound(8080, "", "cart"));
  EXPECT_EQ(web.to("http://pay/"), outbound(80, "", "pay"));
  EXPECT_EQ(web.to("http://pay:80/"), outbound(80, "", "pay"));
}

TEST(ModeNone, TheHttpProxyRoutesAsVirtualServicesSay) {
  const Mesh mesh(app("web") + app("cart", {"baseline", "feature-a"}) +
                      subsets("cart", {"baseline", "feature-a"}) + R"(---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart, namespace: fe-pre}
spec:
  hosts: [cart]
  http:
  - match: [{headers: {canarytag: {exact: feature-a}}}]
    route: [{destination: {host: cart, subset: feature-a}}]
  - route: [{destination: {host: cart, subset: baseline}}]
)",
                  "proxyHttpPort: 15002");
  const Proxy web = mesh.proxy(of_web(mesh, resource::Node::Interception::none), "http_proxy");
  EXPECT_EQ(web.to("http://cart:8080/", {{"canarytag", "feature-a"}}),
            outbound(8080, "feature-a", "cart"));
  EXPECT_EQ(web.to("http://cart:8080/"), outbound(8080, "baseline", "cart"));
}

TEST(ModeNone, InboundBindsTheInstanceAndReachesTheApplicationBesideIt) {
  const Mesh mesh(shop);
  const auto node = of_web(mesh, resource::Node::Interception::none, "127.65.0.9");
  const Proxy web = mesh.proxy(node);
  const Json listener = web.listener(node.address + "_8080");
  ASSERT_TRUE(listener.is_object());
  EXPECT_EQ(listener["address"]["socket_address"]["address"], node.address);
  const Json cluster = web.cluster("inbound|8080||");
  EXPECT_NE(cluster.dump().find("127.65.0.9"), std::string::npos) << cluster;
}

TEST(ModeNone, NothingReliesOnAnOriginalDestination) {
  const Mesh mesh(shop + R"(---
apiVersion: v1
kind: Service
metadata: {name: headless, namespace: fe-pre}
spec: {clusterIP: None, selector: {app: cart}, ports: [{name: http, port: 8080}]}
)",
                  "proxyHttpPort: 15002");
  const Proxy web = mesh.proxy(of_web(mesh, resource::Node::Interception::none), "http_proxy");
  EXPECT_EQ(web.cluster(outbound(8080, "", "headless"))["type"], "EDS");
  EXPECT_EQ(web.addresses(outbound(8080, "", "headless")).size(), 1u);
  EXPECT_EQ(web.to("http://elsewhere.example/"), "answers 502")
      << "there is nowhere to pass it through to";
}

// A ServiceEntry with one inline endpoint.
std::string bank(const std::string& address, const std::string& resolution = "STATIC") {
  return "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: bank, "
         "namespace: fe-pre}\nspec:\n  hosts: [bank.example]\n  ports: [{number: 80, name: http, "
         "protocol: HTTP}]\n  resolution: " +
         resolution + "\n  endpoints: [{address: " + address + "}]\n";
}

// The sidecar of an instance with a loopback address of its own.
resource::Node on_loopback(resource::Node::Interception mode = resource::Node::Interception::none,
                           const std::string& address = "127.1.2.3") {
  resource::Node node = sidecar_node("web", "fe-pre");
  node.address = address;
  node.addresses = {address};
  node.interception = mode;
  return node;
}

const Json any_source =
    Json::parse(R"({"source_address": {"address": "0.0.0.0", "port_value": 0}})");
const std::string bank_cluster = outbound(80, "", "bank.example");

TEST(OnLoopback, WhatIsElsewhereIsReachedFromAnAddressThatGetsThere) {
  for (const auto& [address, resolution] : std::map<std::string, std::string>{
           {"192.0.2.1", "STATIC"}, {"192.0.2.2", "DNS"}, {"www.bank.example", "DNS"}}) {
    const Mesh mesh(bank(address, resolution));
    EXPECT_EQ(mesh.proxy(on_loopback()).cluster(bank_cluster)["upstream_bind_config"], any_source)
        << address;
    auto gateway = gateway_node();
    gateway.address = "127.1.0.1";
    gateway.addresses = {gateway.address};
    EXPECT_EQ(mesh.proxy(gateway).cluster(bank_cluster)["upstream_bind_config"], any_source)
        << address;
  }
}

TEST(OnLoopback, PeersOnLoopbackSeeTheInstancesOwnAddress) {
  const Mesh mesh(bank("127.1.9.9") + app("cart", {}));
  const Proxy web = mesh.proxy(on_loopback());
  EXPECT_FALSE(web.cluster(bank_cluster).contains("upstream_bind_config"));
  EXPECT_FALSE(web.cluster(outbound(8080, "", "cart")).contains("upstream_bind_config"));
}

TEST(OnLoopback, TheOriginalDestinationMayBeAnywhere) {
  const Mesh mesh(
      "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: banks, namespace: "
      "fe-pre}\nspec:\n  hosts: ['*.bank.example']\n  ports: [{number: 80, name: http, protocol: "
      "HTTP}]\n  resolution: NONE\n");
  const Proxy web = mesh.proxy(on_loopback(resource::Node::Interception::redirect));
  EXPECT_EQ(web.cluster("PassthroughCluster")["upstream_bind_config"], any_source);
  EXPECT_EQ(web.cluster(outbound(80, "", "*.bank.example"))["upstream_bind_config"], any_source);
}

TEST(OnLoopback, AnEndpointThatMovesAwayTakesTheSourceAlong) {
  Mesh mesh(bank("127.1.9.9"));
  const auto source = [&] {
    return mesh.proxy(on_loopback()).cluster(bank_cluster).contains("upstream_bind_config");
  };
  EXPECT_FALSE(source());
  mesh.change(bank("192.0.2.1"));
  EXPECT_TRUE(source());
  mesh.change(bank("127.1.9.8"));
  EXPECT_FALSE(source());
}

TEST(OnLoopback, OtherProxiesKeepTheSourceThatTheKernelChooses) {
  const Mesh mesh(bank("192.0.2.1"));
  const Proxy pod = mesh.proxy(on_loopback(resource::Node::Interception::redirect, "10.1.2.3"));
  EXPECT_FALSE(pod.cluster(bank_cluster).contains("upstream_bind_config"));
  EXPECT_FALSE(pod.cluster("PassthroughCluster").contains("upstream_bind_config"));
}

TEST(OnLoopback, InstancesShareTheirClusters) {
  const Mesh mesh(bank("192.0.2.1"));
  const auto clusters = [&](const std::string& address) {
    return mesh.generation()
        .config_for(on_loopback(resource::Node::Interception::none, address))
        ->of(resource::Type::cluster)
        .front();
  };
  EXPECT_EQ(clusters("127.1.2.3"), clusters("127.1.2.4"));
}

}  // namespace
}  // namespace graymesh::feature
