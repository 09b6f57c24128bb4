// No field of a VirtualService is silently without effect (fields.h).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "fields.h"

namespace graymesh::feature {
namespace {

using testing::IsEmpty;

TEST(VirtualServiceFields, OfHttpMatches) {
  EXPECT_THAT(silent({istio("VirtualService", R"({
    "hosts": ["cart.fe-pre.svc.cluster.local"],
    "gateways": ["mesh", "istio-system/door"],
    "http": [{
      "name": "first",
      "match": [{
        "name": "m", "uri": {"prefix": "/a"}, "ignoreUriCase": true, "scheme": {"exact": "http"},
        "method": {"regex": "G.*"}, "authority": {"prefix": "ca"},
        "headers": {"x-a": {"exact": "1"}}, "withoutHeaders": {"x-b": {"prefix": "2"}},
        "queryParams": {"q": {"exact": "1"}}, "port": 8080, "sourceLabels": {"app": "web"},
        "sourceNamespace": "fe-pre", "statPrefix": "told"
      }],
      "route": [{"destination": {"host": "pay"}}]
    }, {
      "match": [{"uri": {"prefix": "/g"}, "gateways": ["mesh"], "sourceLabels": {"app": "web"},
                 "sourceNamespace": "fe-pre"}],
      "route": [{"destination": {"host": "pay"}}]
    }, {
      "match": [{"uri": {"exact": "/b"}}, {"uri": {"regex": "/c.*"}}],
      "route": [{"destination": {"host": "pay"}}]
    }]})")}),
              IsEmpty());
}

TEST(VirtualServiceFields, OfHttpRoutes) {
  EXPECT_THAT(
      silent({istio("VirtualService", R"json({
    "hosts": ["cart"],
    "http": [{
      "match": [{"uri": {"prefix": "/a"}}],
      "route": [
        {"destination": {"host": "cart", "subset": "a", "port": {"number": 9090}}, "weight": 80,
         "headers": {"request": {"set": {"a": "1"}, "add": {"b": "2"}, "remove": ["c"]},
                     "response": {"set": {"d": "3"}, "add": {"e": "4"}, "remove": ["f"]}}},
        {"destination": {"host": "pay"}, "weight": 20}],
      "rewrite": {"uri": "/z", "authority": "z.example"},
      "timeout": "3s",
      "retries": {"attempts": 4, "perTryTimeout": "1s", "retryOn": "5xx,reset",
                  "retryRemoteLocalities": true, "retryIgnorePreviousHosts": false,
                  "backoff": "30ms"},
      "fault": {"delay": {"fixedDelay": "2s", "percentage": {"value": 10}},
                "abort": {"httpStatus": 500, "percentage": {"value": 5}}},
      "mirrors": [{"destination": {"host": "pay", "subset": "p", "port": {"number": 8080}},
                   "percentage": {"value": 3}}],
      "corsPolicy": {"allowOrigins": [{"exact": "https://a.example"}, {"regex": ".*"}],
                     "allowMethods": ["PUT"], "allowHeaders": ["x"], "exposeHeaders": ["y"],
                     "maxAge": "20s", "allowCredentials": true, "unmatchedPreflights": "IGNORE"},
      "headers": {"request": {"set": {"g": "1"}, "add": {"h": "2"}, "remove": ["i"]},
                  "response": {"set": {"j": "3"}, "add": {"k": "4"}, "remove": ["l"]}}
    }, {
      "match": [{"uri": {"prefix": "/regex"}}],
      "rewrite": {"uriRegexRewrite": {"match": "^/regex/(.*)", "rewrite": "/\\1"}},
      "fault": {"abort": {"grpcStatus": "UNAVAILABLE", "percentage": {"value": 4}}},
      "route": [{"destination": {"host": "pay"}}]
}, {
      "match": [{"uri": {"prefix": "/old"}}],
      "fault": {"delay": {"fixedDelay": "2s", "percent": 5}},
      "mirror": {"host": "pay", "port": {"number": 8080}},
      "mirrorPercent": 7,
      "corsPolicy": {"allowOrigin": ["https://b.example"]},
      "route": [{"destination": {"host": "pay"}}]
    }, {
      "match": [{"uri": {"prefix": "/older"}}],
      "mirror": {"host": "pay"},
      "mirrorPercentage": {"value": 9},
      "fault": {"delay": {"exponentialDelay": "2s"}, "abort": {"http2Error": "CANCEL"}},
      "route": [{"destination": {"host": "pay"}}]
    }, {
      "match": [{"uri": {"prefix": "/r"}}],
      "redirect": {"uri": "/s", "authority": "s.example", "scheme": "https", "port": 444,
                   "redirectCode": 307}
    }, {
      "match": [{"uri": {"prefix": "/q"}}],
      "redirect": {"prefixRewrite": "/s", "derivePort": "FROM_REQUEST_PORT"}
    }, {
      "match": [{"uri": {"prefix": "/d"}}],
      "directResponse": {"status": 503, "body": {"string": "closed"}}
    }, {
      "directResponse": {"status": 503, "body": {"bytes": "Y2xvc2Vk"}}
    }]
})json"),
              R"(
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: cart, namespace: fe-pre}
spec: {host: cart, subsets: [{name: a, labels: {version: a}}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: pay, namespace: fe-pre}
spec: {host: pay, subsets: [{name: p, labels: {app: pay}}]}
---
)",
              // The only port of its service, as it would be without.
              {"http[0].mirrors[0].destination.port", "http[0].mirrors[0].destination.port.number",
               "http[2].mirror.port", "http[2].mirror.port.number"}}),
      IsEmpty());
}

TEST(VirtualServiceFields, OfDelegates) {
  EXPECT_THAT(silent({istio("VirtualService", R"({
    "hosts": ["cart"], "exportTo": ["."],
    "http": [{"match": [{"uri": {"prefix": "/a"}}],
              "delegate": {"name": "part", "namespace": "fe-online"}}]})"),
                      R"(
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: part, namespace: fe-online}
spec: {http: [{route: [{destination: {host: pay.fe-pre.svc.cluster.local}}]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: part, namespace: fe-pre}
spec: {http: [{timeout: 3s, route: [{destination: {host: pay.fe-pre.svc.cluster.local}}]}]}
---
)"}),
              IsEmpty());
}

TEST(VirtualServiceFields, OfTcpAndTlsRoutes) {
  EXPECT_THAT(silent({istio("VirtualService", R"({
    "hosts": ["cart.fe-pre.svc.cluster.local"],
    "gateways": ["mesh", "istio-system/door"],
    "tcp": [{
      "match": [{"port": 5432, "destinationSubnets": ["10.96.0.0/16"],
                 "sourceLabels": {"app": "web"}, "gateways": ["mesh"],
                 "sourceNamespace": "fe-pre", "sourceSubnet": "10.1.0.0/16"}],
      "route": [
        {"destination": {"host": "cart", "subset": "a", "port": {"number": 5433}}, "weight": 70},
        {"destination": {"host": "cart", "subset": "b", "port": {"number": 8080}}, "weight": 30}]
    }],
    "tls": [{
      "match": [{"port": 8443, "sniHosts": ["cart.fe-pre.svc.cluster.local"],
                 "destinationSubnets": ["10.96.0.0/16"], "sourceLabels": {"app": "web"},
                 "gateways": ["mesh"], "sourceNamespace": "fe-pre"},
                {"port": 9443, "sniHosts": ["cart.fe-pre.svc.cluster.local"],
                 "gateways": ["istio-system/door"]}],
      "route": [{"destination": {"host": "cart", "subset": "a", "port": {"number": 8443}}}]
    }]})"),
                      R"(
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: cart, namespace: fe-pre}
spec: {host: cart, subsets: [{name: a, labels: {version: a}}, {name: b, labels: {version: b}}]}
---
)",
                      // Their ports are no other proxy's.
                      {"tcp[0].match[0].gateways", "tcp[0].match[0].gateways[0]",
                       "tls[0].match[0].gateways", "tls[0].match[0].gateways[0]",
                       "tls[0].match[1].gateways", "tls[0].match[1].gateways[0]"}}),
              IsEmpty());
}

}  // namespace
}  // namespace graymesh::feature
