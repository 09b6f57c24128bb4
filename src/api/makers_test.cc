// What proxies hold of an object, and which of their refusals are of it as it is now.
#include "api/makers.h"

#include <gtest/gtest.h>

namespace graymesh::api {
namespace {

using resource::Type;

model::ObjectPtr object(const std::string& yaml) {
  return model::read(yaml, "mesh.yaml").at(0).object;
}

const std::string web = R"(
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.96.0.1, selector: {app: web}, ports: [{name: http, port: 80}]}
)";
const std::string pod = R"(
apiVersion: v1
kind: Pod
metadata: {name: web-0, namespace: shop, labels: {app: web}}
status: {podIP: 10.0.0.1, phase: Running, conditions: [{type: Ready, status: "True"}]}
)";

Result<Makers> makers(const std::string& yaml) {
  const auto wanted = object(yaml);
  const std::vector<model::ObjectPtr> objects{object(web), object(pod)};
  const auto built =
      snapshot::build(objects, std::make_shared<const model::MeshConfig>(), nullptr, 1);
  return makers_of(wanted->meta.key, *wanted, *built);
}

TEST(Makers, OfAnObjectThatResourcesNameIsItself) {
  EXPECT_EQ(makers(web).value(), Makers{"Service shop/web"});
}

TEST(Makers, OfAPodAreTheServicesThatItIsAnEndpointOf) {
  EXPECT_EQ(makers(pod).value(), Makers{"Service shop/web"});
  auto other = pod;
  other.replace(other.find("10.0.0.1"), 8, "10.0.0.2");
  EXPECT_EQ(makers(other).value(), Makers{});
}

TEST(Makers, OfAKindThatProxiesHoldNothingOfAreRefused) {
  const auto refused = makers("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::invalid_argument);
  EXPECT_EQ(refused.error().message,
            "Namespace shop is nothing that a proxy has or refuses; one can wait for: Service, "
            "ServiceEntry, DestinationRule, VirtualService, Gateway, Pod, WorkloadEntry, "
            "EndpointSlice");
}

TEST(Refusals, OfAnOlderVersionAreNoRefusalsOfTheObject) {
  const auto made = [](const std::string& body) {
    return std::make_shared<const resource::Resource>(
        Type::route, "http_proxy", body, std::vector<std::string>{"VirtualService shop/web"});
  };
  const auto old_one = made("old"), new_one = made("new");
  const auto refusal = [](const resource::Resource& it) {
    return xds::Refusal{.type = it.type(),
                        .resource = it.name(),
                        .version = it.version_text(),
                        .origins = it.origins()};
  };
  resource::Config config;
  config.add(Type::route, std::make_shared<const resource::ResourceSet>(
                              std::vector<resource::ResourcePtr>{new_one}));
  const Makers web_routes{"VirtualService shop/web"};
  EXPECT_TRUE(refusals_of(web_routes, {refusal(*old_one)}, config).empty());
  EXPECT_EQ(refusals_of(web_routes, {refusal(*new_one)}, config).size(), 1u);
  EXPECT_TRUE(refusals_of({"VirtualService shop/cart"}, {refusal(*new_one)}, config).empty());
}

}  // namespace
}  // namespace graymesh::api
