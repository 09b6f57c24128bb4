#include <gmock/gmock.h>

#include <thread>

#include "control/snapshot/snapshot_data.h"
#include "control/snapshot/test_mesh.h"

namespace graymesh::snapshot {
namespace {

constexpr std::string_view web = R"(
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: vault, namespace: bank}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec: {hosts: [web], http: [{route: [{destination: {host: web, subset: v1}}]}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web, namespace: shop}
spec: {host: web, subsets: [{name: v1, labels: {version: v1}}]}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: default, namespace: bank}
spec: {egress: [{hosts: ["./*"]}]}
)";

std::string pod(const std::string& name, const std::string& ip) {
  return "\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: " + name +
         ", namespace: shop, labels: {app: web, version: v1}}\nspec: {containers: [{name: app}]}\n"
         "status: {phase: Running, podIP: " +
         ip + ", podIPs: [{ip: " + ip + "}], conditions: [{type: Ready, status: \"True\"}]}\n";
}

// Addresses of what a Snapshot holds, to compare with those of the next.
struct Held {
  explicit Held(const Snapshot& snapshot)
      : web(snapshot.service("web.shop.svc.cluster.local")),
        cart(snapshot.service("cart.shop.svc.cluster.local")),
        web_endpoints(snapshot.endpoints(*web)),
        cart_endpoints(snapshot.endpoints(*cart)),
        route(snapshot.virtual_services()[0]),
        rule(snapshot.destination_rules()[0]),
        shop(snapshot.view("shop", {})),
        bank(snapshot.view("bank", {})),
        gateway(snapshot.gateway("shop", {}, {})) {}

  ServicePtr web, cart;
  EndpointsPtr web_endpoints, cart_endpoints;
  VirtualServicePtr route;
  DestinationRulePtr rule;
  ViewPtr shop, bank;
  GatewayViewPtr gateway;
};

TEST(Sharing, AnEndpointThatComesChangesTheEndpointsOfItsServiceAlone) {
  TestMesh mesh(std::string(web) + pod("web-1", "10.0.0.1"));
  const Held before(mesh.snapshot());
  const Held after(mesh.apply(pod("web-2", "10.0.0.2")).snapshot());
  EXPECT_NE(before.web_endpoints, after.web_endpoints);
  EXPECT_EQ(before.cart_endpoints, after.cart_endpoints);
  EXPECT_EQ(before.web, after.web);
  EXPECT_EQ(before.route, after.route);
  EXPECT_EQ(before.rule, after.rule);
  EXPECT_EQ(before.shop, after.shop);
  EXPECT_EQ(before.bank, after.bank);
  EXPECT_EQ(before.gateway, after.gateway);
}

TEST(Sharing, ARouteThatChangesChangesTheViewsThatSeeItAlone) {
  TestMesh mesh(web);
  const Held before(mesh.snapshot());
  mesh.apply(R"(
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec: {hosts: [web], http: [{timeout: 3s, route: [{destination: {host: web}}]}]}
)");
  const Held after(mesh.snapshot());
  EXPECT_NE(before.route, after.route);
  EXPECT_NE(before.shop, after.shop);
  EXPECT_EQ(before.bank, after.bank);
  EXPECT_EQ(before.gateway, after.gateway);
  EXPECT_EQ(before.web, after.web);
  EXPECT_EQ(before.rule, after.rule);
  EXPECT_EQ(before.shop->services, after.shop->services);
}

TEST(Sharing, ObjectsThatOnlyMovedInTheirFileChangeNothing) {
  TestMesh mesh(web);
  const Held before(mesh.snapshot());
  mesh.apply("# a comment\n\n" + std::string(web), "moved.yaml");
  const Held after(mesh.snapshot());
  EXPECT_EQ(before.web, after.web);
  EXPECT_EQ(before.web_endpoints, after.web_endpoints);
  EXPECT_EQ(before.route, after.route);
  EXPECT_EQ(before.rule, after.rule);
  EXPECT_EQ(before.shop, after.shop);
  EXPECT_EQ(before.bank, after.bank);
}

TEST(Sharing, WhatGoesAndComesBackIsServedAgain) {
  TestMesh mesh(web);
  EXPECT_EQ(mesh.snapshot().services().size(), 3U);
  mesh.remove(model::Kind::service, "bank", "vault")
      .remove(model::Kind::sidecar, "bank", "default");
  EXPECT_EQ(mesh.snapshot().services().size(), 2U);
  EXPECT_EQ(mesh.snapshot().service("vault.bank.svc.cluster.local"), nullptr);
  EXPECT_EQ(mesh.apply(web).snapshot().services().size(), 3U);
}

TEST(Sharing, AnOldSnapshotStaysAsItWas) {
  TestMesh mesh(std::string(web) + pod("web-1", "10.0.0.1"));
  const SnapshotPtr old = mesh.snapshot_ptr();
  mesh.remove(model::Kind::pod, "shop", "web-1").remove(model::Kind::service, "shop", "cart");
  mesh.snapshot();
  const auto service = old->service("web.shop.svc.cluster.local");
  EXPECT_EQ(old->endpoints(*service)->by_port[0].size(), 1U);
  EXPECT_EQ(old->view("shop", {})->services.size(), 3U);
  EXPECT_EQ(mesh.snapshot().view("shop", {})->services.size(), 2U);
}

TEST(Sharing, AReducedServiceAndItsEndpointsKeepTheirAddresses) {
  const std::string two_ports = R"(
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}, {name: admin, port: 81}]}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: default, namespace: shop}
spec: {egress: [{port: {number: 80, protocol: HTTP, name: http}, hosts: ["./*"]}]}
)";
  TestMesh mesh(two_ports + pod("web-1", "10.0.0.1"));
  const auto before = mesh.snapshot().view("shop", {})->services[0].service;
  const auto endpoints_before = mesh.snapshot().endpoints(*before);
  mesh.apply(R"(
apiVersion: v1
kind: Service
metadata: {name: other, namespace: shop}
spec: {ports: [{name: http, port: 80}]}
)");
  const auto after = mesh.snapshot().view("shop", {})->services[1].service;
  EXPECT_EQ(after->host, "web.shop.svc.cluster.local");
  EXPECT_EQ(before, after);
  EXPECT_EQ(mesh.snapshot().endpoints(*after), endpoints_before);
}

TEST(Sharing, AMeshConfigThatChangesIsHeeded) {
  TestMesh mesh(web);
  EXPECT_EQ(mesh.snapshot().view("office", {})->services.size(), 3U);
  mesh.config().default_service_export_to = {"."};
  EXPECT_EQ(mesh.snapshot().view("office", {})->services.size(), 0U);
}

TEST(Sharing, AMeshConfigThatChangesElsewhereChangesNothing) {
  TestMesh mesh(web);
  const Held before(mesh.snapshot());
  mesh.config().access_log_format = "%PROTOCOL%";
  const Held after(mesh.snapshot());
  EXPECT_EQ(mesh.snapshot().mesh().access_log_format, "%PROTOCOL%");
  EXPECT_EQ(before.web, after.web);
  EXPECT_EQ(before.web_endpoints, after.web_endpoints);
  EXPECT_EQ(before.route, after.route);
  EXPECT_EQ(before.rule, after.rule);
  EXPECT_EQ(before.shop, after.shop);
  EXPECT_EQ(before.gateway, after.gateway);
}

std::string slice(const std::string& service, const std::string& ip) {
  return "\n---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: " +
         service + "-1, namespace: shop, labels: {kubernetes.io/service-name: " + service +
         "}}\naddressType: IPv4\nports: [{name: http, port: 8080}]\nendpoints: [{addresses: [" +
         ip + "]}]\n";
}

TEST(Sharing, ASliceLeavesAloneAllButTheAnswerOfItsService) {
  TestMesh mesh(std::string(web) + pod("web-1", "10.0.0.1") + slice("web", "10.0.0.1") +
                slice("cart", "10.0.0.2"));
  const SnapshotPtr before = mesh.snapshot_ptr();
  const SnapshotPtr after = mesh.apply(slice("cart", "10.0.0.3")).snapshot_ptr();

  const auto &was = *before->data().territory("shop"), &is = *after->data().territory("shop");
  const std::size_t of_cart = is.services->index_of("cart.shop.svc.cluster.local");
  const std::size_t of_web = is.services->index_of("web.shop.svc.cluster.local");
  EXPECT_NE(was.running->answers[of_cart], is.running->answers[of_cart]);
  EXPECT_EQ(was.running->answers[of_web], is.running->answers[of_web]);
  EXPECT_EQ(was.running->workloads, is.running->workloads);
  for (const auto kind : {model::Kind::service, model::Kind::pod, model::Kind::virtual_service})
    EXPECT_EQ(&was.objects->of(kind), &is.objects->of(kind));
  EXPECT_EQ(before->data().territories.at("bank"), after->data().territories.at("bank"));
  EXPECT_TRUE(is.running->served.of("10.0.0.2").empty());
  EXPECT_EQ(is.running->served.of("10.0.0.3").size(), 1U);
}

TEST(Snapshot, HasTheLaterOfTwoObjectsOfOneName) {
  std::vector<model::ObjectPtr> objects;
  for (const auto* port : {"80", "81"}) {
    const std::string text = std::string(
                                 "apiVersion: v1\nkind: Service\nmetadata: {name: web, "
                                 "namespace: shop}\nspec: {ports: [{port: ") +
                             port + "}]}\n";
    objects.push_back(model::read(text, "mesh.yaml")[0].object);
  }
  const auto mesh = std::make_shared<const model::MeshConfig>();
  const auto first = build(objects, mesh, nullptr, 1);
  EXPECT_EQ(first->services()[0]->ports[0].number, 81U);
  const auto second = build(objects, mesh, first.get(), 2);
  EXPECT_EQ(second->services()[0], first->services()[0]);
}

TEST(Snapshot, IsReadFromManyThreadsWhileTheNextIsBuilt) {
  TestMesh mesh(std::string(web) + pod("web-1", "10.0.0.1"));
  const SnapshotPtr snapshot = mesh.snapshot_ptr();
  std::vector<std::thread> readers;
  readers.reserve(4);
  for (int i = 0; i < 4; ++i) {
    readers.emplace_back([snapshot, i] {
      for (int n = 0; n < 50; ++n) {
        const std::string namespace_ = "ns-" + std::to_string((n + i) % 7);
        EXPECT_EQ(snapshot->view(namespace_, {}), snapshot->view(namespace_, {}));
        EXPECT_EQ(snapshot->gateway(namespace_, {}, {})->services.size(), 3U);
        for (const auto& seen : snapshot->view("shop", {})->services) {
          EXPECT_NE(snapshot->endpoints(*seen.service), nullptr);
        }
      }
    });
  }
  for (int n = 2; n < 20; ++n) {
    mesh.apply(pod("web-1", "10.0.0." + std::to_string(n)));
    if (n % 5 == 0) mesh.config().access_log_format = std::to_string(n);
    mesh.snapshot();
  }
  for (auto& reader : readers) reader.join();
  EXPECT_EQ(mesh.endpoints("web.shop.svc.cluster.local"), "10.0.0.19:8080");
}

}  // namespace
}  // namespace graymesh::snapshot
