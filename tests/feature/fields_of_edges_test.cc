// No field of ServiceEntries, WorkloadEntries, Gateways, Sidecars and the MeshConfig is silently
// without effect (fields.h).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "fields.h"

namespace graymesh::feature {
namespace {

using testing::IsEmpty;

TEST(ServiceEntryFields, OfAStaticOne) {
  EXPECT_THAT(silent({istio("ServiceEntry", R"({
    "hosts": ["a.example"], "addresses": ["10.97.0.1"], "exportTo": ["."],
    "ports": [{"number": 8080, "protocol": "HTTP", "name": "http", "targetPort": 8081}],
    "location": "MESH_INTERNAL", "resolution": "STATIC",
    "endpoints": [{"address": "10.2.0.1", "ports": {"http": 7070}, "labels": {"v": "1"},
                   "network": "n1", "locality": "r2/z2/s2", "weight": 3,
                   "serviceAccount": "who"}, {"address": "10.2.0.2"}],
    "subjectAltNames": ["a.example"]})"),
                      R"(
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: a, namespace: fe-pre}
spec:
  host: a.example
  trafficPolicy: {tls: {mode: SIMPLE}}
  subsets: [{name: one, labels: {v: "1"}}]
---
)"}),
              IsEmpty());
}

TEST(ServiceEntryFields, OfOneByDns) {
  EXPECT_THAT(silent({istio("ServiceEntry", R"({
    "hosts": ["a.example", "b.example"],
    "ports": [{"number": 8080, "protocol": "HTTP", "name": "http"},
              {"number": 8443, "protocol": "TLS", "name": "tls"}],
    "resolution": "DNS",
    "endpoints": [{"address": "real.example", "ports": {"http": 7070}, "weight": 3}]})")}),
              IsEmpty());
}

TEST(WorkloadEntryFields, OfOneThatAServiceEntrySelects) {
  EXPECT_THAT(silent({istio("WorkloadEntry", R"({
    "address": "10.2.0.1", "ports": {"http": 7070}, "labels": {"app": "vm", "v": "1"},
    "network": "n1", "locality": "r2/z2", "weight": 3, "serviceAccount": "who"})"),
                      R"(
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: vm, namespace: fe-pre}
spec:
  hosts: [vm.example]
  ports: [{number: 8080, protocol: HTTP, name: http}]
  resolution: STATIC
  workloadSelector: {labels: {app: vm}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: vm, namespace: fe-pre}
spec: {host: vm.example, subsets: [{name: one, labels: {v: "1"}}]}
---
)"}),
              IsEmpty());
}

TEST(GatewayFields, OfItsServers) {
  EXPECT_THAT(silent({istio("Gateway", R"({
    "selector": {"istio": "ingressgateway"},
    "servers": [
      {"name": "plain", "bind": "10.0.0.1", "hosts": ["fe-pre/a.example"],
       "port": {"number": 8000, "name": "http", "protocol": "HTTP"},
       "tls": {"httpsRedirect": true}, "defaultEndpoint": "127.0.0.1:80"},
      {"hosts": ["a.example"], "port": {"number": 8443, "name": "https", "protocol": "HTTPS"},
       "tls": {"mode": "MUTUAL", "serverCertificate": "/s.pem", "privateKey": "/k.pem",
               "caCertificates": "/ca.pem", "caCrl": "/crl.pem", "subjectAltNames": ["c.example"],
               "verifyCertificateSpki": ["47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="],
               "verifyCertificateHash":
                 ["e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
               "minProtocolVersion": "TLSV1_3", "maxProtocolVersion": "TLSV1_3",
               "cipherSuites": ["ECDHE-RSA-AES128-GCM-SHA256"], "insecureSkipVerify": true}},
      {"hosts": ["b.example"], "port": {"number": 8444, "name": "more", "protocol": "HTTPS"},
       "tls": {"mode": "SIMPLE", "credentialName": "secret"}}]})"),
                      R"(
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a, namespace: fe-pre}
spec: {hosts: [a.example], gateways: [x], http: [{route: [{destination: {host: pay}}]}]}
---
)"}),
              IsEmpty());
}

TEST(SidecarFields, OfBothDirections) {
  EXPECT_THAT(silent({istio("Sidecar", R"({
    "workloadSelector": {"labels": {"app": "cart"}},
    "ingress": [{"port": {"number": 8080, "protocol": "HTTP", "name": "in"}, "bind": "127.0.0.8",
                 "captureMode": "NONE", "defaultEndpoint": "127.0.0.1:7070",
                 "connectionPool": {"tcp": {"maxConnections": 3}}}],
    "egress": [{"port": {"number": 8080, "protocol": "HTTP", "name": "out"}, "bind": "127.0.0.9",
                "captureMode": "NONE", "hosts": ["fe-pre/*"]},
               {"hosts": ["fe-online/*"]}],
    "outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"},
    "inboundConnectionPool": {"http": {"maxRetries": 3}}})"),
                      "",
                      // Names for people; what the services' ports say themselves; what an empty
                      // policy means.
                      {"ingress[0].port.name", "egress[0].port.name", "egress[0].port.protocol",
                       "outboundTrafficPolicy.mode"}}),
              IsEmpty());
}

TEST(MeshConfigFields, ThatAreReadReachTheProxies) {
  const char* config = R"({
    "rootNamespace": "fe-online", "proxyListenPort": 15011, "proxyInboundListenPort": 15016,
    "proxyHttpPort": 15007, "connectTimeout": "3s", "protocolDetectionTimeout": "2s",
    "tcpKeepalive": {"probes": 3, "time": "7s", "interval": "6s"},
    "accessLogFile": "/dev/stdout", "accessLogFormat": "%PROTOCOL%\n", "accessLogEncoding": "TEXT",
    "defaultServiceExportTo": ["."], "defaultVirtualServiceExportTo": ["."],
    "outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}, "h2UpgradePolicy": "UPGRADE",
    "defaultHttpRetryPolicy": {"attempts": 7, "retryOn": "reset", "perTryTimeout": "1s"},
    "localityLbSetting": {"distribute": [{"from": "r1/*", "to": {"r1/*": 80, "r2/*": 20}}]},
    "pathNormalization": {"normalization": "MERGE_SLASHES"},
    "trustDomain": "shop.example", "ingressService": "edge",
    "enableTracing": true, "defaultConfig": {"tracing": {"sampling": 5}, "discoveryAddress": "a:1",
      "concurrency": 2}})";
  const char* tracing = R"({
    "extensionProviders": [{"name": "otel", "opentelemetry": {"service": "collector.shop", "port": 4318,
      "maxTagLength": 99, "http": {"path": "/v1/traces", "timeout": "2s", "headers": [{"name": "a", "value": "b"}]}}}],
    "defaultProviders": {"tracing": ["otel"]}, "defaultConfig": {"tracing": {"sampling": 5}}})";
  const std::string more = R"(
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart, namespace: fe-pre}
spec: {hosts: [cart], http: [{route: [{destination: {host: cart}}]}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: pay, namespace: fe-online}
spec: {host: pay.fe-pre.svc.cluster.local, exportTo: ["*"], trafficPolicy: {outlierDetection: {consecutive5xxErrors: 6}}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: cart, namespace: fe-pre}
spec: {host: cart, trafficPolicy: {connectionPool: {tcp: {maxConnections: 6}}}}
---
)";
  for (const char* text : {config, tracing, R"({"defaultDestinationRuleExportTo": ["."]})"}) {
    SCOPED_TRACE(text);
    EXPECT_THAT(silent_of_mesh(text, more,
                               // What they are without; what graymeshd starts sidecars with.
                               {"accessLogEncoding", "outboundTrafficPolicy.mode",
                                "defaultConfig.concurrency"}),
                IsEmpty());
  }
}

}  // namespace
}  // namespace graymesh::feature
