#include "control/resource/resource.h"

#include <gtest/gtest.h>

namespace graymesh::resource {
namespace {

TEST(Resource, VersionIsAHashOfItsBytesAlone) {
  const Resource a(Type::cluster, "a", "body");
  const Resource b(Type::cluster, "b", "body", {"Service shop/b"});
  EXPECT_EQ(a.version(), b.version());
  EXPECT_NE(a.version(), Resource(Type::cluster, "a", "other").version());
  EXPECT_EQ(a.version_text().size(), 16u);
}

TEST(Resource, OneBufferServesBothProtocols) {
  const Resource r(Type::route, "8080", "BODY");
  EXPECT_EQ(r.body(), "BODY");
  EXPECT_TRUE(r.delta_frame().ends_with(r.sotw_frame()));
  EXPECT_EQ(r.delta_frame()[0], '\x12') << "field 2, length-delimited";
  EXPECT_EQ(r.sotw_frame()[0], '\x12') << "field 2, length-delimited";
  EXPECT_EQ(static_cast<std::size_t>(r.delta_frame()[1]), r.delta_frame().size() - 2);
}

TEST(Resource, VirtualHostKnowsItsTable) {
  const Resource host(Type::virtual_host, "unix:///run/a/web:80", "");
  EXPECT_EQ(table_of(host.name()), "unix:///run/a");
  EXPECT_EQ(host.table_hash(), Resource(Type::route, "unix:///run/a", "").name_hash());
  EXPECT_EQ(Resource(Type::route, "a/b", "").table_hash(), 0u);
  EXPECT_EQ(table_of("without"), "");
}

TEST(ResourceSet, IsSortedAndHoldsEachNameOnce) {
  const auto make = [](const char* name, const char* body) {
    return std::make_shared<const Resource>(Type::cluster, name, body);
  };
  const ResourceSet set({make("b", "1"), make("a", "22"), make("b", "333")});
  ASSERT_EQ(set.size(), 2u);
  EXPECT_EQ(set.all()[0]->name(), "a");
  EXPECT_EQ((*set.find("b"))->body(), "1");
  EXPECT_EQ(set.find("c"), nullptr);
  EXPECT_EQ(set.bytes(), 3u);
}

TEST(ResourceSet, WithOthersInPlaceOfThoseOfTheirNames) {
  const auto make = [](const char* name, const char* body) {
    return std::make_shared<const Resource>(Type::endpoints, name, body);
  };
  const ResourceSet set({make("a", "1"), make("b", "22"), make("c", "333")});
  const std::vector<ResourcePtr> others{make("c", "4"), make("a", "55555")};
  const auto next = set.with(others);
  ASSERT_EQ(next->size(), 3u);
  EXPECT_EQ(next->all()[0], others[1]);
  EXPECT_EQ(next->all()[1], set.all()[1]);
  EXPECT_EQ(next->all()[2], others[0]);
  EXPECT_EQ(next->bytes(), 5u + 2u + 1u);
  EXPECT_EQ(set.bytes(), 6u) << "itself it stays as it was";
}

TEST(ResourceSet, SharesWithTheOneThatItCameOfWhatDidNotChange) {
  std::vector<ResourcePtr> all;
  for (int i = 1'000; i < 2'000; ++i)
    all.push_back(std::make_shared<const Resource>(Type::endpoints, std::to_string(i), "x"));
  const ResourceSet set(all);
  const auto other = std::make_shared<const Resource>(Type::endpoints, "1500", "yy");
  const auto next = set.with(std::vector<ResourcePtr>{other});
  std::size_t apart = 0;
  for (std::size_t i = 0; i < set.size(); ++i) {
    apart += &next->all()[i] != &set.all()[i] ? 1 : 0;
    EXPECT_EQ(next->all()[i], i == 500 ? other : all[i]);
  }
  EXPECT_LE(apart, Pieces<ResourcePtr>::piece_size);
}

TEST(Config, FindsAResourceInAnyLayer) {
  Config config;
  const auto resource = std::make_shared<const Resource>(Type::listener, "x", "");
  const auto nothing = std::make_shared<const ResourceSet>();
  config.add(Type::listener, nothing);
  config.add(Type::route, nothing);
  config.add(Type::listener,
             std::make_shared<const ResourceSet>(std::vector<ResourcePtr>{resource}));
  config.add(Type::cluster, nothing);
  ASSERT_NE(config.find(Type::listener, "x"), nullptr);
  EXPECT_EQ(*config.find(Type::listener, "x"), resource);
  EXPECT_EQ(config.find(Type::cluster, "x"), nullptr);
  EXPECT_EQ(config.find(Type::route, "x"), nullptr);
  EXPECT_EQ(config.of(Type::cluster).size(), 1u);
  EXPECT_EQ(config.of(Type::listener).size(), 2u);
  EXPECT_EQ(config.of(Type::listener)[0], nothing);
  EXPECT_EQ(config.of(Type::virtual_host).size(), 0u);
}

}  // namespace
}  // namespace graymesh::resource
