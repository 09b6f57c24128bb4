// Gateways: which routers serve a Gateway, at which ports, for which hosts, by which routes.
#include <gtest/gtest.h>

#include <algorithm>

#include "mesh.h"

namespace graymesh::feature {
namespace {

const std::string web =
    app("web", {"baseline", "feature-a"}) + subsets("web", {"baseline", "feature-a"});

std::string gateway(const std::string& servers,
                    const std::string& selector = "{istio: ingressgateway}") {
  return "---\napiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: shop, "
         "namespace: istio-system}\nspec:\n"
         "  selector: " +
         selector + "\n  servers:\n" + servers;
}

const std::string http_server =
    "  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ['*.example']}\n";

std::string route(const std::string& name, const std::string& hosts, const std::string& http,
                  const std::string& gateways = "[istio-system/shop]") {
  return "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: " + name +
         ", namespace: fe-pre}\nspec:\n  hosts: " + hosts + "\n  gateways: " + gateways +
         "\n  http:\n" + http;
}

const std::string to_web = "  - route: [{destination: {host: web, subset: baseline}}]\n";

TEST(Gateways, ServeTheVirtualServicesThatNameThem) {
  const Mesh mesh(web + gateway(http_server) + route("shop", "[shop.example]", to_web));
  const Proxy router = mesh.gateway(80);
  EXPECT_EQ(router.to("http://shop.example/"), outbound(8080, "baseline", "web"));
  EXPECT_EQ(router.to("http://other.example/"), "no route");
  ASSERT_TRUE(router.listener("0.0.0.0_80").is_object());
}

TEST(Gateways, AVirtualServiceForTheMeshIsNotForThem) {
  const Mesh mesh(web + gateway(http_server) + route("shop", "[shop.example]", to_web, "[mesh]"));
  EXPECT_EQ(mesh.gateway(80).to("http://shop.example/"), "no route");
}

TEST(Gateways, AVirtualServiceForAGatewayIsNotForTheMesh) {
  const Mesh mesh(
      web + gateway(http_server) +
      route("web", "[web.fe-pre.svc.cluster.local]", "  - directResponse: {status: 403}\n"));
  EXPECT_EQ(mesh.sidecar("client").to("http://web:8080/"), outbound(8080, "", "web"));
}

TEST(Gateways, OneVirtualServiceServesBothIfItNamesBoth) {
  const Mesh mesh(web + gateway(http_server) +
                  route("web", "[web, shop.example]", to_web, "[mesh, istio-system/shop]"));
  EXPECT_EQ(mesh.sidecar("client").to("http://web:8080/"), outbound(8080, "baseline", "web"));
  EXPECT_EQ(mesh.gateway(80).to("http://shop.example/"), outbound(8080, "baseline", "web"));
}

TEST(Gateways, AMatchMayBeForOneOfTheGatewaysOnly) {
  const Mesh mesh(web + gateway(http_server) +
                  route("web", "[web, shop.example]",
                        "  - match: [{gateways: [istio-system/shop]}]\n    route: [{destination: "
                        "{host: web, subset: feature-a}}]\n" +
                            to_web,
                        "[mesh, istio-system/shop]"));
  EXPECT_EQ(mesh.sidecar("client").to("http://web:8080/"), outbound(8080, "baseline", "web"));
  EXPECT_EQ(mesh.gateway(80).to("http://shop.example/"), outbound(8080, "feature-a", "web"));
}

TEST(Gateways, AMatchOnSourceLabelsIsOnTheGatewaysOwn) {
  const auto labelled = [](const std::string& labels) {
    return web + gateway(http_server) +
           route("web", "[shop.example]",
                 "  - match: [{sourceLabels: " + labels +
                     "}]\n    route: [{destination: {host: web, subset: feature-a}}]\n" + to_web);
  };
  EXPECT_EQ(Mesh(labelled("{istio: ingressgateway}")).gateway(80).to("http://shop.example/"),
            outbound(8080, "feature-a", "web"));
  EXPECT_EQ(Mesh(labelled("{app: client}")).gateway(80).to("http://shop.example/"),
            outbound(8080, "baseline", "web"));
}

TEST(Gateways, OnlyHostsThatTheServerTakesAreServed) {
  const Mesh mesh(web +
                  gateway("  - {port: {number: 80, name: http, protocol: HTTP}, hosts: "
                          "[fe-pre/shop.example, other/b.example]}\n") +
                  route("shop", "[shop.example, b.example]", to_web));
  EXPECT_EQ(mesh.gateway(80).to("http://shop.example/"), outbound(8080, "baseline", "web"));
  EXPECT_EQ(mesh.gateway(80).to("http://b.example/"), "no route")
      << "only for VirtualServices in namespace other";
}

TEST(Gateways, TwoVirtualServicesOfOneHostAreJoinedAndACatchAllComesLast) {
  const Mesh mesh(web + gateway(http_server) + route("a", "[shop.example]", to_web) +
                  route("b", "[shop.example]",
                        "  - match: [{uri: {prefix: /gray}}]\n    route: [{destination: {host: "
                        "web, subset: feature-a}}]\n"));
  EXPECT_EQ(mesh.gateway(80).to("http://shop.example/gray"), outbound(8080, "feature-a", "web"));
  EXPECT_EQ(mesh.gateway(80).to("http://shop.example/"), outbound(8080, "baseline", "web"));
}

TEST(Gateways, APortIsTakenToTheTargetPortOfTheGatewaysService) {
  const Mesh mesh(web + gateway(http_server) + route("shop", "[shop.example]", to_web) + R"(---
apiVersion: v1
kind: Service
metadata: {name: gateway, namespace: istio-system}
spec:
  clusterIP: 10.96.255.1
  selector: {istio: ingressgateway}
  ports: [{name: http, port: 80, targetPort: 8088}]
---
apiVersion: v1
kind: Pod
metadata: {name: gateway-0, namespace: istio-system, labels: {istio: ingressgateway}}
spec: {containers: [{name: istio-proxy}]}
status: {phase: Running, podIP: 10.9.9.9, conditions: [{type: Ready, status: "True"}]}
)");
  EXPECT_TRUE(mesh.gateway(80).listener("0.0.0.0_8088").is_object());
  EXPECT_TRUE(mesh.gateway(80).listener("0.0.0.0_80").is_null());
  EXPECT_EQ(mesh.gateway(8088).to("http://shop.example/"), outbound(8080, "baseline", "web"));
}

TEST(Gateways, RoutersWithoutTheLabelsServeNothing) {
  const Mesh mesh(web + gateway(http_server, "{istio: egress}") +
                  route("shop", "[shop.example]", to_web));
  EXPECT_TRUE(mesh.gateway(80).listeners().empty());
}

TEST(Gateways, AServerWithoutVirtualServiceAnswers404) {
  const Mesh mesh(web + gateway(http_server));
  const Proxy router = mesh.gateway(80);
  EXPECT_TRUE(router.listener("0.0.0.0_80").is_object());
  EXPECT_EQ(router.to("http://shop.example/"), "no route");
}

TEST(Gateways, PlainHttpIsSentToHttpsWhereTheServerSaysSo) {
  const Mesh mesh(web +
                  gateway("  - {port: {number: 80, name: http, protocol: HTTP}, hosts: "
                          "[shop.example], tls: {httpsRedirect: true}}\n") +
                  route("shop", "[shop.example]", to_web));
  EXPECT_EQ(mesh.gateway(80).virtual_host("http.80", "shop.example")["require_tls"], "ALL");
}

TEST(Gateways, TlsEndsAtTheGatewayWithItsCertificateAndIsChosenByName) {
  const Mesh mesh(
      web +
      gateway("  - port: {number: 443, name: https, protocol: HTTPS}\n    hosts: [shop.example]\n"
              "    tls: {mode: SIMPLE, serverCertificate: /etc/certs/tls.crt, privateKey: "
              "/etc/certs/tls.key}\n") +
      route("shop", "[shop.example]", to_web));
  const Json listener = mesh.gateway(443).listener("0.0.0.0_443");
  ASSERT_TRUE(listener.is_object());
  const Json chain = listener["filter_chains"][0];
  EXPECT_EQ(chain["filter_chain_match"]["server_names"], Json::array({"shop.example"}));
  EXPECT_NE(chain["transport_socket"].dump().find("/etc/certs/tls.crt"), std::string::npos);
  EXPECT_TRUE(mesh.gateway(443).routes("https.443.https.shop.istio-system").is_object());
}

TEST(Gateways, TlsPassesThroughByName) {
  const Mesh mesh(web +
                  gateway("  - {port: {number: 443, name: tls, protocol: TLS}, hosts: "
                          "[shop.example], tls: {mode: PASSTHROUGH}}\n") +
                  "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: "
                  "shop, namespace: fe-pre}\n"
                  "spec:\n  hosts: [shop.example]\n  gateways: [istio-system/shop]\n  tls:\n"
                  "  - match: [{port: 443, sniHosts: [shop.example]}]\n    route: [{destination: "
                  "{host: web, port: {number: 8080}}}]\n");
  const Json listener = mesh.gateway(443).listener("0.0.0.0_443");
  ASSERT_TRUE(listener.is_object());
  EXPECT_EQ(listener["filter_chains"][0]["filter_chain_match"]["server_names"],
            Json::array({"shop.example"}));
  EXPECT_NE(listener["filter_chains"][0].dump().find(outbound(8080, "", "web")), std::string::npos);
}

TEST(Gateways, AWordThatIsNoCipherSuiteCostsItselfAndNotTheListener) {
  const Mesh mesh(
      web +
      gateway("  - {port: {number: 443, name: https, protocol: HTTPS}, hosts: ['*.example'], tls: "
              "{mode: SIMPLE, serverCertificate: /etc/certs/tls.crt, privateKey: "
              "/etc/certs/tls.key, cipherSuites: [ECDHE-RSA-AES128-GCM-SHA256, "
              "TLS_AES_128_GCM_SHA256, NO-SUCH, AES128-SHA]}}\n") +
      route("shop", "[shop.example]", to_web));
  const Json listener = mesh.gateway(443).listener("0.0.0.0_443");
  EXPECT_EQ(listener["filter_chains"][0]["transport_socket"]["typed_config"]["common_tls_context"]
                    ["tls_params"]["cipher_suites"],
            Json::array({"ECDHE-RSA-AES128-GCM-SHA256", "AES128-SHA"}));
  EXPECT_TRUE(
      mesh.mentions("Gateway istio-system/shop: servers[0].tls.cipherSuites[1] "
                    "TLS_AES_128_GCM_SHA256, is no cipher suite"));
  EXPECT_TRUE(mesh.mentions("servers[0].tls.cipherSuites[2] NO-SUCH, is no cipher suite"));
}

TEST(Gateways, APinThatEnvoyCannotReadIsRefused) {
  const Mesh mesh(
      web +
      gateway("  - {port: {number: 443, name: https, protocol: HTTPS}, hosts: ['*.example'], tls: "
              "{mode: MUTUAL, serverCertificate: /etc/certs/tls.crt, privateKey: "
              "/etc/certs/tls.key, caCertificates: /etc/certs/tls.crt, verifyCertificateHash: "
              "[abc]}}\n"));
  ASSERT_EQ(mesh.refused().size(), 1u);
  EXPECT_TRUE(
      mesh.mentions("Gateway istio-system/shop: servers[0].tls.verifyCertificateHash[0] "
                    "abc, must be a SHA-256 in hex"));
}

TEST(Gateways, ADestinationWithoutPortIsTheOnlyPortOfItsService) {
  const Mesh mesh(app("pay", {"baseline"}, "fe-pre", 9000) + gateway(http_server) +
                  route("pay", "[pay.example]", "  - route: [{destination: {host: pay}}]\n"));
  EXPECT_EQ(mesh.gateway(80).to("http://pay.example/"), outbound(9000, "", "pay"));
}

TEST(Gateways, AServerThatAnotherLeavesNoPortToIsAProblemOfItsGateway) {
  const Mesh mesh(web +
                  gateway(http_server + "  - {port: {number: 80, name: tcp, protocol: TCP}, hosts: "
                                        "['*']}\n") +
                  route("shop", "[shop.example]", to_web) +
                  "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: "
                  "raw, namespace: fe-pre}\n"
                  "spec: {hosts: [raw.example], gateways: [istio-system/shop], tcp: [{route: "
                  "[{destination: {host: web, port: {number: 8080}}}]}]}\n");
  EXPECT_EQ(mesh.gateway(80).listener("0.0.0.0_80")["filter_chains"].size(), 1u);
  EXPECT_TRUE(
      mesh.mentions("Gateway istio-system/shop: servers[1].port.number 80, is already taken"));
}

TEST(Gateways, AnUnknownGatewayIsAProblemOfTheVirtualService) {
  const Mesh mesh(web + route("shop", "[shop.example]", to_web, "[istio-system/nowhere]"));
  EXPECT_TRUE(mesh.mentions("VirtualService fe-pre/shop"));
  EXPECT_TRUE(mesh.mentions("nowhere"));
}

}  // namespace
}  // namespace graymesh::feature
