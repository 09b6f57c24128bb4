// A port's protocol is in its name or its appProtocol, and decides how it is proxied.
#include <gtest/gtest.h>

#include <algorithm>

#include "mesh.h"

namespace graymesh::feature {
namespace {

// A Service at 10.96.7.7 with one port 7000, and what the sidecar makes of it.
Proxy with_port(const std::string& port) {
  return Mesh(R"(
apiVersion: v1
kind: Service
metadata: {name: thing, namespace: fe-pre}
spec:
  clusterIP: 10.96.7.7
  selector: {app: thing}
  ports: [{port: 7000, )" +
              port + "}]\n")
      .sidecar("web");
}

const std::string thing = "outbound|7000||thing.fe-pre.svc.cluster.local";
constexpr const char* http_options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

bool has_http(const Json& listener) { return !connection_managers(listener).empty(); }

TEST(Protocols, AnHttpPortSharesOneListenerAndIsRouted) {
  const Proxy web = with_port("name: http-main");
  EXPECT_TRUE(has_http(web.listener("0.0.0.0_7000")));
  EXPECT_TRUE(web.routes("7000").is_object());
  EXPECT_TRUE(web.listener("10.96.7.7_7000").is_null());
}

TEST(Protocols, GrpcAndHttp2SpeakHttp2ToTheService) {
  for (const char* name : {"name: grpc", "name: grpc-main", "name: http2",
                           "name: any, appProtocol: kubernetes.io/h2c"}) {
    const Json options =
        with_port(name).cluster(thing)["typed_extension_protocol_options"][http_options];
    EXPECT_TRUE(options["explicit_http_config"].contains("http2_protocol_options")) << name;
  }
  EXPECT_FALSE(with_port("name: http").cluster(thing).dump().find("http2_protocol_options") !=
               std::string::npos);
}

TEST(Protocols, AppProtocolComesBeforeTheName) {
  EXPECT_TRUE(with_port("name: http, appProtocol: tcp").listener("10.96.7.7_7000").is_object());
  EXPECT_TRUE(has_http(with_port("name: tcp, appProtocol: http").listener("0.0.0.0_7000")));
}

TEST(Protocols, ATcpPortHasAListenerOfItsVirtualIp) {
  for (const char* name :
       {"name: tcp", "name: mongo", "name: mysql-main", "name: redis", "name: https"}) {
    const Json listener = with_port(name).listener("10.96.7.7_7000");
    ASSERT_TRUE(listener.is_object()) << name;
    EXPECT_FALSE(has_http(listener)) << name;
    EXPECT_NE(listener.dump().find(thing), std::string::npos) << name;
  }
}

TEST(Protocols, APortWithoutProtocolIsSniffed) {
  const Proxy web = with_port("name: whatever");
  const Json listener = web.listener("10.96.7.7_7000");
  ASSERT_TRUE(listener.is_object());
  EXPECT_TRUE(has_http(listener));
  EXPECT_TRUE(listener.contains("default_filter_chain")) << "what is not HTTP is plain TCP";
  EXPECT_NE(listener["listener_filters"].dump().find("http_inspector"), std::string::npos);
  EXPECT_TRUE(web.routes("thing.fe-pre.svc.cluster.local:7000").is_object());
}

TEST(Protocols, UdpIsNotProxied) {
  const Proxy web = with_port("name: http, protocol: UDP");
  EXPECT_TRUE(web.cluster(thing).is_null());
  EXPECT_TRUE(web.listener("0.0.0.0_7000").is_null());
}

TEST(Protocols, AServiceWithoutPortsIsNothingToProxy) {
  const Mesh mesh(
      "apiVersion: v1\nkind: Service\nmetadata: {name: bare, namespace: fe-pre}\nspec: {clusterIP: "
      "10.96.0.1}\n" +
      app("cart"));
  for (const auto& name : mesh.sidecar("web").clusters())
    EXPECT_EQ(name.find("bare"), std::string::npos) << name;
  EXPECT_EQ(mesh.sidecar("web").to("http://cart:8080/"), outbound(8080, "", "cart"))
      << "and harms nobody";
}

TEST(Protocols, TcpRoutesOfAVirtualServiceAreWeighted) {
  const Mesh mesh(R"(
apiVersion: v1
kind: Service
metadata: {name: db, namespace: fe-pre}
spec: {clusterIP: 10.96.7.8, selector: {app: db}, ports: [{name: tcp, port: 5432}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: db, namespace: fe-pre}
spec:
  hosts: [db]
  tcp:
  - route:
    - {destination: {host: db, subset: old}, weight: 80}
    - {destination: {host: db, subset: new}, weight: 20}
)" + std::string("---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: "
                 "db, namespace: fe-pre}\n"
                 "spec: {host: db, subsets: [{name: old, labels: {v: old}}, {name: new, labels: "
                 "{v: new}}]}\n"));
  const std::string listener = mesh.sidecar("web").listener("10.96.7.8_5432").dump();
  EXPECT_NE(listener.find(outbound(5432, "old", "db")), std::string::npos);
  EXPECT_NE(listener.find(outbound(5432, "new", "db")), std::string::npos);
}

}  // namespace
}  // namespace graymesh::feature
