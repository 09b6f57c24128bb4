// Which hosts a sidecar knows, by which names, and whose routes they have.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "control/translate/translate_testing.h"

namespace graymesh::translate::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Not;

std::string lead(const std::string& hosts, const std::string& subset) {
  return "hosts: [" + hosts +
         "]\nhttp:\n- route: [{destination: {host: web.fe-pre.svc.cluster.local, subset: " +
         subset + "}}]";
}

std::string to(const std::string& subset, int port = 8080) {
  return "/* => outbound|" + std::to_string(port) + "|" + subset + "|web.fe-pre.svc.cluster.local";
}

TEST(RouteNames, OfAServiceAreItsFullAndShortFormsAndItsAddresses) {
  Mesh mesh;
  mesh.service("fe-pre/web", {"http 8080"}, "clusterIP: 10.1.2.3");

  EXPECT_THAT(mesh.routes("8080").domains("web.fe-pre.svc.cluster.local:8080"),
              ElementsAre("web.fe-pre.svc.cluster.local", "web.fe-pre.svc.cluster.local.", "web",
                          "web.fe-pre.svc", "web.fe-pre", "10.1.2.3"));
}

TEST(RouteNames, FromAnotherNamespaceDoNotHoldTheBareName) {
  Mesh mesh;
  mesh.service("fe-pre/web", {"http 8080"}, "clusterIP: 10.1.2.3");

  EXPECT_THAT(
      mesh.routes("8080", {.namespace_ = "fe-online"}).domains("web.fe-pre.svc.cluster.local:8080"),
      ElementsAre("web.fe-pre.svc.cluster.local", "web.fe-pre.svc.cluster.local.", "web.fe-pre",
                  "web.fe-pre.svc", "10.1.2.3"));
}

TEST(RouteNames, WithTheSameBareNameBelongToTheOwnNamespace) {
  Mesh mesh;
  mesh.service("fe-pre/web", {"http 8080"}).service("fe-online/web", {"http 8080"});
  const auto routes = mesh.routes("8080", {.namespace_ = "fe-online"});

  EXPECT_EQ(routes.host_for("web"), "web.fe-online.svc.cluster.local:8080");
  EXPECT_EQ(routes.host_for("web.fe-pre"), "web.fe-pre.svc.cluster.local:8080");
}

TEST(RouteNames, OfAHeadlessServiceCoverItsPods) {
  Mesh mesh;
  mesh.service("fe-pre/db", {"http 8080"}, "clusterIP: None");

  EXPECT_EQ(mesh.routes("8080").host_for("db-0.db.fe-pre.svc.cluster.local"),
            "db.fe-pre.svc.cluster.local:8080");
  EXPECT_EQ(mesh.routes("8080").host_for("db-0.db"), "db.fe-pre.svc.cluster.local:8080");
}

TEST(RouteNames, OfAnExternalNameServiceLeadToItsTarget) {
  Mesh mesh;
  mesh.service("fe-pre/web", {"http 8080"});
  mesh.apply(R"(apiVersion: v1
kind: Service
metadata: {namespace: fe-pre, name: shop}
spec: {type: ExternalName, externalName: web.fe-pre.svc.cluster.local})");

  EXPECT_EQ(mesh.routes("8080").host_for("shop.fe-pre"), "web.fe-pre.svc.cluster.local:8080");
}

TEST(RouteNames, OfServiceEntriesMayBeWildcards) {
  Mesh mesh;
  mesh.apply(service_entry("fe-pre/out",
                           "hosts: ['*.example.com', api.other.com]\nports: [{number: 8080, name: "
                           "http, protocol: HTTP}]\nresolution: NONE"));
  const auto routes = mesh.routes("8080");

  EXPECT_EQ(routes.host_for("a.example.com"), "*.example.com:8080");
  EXPECT_EQ(routes.host_for("api.other.com"), "api.other.com:8080");
}

TEST(RouteNames, ThatLookLikeAFullNameOfAnotherAreItsOwn) {
  Mesh mesh;
  mesh.service("shop/web", {"http 8080"});
  mesh.apply(service_entry(
      "fe-pre/out",
      "hosts: [web.shop]\nports: [{number: 8080, name: http, protocol: HTTP}]\nresolution: NONE"));

  EXPECT_EQ(mesh.routes("8080").host_for("web.shop"), "web.shop:8080");
  EXPECT_THAT(mesh.routes("8080").domains("web.shop.svc.cluster.local:8080"),
              Not(Contains("web.shop")));
}

TEST(RouteHosts, MayBeWrittenShortOrFull) {
  for (const char* host : {"web", "web.fe-pre.svc.cluster.local"}) {
    Mesh mesh;
    mesh.service("fe-pre/web", {"http 8080"}).apply(virtual_service("fe-pre/v", lead(host, "a")));

    EXPECT_THAT(mesh.routes("8080").of("web.fe-pre.svc.cluster.local:8080"), ElementsAre(to("a")))
        << host;
  }
}

TEST(RouteHosts, OfAShortNameAreSoughtInTheVirtualServicesNamespace) {
  Mesh mesh;
  mesh.service("fe-pre/web", {"http 8080"}).service("fe-online/web", {"http 8080"});
  mesh.apply(virtual_service(
      "fe-online/v", "hosts: [web]\nhttp: [{route: [{destination: {host: web, subset: a}}]}]"));
  const auto routes = mesh.routes("8080");

  EXPECT_THAT(routes.of("web.fe-pre.svc.cluster.local:8080"),
              ElementsAre("default: /* => outbound|8080||web.fe-pre.svc.cluster.local"));
  EXPECT_THAT(routes.of("web.fe-online.svc.cluster.local:8080"),
              ElementsAre("/* => outbound|8080|a|web.fe-online.svc.cluster.local"));
}

TEST(RouteHosts, OnAllPortsOfTheServiceHaveTheRoutes) {
  Mesh mesh;
  mesh.service("fe-pre/web", {"http 8080", "grpc 9090", "tcp 7000"})
      .apply(virtual_service("fe-pre/v", lead("web", "a")));

  EXPECT_THAT(mesh.tables(), ElementsAre("8080", "9090"));
  EXPECT_THAT(mesh.routes("9090").of("web.fe-pre.svc.cluster.local:9090"),
              ElementsAre(to("a", 9090)));
}

TEST(RouteHosts, MayBeManyServices) {
  Mesh mesh;
  mesh.service("fe-pre/web", {"http 8080"})
      .service("fe-pre/pay", {"http 8080"})
      .apply(virtual_service("fe-pre/v", lead("web, pay", "a")));

  EXPECT_THAT(mesh.routes("8080").of("pay.fe-pre.svc.cluster.local:8080"), ElementsAre(to("a")));
}

TEST(RouteHosts, ThatAreWildcardsTakeTheServicesThatNobodyNamesExactly) {
  Mesh mesh;
  mesh.service("fe-pre/web", {"http 8080"})
      .service("fe-pre/pay", {"http 8080"})
      .service("fe-online/web", {"http 8080"});
  mesh.apply(virtual_service("fe-pre/all", lead("'*.fe-pre.svc.cluster.local'", "wild")));
  mesh.apply(virtual_service("fe-pre/web", lead("web", "exact")));
  const auto routes = mesh.routes("8080");

  EXPECT_THAT(routes.of("web.fe-pre.svc.cluster.local:8080"), ElementsAre(to("exact")));
  EXPECT_THAT(routes.of("pay.fe-pre.svc.cluster.local:8080"), ElementsAre(to("wild")));
  EXPECT_THAT(routes.of("web.fe-online.svc.cluster.local:8080"),
              ElementsAre("default: /* => outbound|8080||web.fe-online.svc.cluster.local"));
}

TEST(RouteHosts, OfTheLongestWildcardWin) {
  Mesh mesh;
  mesh.service("fe-pre/web", {"http 8080"}).service("fe-online/web", {"http 8080"});
  mesh.apply(virtual_service("fe-pre/a-short", lead("'*.svc.cluster.local'", "short")));
  mesh.apply(virtual_service("fe-pre/b-long", lead("'*.fe-pre.svc.cluster.local'", "long")));
  const auto routes = mesh.routes("8080");

  EXPECT_THAT(routes.of("web.fe-pre.svc.cluster.local:8080"), ElementsAre(to("long")));
  EXPECT_THAT(routes.of("web.fe-online.svc.cluster.local:8080"), ElementsAre(to("short")));
}

TEST(RouteHosts, ThatAreNoServicesAreKnownOnPort80) {
  Mesh mesh;
  mesh.service("fe-pre/web", {"http 80", "http-b 8080"});
  mesh.apply(virtual_service("fe-pre/v", lead("shop.example.com, '*.shop.example.com'", "a")));

  EXPECT_THAT(mesh.routes("80").of("shop.example.com:80"), ElementsAre(to("a", 80)));
  EXPECT_EQ(mesh.routes("80").host_for("deep.shop.example.com"), "*.shop.example.com:80");
  EXPECT_EQ(mesh.routes("8080").host_for("shop.example.com"), "allow_any");
}

TEST(RouteHosts, ThatAreNoServicesFollowTheServicesOfTheirVirtualService) {
  Mesh mesh;
  mesh.service("fe-pre/web", {"http 8080"})
      .apply(virtual_service("fe-pre/v", lead("web, shop.example.com", "a")));

  EXPECT_THAT(mesh.routes("8080").of("shop.example.com:8080"), ElementsAre(to("a")));
}

TEST(RouteHosts, LeadToTheOnlyPortOfADestinationThatNamesNone) {
  Mesh mesh;
  mesh.service("fe-pre/front", {"http 80"}).service("fe-pre/web", {"http 8080"});
  mesh.apply(virtual_service("fe-pre/v", lead("shop.example.com", "a")));

  EXPECT_THAT(mesh.routes("80").of("shop.example.com:80"), ElementsAre(to("a", 8080)));
}

TEST(RouteClash, OfTwoVirtualServicesOfOneHostTheFirstByNameStays) {
  Mesh mesh;
  mesh.service("fe-pre/web", {"http 8080"});
  mesh.apply(virtual_service("fe-pre/second", lead("web", "b")))
      .apply(virtual_service("fe-pre/first", lead("web", "a")));

  EXPECT_THAT(mesh.routes("8080").of("web.fe-pre.svc.cluster.local:8080"), ElementsAre(to("a")));
}

TEST(RouteClash, OfAVirtualServiceThatDoesNotApplyHereGivesWayToTheNext) {
  Mesh mesh;
  mesh.service("fe-pre/web", {"http 8080"});
  mesh.apply(virtual_service("fe-pre/first",
                             "hosts: [web]\nhttp: [{match: [{sourceNamespace: nobody}], route: "
                             "[{destination: {host: web, subset: a}}]}]"));
  mesh.apply(virtual_service("fe-pre/second", lead("web", "b")));

  EXPECT_THAT(mesh.routes("8080").of("web.fe-pre.svc.cluster.local:8080"), ElementsAre(to("b")));
}

// Envoy refuses a table in which a domain or a virtual host's name stands twice.
void expect_no_duplicates(const Routes& routes) {
  std::set<std::string> names, domains;
  for (const auto& host : routes.config().virtual_hosts()) {
    EXPECT_TRUE(names.insert(host.name()).second) << host.name();
    EXPECT_GT(host.domains_size(), 0) << host.name();
    for (std::string domain : host.domains()) {
      for (char& c : domain) c = static_cast<char>(std::tolower(c));
      EXPECT_TRUE(domains.insert(domain).second) << domain;
    }
  }
}

TEST(RouteClash, NeverGivesADomainTwice) {
  Mesh mesh;
  mesh.service("fe-pre/web", {"http 80", "http-b 8080"}, "clusterIP: 10.9.9.9");
  mesh.service("fe-online/web", {"http 80"}, "clusterIP: 10.9.9.9");
  mesh.apply(service_entry("fe-pre/out",
                           "hosts: [web.fe-pre, web.fe-pre.svc]\naddresses: [10.9.9.9]\nports: "
                           "[{number: 80, name: http, protocol: HTTP}]\nresolution: STATIC"));
  mesh.apply(virtual_service(
      "fe-pre/a", lead("web, web.fe-pre.svc.cluster.local, Shop.Example.com, '*.x.com'", "a")));
  mesh.apply(virtual_service("fe-pre/b", lead("shop.example.com, '*.X.com'", "b")));

  for (const char* space : {"fe-pre", "fe-online", "elsewhere"}) {
    expect_no_duplicates(mesh.routes("80", {.namespace_ = space}));
    expect_no_duplicates(
        mesh.routes("http_proxy", {.namespace_ = space, .http_proxy_port = 15001}));
  }
}

TEST(RouteOthers, ArePassedThroughUnlessTheRegistryIsAll) {
  Mesh mesh;
  mesh.service("fe-pre/web", {"http 8080"});

  EXPECT_THAT(mesh.routes("8080").of("allow_any"),
              ElementsAre("allow_any: /* => PassthroughCluster"));
  EXPECT_EQ(mesh.routes("8080").hosts().back(), "allow_any");

  mesh.config("outboundTrafficPolicy: {mode: REGISTRY_ONLY}");
  EXPECT_THAT(mesh.routes("8080").of("block_all"), ElementsAre("block_all: /* => answer 502"));
}

TEST(RouteOthers, CannotBePassedThroughWithoutCapture) {
  Mesh mesh;
  mesh.service("fe-pre/web", {"http 8080"});

  for (const char* table : {"8080", "http_proxy"}) {
    const auto routes = mesh.routes(table, {.captured = false, .http_proxy_port = 15001});
    EXPECT_THAT(routes.of("allow_any"), ElementsAre("allow_any_without_capture: /* => answer 502"))
        << table;
  }
}

TEST(RouteTables, KeepVirtualHostsInOrderOfTheirNamesWithTheCatchAllLast) {
  Mesh mesh;
  mesh.service("fe-pre/web", {"http 8080"})
      .service("fe-pre/cart", {"http 8080"})
      .service("a/zoo", {"http 8080"});

  EXPECT_THAT(mesh.routes("8080").hosts(),
              ElementsAre("cart.fe-pre.svc.cluster.local:8080", "web.fe-pre.svc.cluster.local:8080",
                          "zoo.a.svc.cluster.local:8080", "allow_any"));
}

TEST(RouteTables, HoldHttpAndSniffedPortsOnly) {
  Mesh mesh;
  mesh.service("fe-pre/web", {"http 8080", "tcp 7000", "https 8443", "grpc 9090", "other 6000"});

  EXPECT_THAT(mesh.tables(), ElementsAre("8080", "9090", "web.fe-pre.svc.cluster.local:6000"));
  EXPECT_THAT(mesh.tables({.captured = false, .http_proxy_port = 15001}),
              ElementsAre("8080", "9090", "6000", "http_proxy"));
}

TEST(RouteTables, OfASniffedPortTakeEveryHostForItsService) {
  Mesh mesh;
  mesh.service("fe-pre/web", {"other 6000"})
      .service("fe-pre/pay", {"other 6000"})
      .apply(virtual_service("fe-pre/v", lead("web", "a")));
  const auto routes = mesh.routes("web.fe-pre.svc.cluster.local:6000");

  EXPECT_THAT(routes.hosts(), ElementsAre("web.fe-pre.svc.cluster.local:6000"));
  EXPECT_THAT(routes.domains("web.fe-pre.svc.cluster.local:6000"), ElementsAre("*"));
  EXPECT_THAT(routes.of("web.fe-pre.svc.cluster.local:6000"), ElementsAre(to("a", 6000)));
}

TEST(RouteTables, OfASidecarsEgressPortHoldItsServicesOnly) {
  Mesh mesh;
  mesh.service("fe-pre/web", {"http 8080"})
      .service("fe-pre/pay", {"http 8080"})
      .service("fe-online/cart", {"http 9000"});
  mesh.apply(sidecar("fe-pre/default", R"(egress:
- port: {number: 8080, protocol: HTTP, name: http}
  hosts: [./web.fe-pre.svc.cluster.local]
- hosts: ['fe-online/*'])"));

  EXPECT_THAT(mesh.routes("8080").hosts(),
              ElementsAre("web.fe-pre.svc.cluster.local:8080", "allow_any"));
  EXPECT_THAT(mesh.routes("9000").hosts(),
              ElementsAre("cart.fe-online.svc.cluster.local:9000", "allow_any"));
}

TEST(RouteTables, SetWhatIstioSets) {
  Mesh mesh;
  mesh.service("fe-pre/web", {"http 8080"});
  auto config = mesh.routes("8080").config();
  EXPECT_TRUE(config.virtual_hosts(0).include_request_attempt_count());
  config.clear_virtual_hosts();

  EXPECT_EQ(
      json(config),
      R"({"name":"8080","validate_clusters":false,"max_direct_response_body_size_bytes":1048576,"ignore_port_in_host_matching":true})");
}

}  // namespace
}  // namespace graymesh::translate::testing
