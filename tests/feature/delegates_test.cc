// A VirtualService may hand parts of its routes to delegates, each owned by another team.
#include <gtest/gtest.h>

#include "mesh.h"

namespace graymesh::feature {
namespace {

const std::string apps = app("cart") + app("pay") + app("web", {"baseline"}, "fe-pre", 8080);

std::string root(const std::string& http, const std::string& name = "root") {
  return "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: " + name +
         ", namespace: fe-pre}\nspec:\n  hosts: [web]\n  http:\n" + http;
}

std::string delegate(const std::string& name, const std::string& http,
                     const std::string& namespace_ = "teams", const std::string& more = "") {
  return "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: " + name +
         ", namespace: " + namespace_ + "}\nspec:\n" + more + "  http:\n" + http;
}

const std::string to_cart = "route: [{destination: {host: cart.fe-pre.svc.cluster.local}}]";
const std::string to_pay = "route: [{destination: {host: pay.fe-pre.svc.cluster.local}}]";

TEST(Delegates, RoutesStandInPlaceOfTheDelegation) {
  const Mesh mesh(apps +
                  root("  - match: [{uri: {prefix: /cart}}]\n    delegate: {name: cart, namespace: "
                       "teams}\n  - " +
                       to_pay + "\n") +
                  delegate("cart", "  - " + to_cart + "\n"));
  EXPECT_EQ(mesh.sidecar("client").to("http://web:8080/cart/1"), outbound(8080, "", "cart"));
  EXPECT_EQ(mesh.sidecar("client").to("http://web:8080/"), outbound(8080, "", "pay"));
}

TEST(Delegates, BothMatchesMustHold) {
  const Mesh mesh(apps +
                  root("  - match: [{headers: {canarytag: {exact: a}}}]\n    delegate: {name: "
                       "cart, namespace: teams}\n  - " +
                       to_pay + "\n") +
                  delegate("cart", "  - match: [{uri: {prefix: /cart}}]\n    " + to_cart + "\n"));
  const Proxy client = mesh.sidecar("client");
  EXPECT_EQ(client.to("http://web:8080/cart", {{"canarytag", "a"}}), outbound(8080, "", "cart"));
  EXPECT_EQ(client.to("http://web:8080/cart"), outbound(8080, "", "pay"));
  EXPECT_EQ(client.to("http://web:8080/other", {{"canarytag", "a"}}), outbound(8080, "", "pay"));
}

TEST(Delegates, ADelegateCannotReachOutOfItsPath) {
  const Mesh mesh(apps +
                  root("  - match: [{uri: {prefix: /cart}}]\n    delegate: {name: cart, namespace: "
                       "teams}\n  - " +
                       to_pay + "\n") +
                  delegate("cart", "  - match: [{uri: {prefix: /pay}}]\n    " + to_cart + "\n"));
  EXPECT_EQ(mesh.sidecar("client").to("http://web:8080/pay"), outbound(8080, "", "pay"));
}

TEST(Delegates, FieldsOfTheRootStandInForWhatTheDelegateLeavesOut) {
  const Mesh mesh(
      apps +
      root("  - match: [{uri: {prefix: /cart}}]\n    timeout: 3s\n    delegate: {name: cart, "
           "namespace: teams}\n") +
      delegate("cart", "  - match: [{uri: {prefix: /cart/slow}}]\n    timeout: 9s\n    " + to_cart +
                           "\n  - " + to_cart + "\n"));
  const Proxy client = mesh.sidecar("client");
  EXPECT_EQ(client.route("http://web:8080/cart/slow")["route"]["timeout"], "9s");
  EXPECT_EQ(client.route("http://web:8080/cart")["route"]["timeout"], "3s");
}

TEST(Delegates, OneThatIsMissingCostsOnlyItsRoutesAndIsTold) {
  const Mesh mesh(apps + root("  - match: [{uri: {prefix: /cart}}]\n    delegate: {name: nobody, "
                              "namespace: teams}\n  - " +
                              to_pay + "\n"));
  EXPECT_EQ(mesh.sidecar("client").to("http://web:8080/cart"), outbound(8080, "", "pay"));
  EXPECT_TRUE(mesh.mentions("VirtualService fe-pre/root"));
  EXPECT_TRUE(mesh.mentions("nobody"));
}

TEST(Delegates, OneThatIsNotExportedToTheRootIsNotUsed) {
  const Mesh mesh(apps +
                  root("  - match: [{uri: {prefix: /cart}}]\n    delegate: {name: cart, namespace: "
                       "teams}\n  - " +
                       to_pay + "\n") +
                  delegate("cart", "  - " + to_cart + "\n", "teams", "  exportTo: ['.']\n"));
  EXPECT_EQ(mesh.sidecar("client").to("http://web:8080/cart"), outbound(8080, "", "pay"));
}

TEST(Delegates, InACircleEndThereAndAreTold) {
  const Mesh mesh(
      apps +
      root(
          "  - match: [{uri: {prefix: /cart}}]\n    delegate: {name: one, namespace: teams}\n  - " +
          to_pay + "\n") +
      delegate("one", "  - delegate: {name: two, namespace: teams}\n") +
      delegate("two", "  - delegate: {name: one, namespace: teams}\n"));
  EXPECT_EQ(mesh.sidecar("client").to("http://web:8080/cart"), outbound(8080, "", "pay"));
  EXPECT_TRUE(mesh.mentions("teams/one"));
}

TEST(Delegates, OneAloneIsNoRoute) {
  const Mesh mesh(apps + delegate("cart", "  - " + to_cart + "\n", "fe-pre"));
  EXPECT_EQ(mesh.sidecar("client").to("http://web:8080/"), outbound(8080, "", "web"));
}

}  // namespace
}  // namespace graymesh::feature
