#include "model/testing.h"

namespace graymesh::model {
namespace {

using namespace testing;
using namespace std::chrono_literals;

std::string vs(std::string_view spec) { return of_kind("VirtualService", spec); }
// Fields of the first HTTP route of a VirtualService for host `web`, in flow form; on line 7.
std::string route(const std::string& fields) {
  return vs("  hosts: [web]\n  http:\n  - {" + fields + "}\n");
}
std::string with_route(const std::string& fields) {
  return route(fields + ", route: [{destination: {host: web}}]");
}

std::string on(int line, std::string_view rest) {
  return "f.yaml:" + std::to_string(line) + " VirtualService default/x: http[0]." +
         std::string(rest);
}
std::string on7(std::string_view rest) { return on(7, rest); }

TEST(VirtualService, IsReadWhole) {
  const auto read = spec_of<VirtualService>(vs(R"(  hosts: [web, web.example.com]
  gateways: [mesh, ingress/shop]
  exportTo: ["."]
  http:
  - name: branch
    match:
    - name: tagged
      uri: {prefix: /api}
      method: {exact: GET}
      headers: {canarytag: {exact: feature-a}, ":authority": {regex: "a+"}, any: {}}
      withoutHeaders: {x-old: {}, x-none: }
      queryParams: {v: {exact: "1"}}
      port: 80
      sourceLabels: {app: web}
      sourceNamespace: fe
      gateways: [mesh]
      ignoreUriCase: true
    route:
    - destination: {host: web, subset: a, port: {number: 80}}
      weight: 90
      headers: {request: {set: {x: "1"}}, response: {remove: [y]}}
    - destination: {host: web}
      weight: 10
    timeout: 1m30s
    retries: {attempts: 3, perTryTimeout: 0.5s, retryOn: "5xx,503"}
    rewrite: {uri: /}
    mirror: {host: shadow}
    mirrorPercentage: {value: 12.5}
    corsPolicy: {allowOrigins: [{exact: "https://a"}], allowMethods: [GET], maxAge: 24h, allowCredentials: true}
    fault: {delay: {fixedDelay: 100ms, percentage: {value: 0.1}}, abort: {grpcStatus: UNAVAILABLE, percentage: {value: 2.5}}}
    headers: {request: {add: {x-graymesh: "%REQ(:path)%"}}}
)"));
  EXPECT_EQ(read.gateways, (std::vector<std::string>{"mesh", "ingress/shop"}));
  ASSERT_EQ(read.http.size(), 1u);
  const HttpRoute& http = read.http[0];
  EXPECT_EQ(http.position.line, 9);
  const HttpMatch& match = http.match.at(0);
  EXPECT_EQ(match.uri, (StringMatch{StringMatch::Kind::prefix, "/api"}));
  EXPECT_EQ(match.headers.at("any"), StringMatch{});
  EXPECT_EQ(match.headers.at("canarytag"), (StringMatch{StringMatch::Kind::exact, "feature-a"}));
  EXPECT_EQ(match.without_headers.at("x-none"), StringMatch{});
  EXPECT_EQ(match.port, 80u);
  EXPECT_TRUE(match.ignore_uri_case);
  EXPECT_EQ(http.route.at(0).destination, (Destination{.host = "web", .subset = "a", .port = 80}));
  EXPECT_EQ(http.route.at(0).headers.response.remove, std::vector<std::string>{"y"});
  EXPECT_EQ(http.route.at(1).weight, 10u);
  EXPECT_EQ(http.timeout, 90s);
  EXPECT_EQ(http.retries->per_try_timeout, 500ms);
  EXPECT_EQ(http.mirrors.at(0),
            (Mirror{.destination = {.host = "shadow", .subset = "", .port = 0}, .percent = 12.5}));
  EXPECT_EQ(http.cors->max_age, 24h);
  EXPECT_EQ(http.fault->delay->percent, 0.1);
  EXPECT_EQ(http.fault->abort->grpc_status, 14u);
  EXPECT_EQ(http.fault->abort->percent, 2.5);
}

TEST(VirtualService, TellsAllItsProblemsTogether) {
  EXPECT_EQ(
      errors_of(vs(R"(  hosts: [web]
  http:
  - match:
    - headers: {canarytag: {exact: 1}}
    route:
    - destination: {host: web}
      weight: -1
    timeuot: 5s
    retries: {attempts: two, retryOn: never}
)")),
      (Lines{on(8, "match[0].headers.canarytag.exact 1, must be text; put it in quotes"),
             on(11, "route[0].weight -1, must not be negative"),
             on(12, "timeuot 5s, is not a known field; did you mean timeout?"),
             on(13, "retries.attempts two, must be a whole number"),
             on(13,
                "retries.retryOn never, must be retry conditions such as 5xx, connect-failure "
                "or 503, with ',' between and no blanks"),
             on(13, "retries must have attempts above 0 if it says how to retry")}));
}

TEST(VirtualService, HasHostsThatDoNotOverlap) {
  EXPECT_EQ(
      errors_of(vs("  hosts: [\"*.com\", a.com]\n  http: [{route: [{destination: {host: a}}]}]\n")),
      Lines{"f.yaml:5 VirtualService default/x: hosts[1] a.com, must not overlap with the host "
            "*.com"});
  EXPECT_EQ(errors_of(vs("  hosts: [\"*\"]\n  http: [{route: [{destination: {host: a}}]}]\n")),
            Lines{"f.yaml:5 VirtualService default/x: hosts[0] \"*\", must not be * for the mesh, "
                  "only for gateways"});
  EXPECT_EQ(
      errors_of(
          vs("  hosts: [\"*\"]\n  gateways: [g]\n  http: [{route: [{destination: {host: a}}]}]\n")),
      Lines{});
}

TEST(VirtualService, WithoutHostsIsADelegate) {
  EXPECT_EQ(errors_of(vs("  http: [{route: [{destination: {host: a}}]}]\n")), Lines{});
  EXPECT_EQ(errors_of(vs("  gateways: [g]\n  http: [{delegate: {name: d}}]\n")),
            (Lines{"f.yaml:5 VirtualService default/x: gateways must not be in a delegate (a "
                   "VirtualService without hosts)",
                   "f.yaml:6 VirtualService default/x: http[0].delegate must not be in a delegate "
                   "(a VirtualService without hosts)"}));
}

TEST(HttpRoute, HasOneAction) {
  EXPECT_EQ(errors_of(route("name: a")), Lines{"f.yaml:7 VirtualService default/x: http[0] must "
                                               "have one of route, redirect, directResponse or "
                                               "delegate"});
  EXPECT_EQ(
      errors_of(with_route("redirect: {uri: /}")),
      Lines{
          "f.yaml:7 VirtualService default/x: http[0] must not have route and redirect together"});
  EXPECT_EQ(errors_of(with_route("delegate: {name: d}")),
            Lines{on7("route must not stand beside delegate")});
  EXPECT_EQ(errors_of(route("redirect: {uri: /}, rewrite: {uri: /}")),
            Lines{on7("rewrite must not stand beside redirect")});
  EXPECT_EQ(errors_of(route("directResponse: {status: 200, body: {string: hi}}")), Lines{});
}

TEST(HttpRoute, SharesItsWeights) {
  EXPECT_EQ(errors_of(route("route: [{destination: {host: a}}, {destination: {host: b}}]")),
            Lines{on7("route must have a weight above 0")});
  EXPECT_EQ(
      errors_of(route("route: [{destination: {host: a}, weight: 130}, {destination: {host: b}}]")),
      Lines{});
  EXPECT_EQ(errors_of(route("route: [{weight: 1.5}]")),
            (Lines{on7("route[0].destination is required"),
                   on7("route[0].weight 1.5, must be a whole number")}));
  EXPECT_EQ(
      errors_of(route("route: [{destination: {host: \"*\", subset: A_, port: {number: 0}}}]")),
      (Lines{on7("route[0].destination.host \"*\", must be a host, not *"),
             on7("route[0].destination.subset A_, must be a DNS label: letters, digits and '-' "
                 "inside, at most 63"),
             on7("route[0].destination.port.number 0, must be 1 to 65535")}));
}

TEST(HttpRoute, HasWeightsThatEnvoyCanAddUp) {
  const std::string most = "{destination: {host: a}, weight: 2147483647}";
  EXPECT_EQ(
      errors_of(route("route: [" + most + ", " + most + ", {destination: {host: a}, weight: 1}]")),
      Lines{});
  EXPECT_EQ(
      errors_of(route("route: [" + most + ", " + most + ", {destination: {host: a}, weight: 2}]")),
      Lines{on7("route must have weights that add up to at most 4294967295")});
}

TEST(HttpRoute, ChecksItsMatches) {
  EXPECT_EQ(errors_of(with_route("match: [{uri: {regex: \"(\"}}]")),
            Lines{on7("match[0].uri.regex \"(\", must be a regular expression of RE2 "
                      "(https://github.com/google/re2/wiki/Syntax)")});
  EXPECT_EQ(errors_of(with_route("match: [{uri: {exact: a, prefix: b}}]")),
            Lines{on7("match[0].uri must not have exact and prefix together")});
  EXPECT_EQ(
      errors_of(with_route("match: [{headers: {\"a b\": {exact: c}, d: }}]")),
      (Lines{
          on7("match[0].headers[a b] must be a header's name: letters, digits and !#$%&'*+-.^_`|~"),
          on7("match[0].headers.d must not be null; {} matches any value")}));
  EXPECT_EQ(errors_of(with_route("match: [{method: {prefix: \"\"}}]")),
            Lines{on7("match[0].method.prefix \"\", must not be empty")});
  EXPECT_EQ(errors_of(with_route("match: [{headers: {\"@request.auth.claims.sub\": {exact: a}}}]")),
            Lines{"f.yaml:6 VirtualService default/x: http must not match @request.auth.claims.sub "
                  "without a gateway, which alone knows claims"});
}

TEST(HttpRoute, TellsThatClaimsAreNotFoundYet) {
  EXPECT_EQ(
      warnings_of(vs(R"(  hosts: [a]
  gateways: [edge]
  http:
  - match:
    - headers: {"@request.auth.claims.sub": {exact: a}}
      withoutHeaders: {"@request.auth.claims[x]": {exact: a}}
    route: [{destination: {host: a}}]
)")),
      (Lines{
          "f.yaml:9 VirtualService default/x: http[0].match[0].headers[@request.auth.claims.sub] "
          "never holds: RequestAuthentication, which finds claims, is not supported yet",
          "f.yaml:10 VirtualService default/x: "
          "http[0].match[0].withoutHeaders[@request.auth.claims[x]] always holds: "
          "RequestAuthentication, which finds claims, is not supported yet"}));
}

TEST(HttpRoute, ChecksItsTimes) {
  EXPECT_EQ(errors_of(with_route("timeout: 5")),
            Lines{on7("timeout 5, must be a duration such as 1.5s, 100ms or 1m30s")});
  EXPECT_EQ(errors_of(with_route("timeout: 10us")),
            Lines{on7("timeout 10us, must be at least 1ms")});
  EXPECT_EQ(errors_of(with_route("timeout: 1.5ms")),
            Lines{on7("timeout 1.5ms, must be whole milliseconds")});
  EXPECT_EQ(spec_of<VirtualService>(with_route("timeout: 0s")).http[0].timeout, 0s);
}

TEST(HttpRoute, ChecksItsFaults) {
  EXPECT_EQ(errors_of(with_route("fault: {}")), Lines{on7("fault must have a delay or an abort")});
  EXPECT_EQ(errors_of(with_route("fault: {abort: {httpStatus: 99, percentage: {value: 101}}}")),
            (Lines{on7("fault.abort.httpStatus 99, must be 200 to 599"),
                   on7("fault.abort.percentage.value 101, must be 0 to 100")}));
  EXPECT_EQ(
      errors_of(with_route("fault: {abort: {grpcStatus: NOPE}}")),
      Lines{on7(
          "fault.abort.grpcStatus NOPE, must be the name of a gRPC status, such as UNAVAILABLE")});
  EXPECT_EQ(
      warnings_of(with_route("fault: {delay: {exponentialDelay: 1s}}")),
      Lines{on7("fault.delay.exponentialDelay 1s, is accepted but not supported yet: no effect")});
}

TEST(HttpRoute, SaysThatAFaultWithoutAShareHitsNobody) {
  const auto text = with_route("fault: {delay: {fixedDelay: 1s}, abort: {httpStatus: 503}}");
  EXPECT_EQ(warnings_of(text), (Lines{on7("fault.delay has no percentage: no effect"),
                                      on7("fault.abort has no percentage: no effect")}));
  const auto fault = spec_of<VirtualService>(text).http[0].fault;
  EXPECT_EQ(fault->delay->percent, 0);
  EXPECT_EQ(fault->abort->percent, 0);
  EXPECT_EQ(warnings_of(with_route("fault: {abort: {httpStatus: 503, percentage: {value: 0}}}")),
            Lines{})
      << "said in so many words";
}

const std::string commands =
    "must have each % doubled, or in pairs around a known command of Envoy's, such as "
    "%REQ(x-lane)%";

TEST(HttpRoute, ChecksItsHeaders) {
  EXPECT_EQ(
      errors_of(
          with_route("headers: {request: {set: {\":path\": a, b: \"50%\"}, remove: [host]}}")),
      (Lines{
          on7("headers.request.set[:path] a, must be a header's name that does not begin with ':'"),
          on7("headers.request.set.b \"50%\", " + commands),
          on7("headers.request.remove[0] host, must not be Host, which cannot be changed here")}));
  EXPECT_EQ(errors_of(with_route("rewrite: {authority: a}, headers: {request: {set: {host: b}}}")),
            Lines{"f.yaml:7 VirtualService default/x: http[0] must not set the authority more than "
                  "once, by rewrite.authority and headers.request"});
}

TEST(HttpRoute, KnowsTheCommandsInItsHeaders) {
  EXPECT_EQ(errors_of(with_route("headers: {request: {set: {a: \"%FOO%\", b: \"%REQ()%\", c: "
                                 "\"%\", d: \"%REQ(x-lane)%\"}}}")),
            (Lines{on7("headers.request.set.a \"%FOO%\", " + commands),
                   on7("headers.request.set.b \"%REQ()%\", " + commands),
                   on7("headers.request.set.c \"%\", " + commands)}));
  EXPECT_EQ(errors_of(route("route: [{destination: {host: a}, headers: {response: {add: {b: "
                            "\"%FOO%\"}}}}]")),
            Lines{on7("route[0].headers.response.add.b \"%FOO%\", " + commands)});
}

TEST(HttpRoute, HasHeadersWithNames) {
  const std::string rule = " must have a header's name that is not empty";
  EXPECT_EQ(errors_of(with_route("match: [{headers: {\"\": {exact: a}}}], headers: {request: {add: "
                                 "{\"\": a}, set: {\"\": b}}, response: {remove: [\"\"]}}")),
            (Lines{on7("match[0].headers[] must be a header's name: letters, digits and "
                       "!#$%&'*+-.^_`|~"),
                   on7("headers.request.set[] b," + rule), on7("headers.request.add[] a," + rule),
                   on7("headers.response.remove[0] \"\"," + rule)}));
}

TEST(HttpRoute, KeepsLineBreaksOutOfWhatBecomesAHeader) {
  const std::string rule = ", must not have a line break or NUL, which no header can hold";
  EXPECT_EQ(
      errors_of(with_route("rewrite: {uri: \"/a\\nb\", authority: \"a\\0b\"}")),
      (Lines{on7("rewrite.uri \"/a\\nb\"" + rule), on7("rewrite.authority \"a\\x00b\"" + rule)}));
  EXPECT_EQ(errors_of(with_route("rewrite: {uriRegexRewrite: {match: a, rewrite: \"b\\n\"}}")),
            Lines{on7("rewrite.uriRegexRewrite.rewrite \"b\\n\"" + rule)});
  EXPECT_EQ(
      errors_of(route("redirect: {uri: \"/a\\nb\", authority: \"a\\rb\"}")),
      (Lines{on7("redirect.uri \"/a\\nb\"" + rule), on7("redirect.authority \"a\\x0db\"" + rule)}));
  EXPECT_EQ(errors_of(route("redirect: {prefixRewrite: \"/a\\n\"}")),
            Lines{on7("redirect.prefixRewrite \"/a\\n\"" + rule)});
  EXPECT_EQ(errors_of(with_route("headers: {request: {set: {\"x\\r\": a}, remove: [\"x\\n\"]}}")),
            (Lines{on7("headers.request.set[x\\x0d] a" + rule),
                   on7("headers.request.remove[0] \"x\\n\"" + rule)}));
  EXPECT_EQ(errors_of(with_route("headers: {response: {add: {y: \"a\\nb\"}}}")),
            Lines{on7("headers.response.add.y \"a\\nb\", must be a header's value, without control "
                      "characters")});
}

TEST(DirectResponse, MayHaveSeveralLines) {
  EXPECT_EQ(errors_of(route("directResponse: {status: 200, body: {string: \"a\\nb\"}}")), Lines{});
}

TEST(HttpRoute, AsksForQueryParametersByName) {
  EXPECT_EQ(errors_of(with_route("match: [{queryParams: {\"\": {exact: a}}}]")),
            Lines{on7("match[0].queryParams[] must have a parameter's name that is not empty")});
  EXPECT_EQ(
      errors_of(with_route("match: [{queryParams: {" + std::string(1025, 'a') + ": {}}}]")).size(),
      1u);
}

TEST(HttpRoute, ChecksItsRedirects) {
  EXPECT_EQ(errors_of(route("redirect: {redirectCode: 200, scheme: ftp}")),
            (Lines{on7("redirect.scheme ftp, must be http or https"),
                   on7("redirect.redirectCode 200, must be 301, 302, 303, 307 or 308, as Envoy "
                       "redirects with no other")}));
  EXPECT_EQ(errors_of(route("redirect: {uri: /, redirectCode: 304}")),
            Lines{on7("redirect.redirectCode 304, must be 301, 302, 303, 307 or 308, as Envoy "
                      "redirects with no other")});
  EXPECT_EQ(errors_of(route("redirect: {}")),
            Lines{on7("redirect must have uri, prefixRewrite, authority, scheme or port")});
  EXPECT_EQ(
      errors_of(route("match: [{uri: {exact: /a}}], redirect: {prefixRewrite: /b}")),
      Lines{
          on7("redirect.prefixRewrite /b, must not be beside a match whose uri is not a prefix")});
}

TEST(HttpRoute, BehindOneThatTakesEverythingIsWarnedOf) {
  EXPECT_EQ(warnings_of(vs("  hosts: [a]\n  http:\n  - route: [{destination: {host: a}}]\n  - "
                           "route: [{destination: {host: b}}]\n")),
            Lines{"f.yaml:8 VirtualService default/x: http[1] is never reached: http[0] takes "
                  "every request"});
}

TEST(TlsRoute, NeedsSniHostsOfTheVirtualService) {
  EXPECT_EQ(errors_of(vs("  hosts: [a.com]\n  tls: [{match: [{sniHosts: [b.com]}], route: "
                         "[{destination: {host: a}}]}]\n")),
            Lines{"f.yaml:6 VirtualService default/x: tls[0].match[0].sniHosts[0] b.com, must be "
                  "among the hosts of the VirtualService"});
  EXPECT_EQ(errors_of(vs("  hosts: [a.com]\n  tls: [{}]\n")),
            (Lines{"f.yaml:6 VirtualService default/x: tls[0].match must have at least one match",
                   "f.yaml:6 VirtualService default/x: tls[0].route is required"}));
}

TEST(ExportTo, IsEveryoneOrTheNamespaceOrNamed) {
  EXPECT_EQ(errors_of(vs("  hosts: [a]\n  exportTo: [\"*\", \".\", default, \"~\"]\n  http: "
                         "[{route: [{destination: {host: a}}]}]\n")),
            (Lines{"f.yaml:6 VirtualService default/x: exportTo[0] \"*\", must stand alone",
                   "f.yaml:6 VirtualService default/x: exportTo[2] default, must be given once",
                   "f.yaml:6 VirtualService default/x: exportTo[3] \"~\", must not be ~, which is "
                   "for services only"}));
}

}  // namespace
}  // namespace graymesh::model
