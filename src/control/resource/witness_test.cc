#include "control/resource/witness.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/hash.h"

namespace graymesh::resource {
namespace {

ResourcePtr named(const std::string& name, const std::string& body) {
  return std::make_shared<const Resource>(Type::cluster, name, body);
}

TEST(Possession, IsItsLayersButForTheExceptions) {
  const auto set = [](std::vector<ResourcePtr> all) {
    return std::make_shared<const ResourceSet>(std::move(all));
  };
  const Possession possession{
      .layers = {{set({named("a", "1"), named("b", "1"), named("c", "1"), named("d", "1")})},
                 {set({named("x", ""), named("y", "")}), true}},
      .exceptions = {{hash64("a"), named("a", "2")},
                     {hash64("b"), named("b", ""), true},
                     {hash64("c"), nullptr},
                     {hash64("x"), named("x", "3")},
                     {hash64("n"), named("n", "1")}}};
  auto [held, claimed] = possession.all();
  std::vector<std::string> texts;
  texts.reserve(held.size());
  for (const auto& it : held) texts.push_back(it->name() + "=" + std::string(it->body()));
  std::ranges::sort(texts);
  std::ranges::sort(claimed);
  EXPECT_EQ(texts, (std::vector<std::string>{"a=2", "d=1", "n=1", "x=3"}));
  EXPECT_EQ(claimed, (std::vector<std::string>{"b", "y"}));
}

}  // namespace
}  // namespace graymesh::resource
