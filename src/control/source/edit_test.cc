// apply and remove: the folder edited as a person would, byte for byte.
#include "control/source/edit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "control/source/source.h"
#include "control/source/testing.h"

namespace graymesh::source {
namespace {

using namespace testing;
using Applied = Folder::Applied;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

std::string with(std::string text, const std::string& old, const std::string& fresh) {
  const auto at = text.find(old);
  EXPECT_NE(at, std::string::npos) << old;
  return text.replace(at, old.size(), fresh);
}

TEST(Apply, GivesANewObjectAFileOfItsOwn) {
  TempFolder folder;
  Watched source(folder);

  const auto applied = source.folder->apply("# mine\n" + entry("web", "10.0.0.1"));

  ASSERT_TRUE(applied) << applied.error().message;
  EXPECT_THAT(*applied, ElementsAre(Pair(key("web"), Applied::created)));
  EXPECT_EQ(folder.read("workloadentry-shop-web.yaml"), "# mine\n" + entry("web", "10.0.0.1"));
  EXPECT_TRUE(source.becomes("web", "10.0.0.1"));
}

TEST(Apply, DoesNotWriteOverAFileThatHoldsSomethingElse) {
  TempFolder folder;
  folder.write("workloadentry-shop-web.yaml", "# a diary\n");
  Watched source(folder);

  ASSERT_TRUE(source.folder->apply(entry("web", "10.0.0.1")));

  EXPECT_EQ(folder.read("workloadentry-shop-web.yaml"), "# a diary\n");
  EXPECT_EQ(folder.read("workloadentry-shop-web-2.yaml"), entry("web", "10.0.0.1"));
}

TEST(Apply, ChangesOneDocumentAndNotAByteOfTheOthers) {
  TempFolder folder;
  folder.write("all.yaml", commented);
  Watched source(folder);

  const auto applied = source.folder->apply(entry("b", "10.0.0.22"));

  ASSERT_TRUE(applied) << applied.error().message;
  EXPECT_THAT(*applied, ElementsAre(Pair(key("b"), Applied::configured)));
  EXPECT_EQ(folder.read("all.yaml"), with(commented, "10.0.0.2\n", "10.0.0.22\n"));
  EXPECT_TRUE(source.becomes("b", "10.0.0.22"));
}

TEST(Apply, ChangesSeveralDocumentsOfOneFileAtOnce) {
  TempFolder folder;
  folder.write("all.yaml", commented);
  Watched source(folder);

  const auto applied =
      source.folder->apply(entry("c", "10.0.0.33") + "---\n" + entry("d", "10.0.0.4") + "---\n" +
                           entry("a", "10.0.0.11"));

  ASSERT_TRUE(applied) << applied.error().message;
  EXPECT_THAT(*applied,
              ElementsAre(Pair(key("c"), Applied::configured), Pair(key("d"), Applied::created),
                          Pair(key("a"), Applied::configured)));
  EXPECT_EQ(folder.read("all.yaml"), with(with(commented, "10.0.0.1  # primary\n", "10.0.0.11\n"),
                                          "10.0.0.3", "10.0.0.33\n"));
  EXPECT_EQ(folder.read("workloadentry-shop-d.yaml"), entry("d", "10.0.0.4"));
}

TEST(Apply, TakesCommentsThatTheNewTextBrings) {
  TempFolder folder;
  folder.write("all.yaml", commented);
  Watched source(folder);

  ASSERT_TRUE(
      source.folder->apply("# b has moved\n" + entry("b", "10.0.0.22") + "# and ends here\n"));

  EXPECT_EQ(folder.read("all.yaml"), with(with(with(commented, "\n# about b\n", "# b has moved\n"),
                                               "10.0.0.2\n", "10.0.0.22\n"),
                                          "# end of b\n\n", "# and ends here\n"));
}

TEST(Apply, OfWhatIsThereAlreadyWritesNothing) {
  TempFolder folder;
  folder.write("all.yaml", commented);
  Watched source(folder);
  const auto before = fs::last_write_time(folder / "all.yaml");

  const auto applied = source.folder->apply(entry("b", "10.0.0.2"));

  ASSERT_TRUE(applied);
  EXPECT_THAT(*applied, ElementsAre(Pair(key("b"), Applied::unchanged)));
  EXPECT_EQ(fs::last_write_time(folder / "all.yaml"), before);
}

TEST(Apply, MendsAnObjectWhoseNewestTextIsBad) {
  TempFolder folder;
  folder.write("a.yaml", entry("a", "10.0.0.1", "adress"));
  Watched source(folder);

  ASSERT_TRUE(source.folder->apply(entry("a", "10.0.0.2")));

  EXPECT_EQ(folder.read("a.yaml"), entry("a", "10.0.0.2"));
  EXPECT_TRUE(source.becomes("a", "10.0.0.2"));
}

TEST(Apply, NamesEveryProblemAndWritesNothing) {
  TempFolder folder;
  folder.write("all.yaml", commented);
  Watched source(folder);

  const auto applied = source.folder->apply(
      entry("b", "10.0.0.22") + "---\n" + entry("x", "10.0.0.1", "adress") + "---\n" +
      entry("b", "10.0.0.23") + "---\n{apiVersion: apps/v1, kind: Deployment}\n" +
      "---\n{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: deny}}"
      "\n");

  ASSERT_FALSE(applied);
  EXPECT_EQ(applied.error().code, Code::invalid_argument);
  EXPECT_THAT(applied.error().message, HasSubstr("input:11 WorkloadEntry shop/x: adress"));
  EXPECT_THAT(applied.error().message,
              HasSubstr("input:13 WorkloadEntry shop/b: stands in line 1 already"));
  EXPECT_THAT(applied.error().message,
              HasSubstr("apps/v1 Deployment: is not a kind that graymesh reads"));
  EXPECT_THAT(applied.error().message,
              HasSubstr("AuthorizationPolicy default/deny: kind AuthorizationPolicy, is not "
                        "supported yet"));
  EXPECT_EQ(folder.read("all.yaml"), commented);
}

TEST(Apply, OfNothingIsRefused) {
  TempFolder folder;
  Watched source(folder);
  EXPECT_EQ(source.folder->apply("").error().code, Code::invalid_argument);
  EXPECT_EQ(source.folder->apply("---\n# nothing\n---\n").error().code, Code::invalid_argument);
}

TEST(Apply, TakesTheItemsOfAListApart) {
  TempFolder folder;
  Watched source(folder);

  const auto applied = source.folder->apply(
      "apiVersion: v1\nkind: List\nitems:\n"
      "- apiVersion: networking.istio.io/v1\n  kind: WorkloadEntry\n  metadata: {name: a, "
      "namespace: shop}\n  spec: {address: 10.0.0.1}\n"
      "- apiVersion: networking.istio.io/v1\n  kind: WorkloadEntry\n  metadata: {name: b, "
      "namespace: shop}\n  spec: {address: 10.0.0.2}\n");

  ASSERT_TRUE(applied) << applied.error().message;
  EXPECT_EQ(folder.read("workloadentry-shop-b.yaml"),
            "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: b, "
            "namespace: shop}\nspec: {address: 10.0.0.2}\n");
  EXPECT_TRUE(source.becomes("a", "10.0.0.1"));
}

TEST(Apply, ToAnItemOfAListInTheFolderIsRefusedAndSaysWhy) {
  TempFolder folder;
  const std::string list =
      "apiVersion: v1\nkind: List\nitems:\n"
      "- apiVersion: networking.istio.io/v1\n  kind: WorkloadEntry\n  metadata: {name: a, "
      "namespace: shop}\n  spec: {address: 10.0.0.1}\n";
  folder.write("list.yaml", list);
  Watched source(folder);

  const auto applied = source.folder->apply(entry("a", "10.0.0.2"));
  const Status removed = source.folder->remove(key("a"));

  ASSERT_FALSE(applied);
  EXPECT_EQ(applied.error().code, Code::failed_precondition);
  EXPECT_THAT(applied.error().message,
              HasSubstr("list.yaml:4 WorkloadEntry shop/a is an item of a List"));
  ASSERT_FALSE(removed);
  EXPECT_EQ(removed.error().code, Code::failed_precondition);
  EXPECT_EQ(folder.read("list.yaml"), list);
}

TEST(Apply, KeepsAJsonFileJson) {
  TempFolder folder;
  const std::string json =
      R"({"apiVersion": "networking.istio.io/v1", "kind": "WorkloadEntry", "metadata": {"name": "a", "namespace": "shop"}, "spec": {"address": "10.0.0.1"}})"
      "\n";
  folder.write("a.json", json);
  Watched source(folder);

  const auto yaml = source.folder->apply(entry("a", "10.0.0.2"));
  ASSERT_FALSE(yaml);
  EXPECT_THAT(yaml.error().message, HasSubstr("which is JSON"));
  ASSERT_TRUE(source.folder->apply(with(json, "10.0.0.1", "10.0.0.2")));
  EXPECT_EQ(folder.read("a.json"), with(json, "10.0.0.1", "10.0.0.2"));
}

TEST(Apply, GoesByTheFileAsItIsNowAndNotAsItWasRead) {
  TempFolder folder;
  folder.write("all.yaml", commented);
  Watched source(folder);
  source.hold(true);  // the watch is behind from here on
  folder.replace("other.yaml", entry("o", "10.0.0.1"));
  ASSERT_TRUE(source.becomes("o", "10.0.0.1"));
  const std::string longer = "# a new first line\n" + std::string(commented);
  folder.replace("all.yaml", longer);

  ASSERT_TRUE(source.folder->apply(entry("b", "10.0.0.22")));

  EXPECT_EQ(folder.read("all.yaml"), with(longer, "10.0.0.2\n", "10.0.0.22\n"));
}

TEST(Apply, TwiceInARowFindsWhatItWroteBefore) {
  TempFolder folder;
  Watched source(folder);
  ASSERT_TRUE(source.folder->apply(entry("web", "10.0.0.1")));
  const auto again = source.folder->apply(entry("web", "10.0.0.2"));

  ASSERT_TRUE(again);
  EXPECT_THAT(*again, ElementsAre(Pair(key("web"), Applied::configured)));
  EXPECT_EQ(folder.read("workloadentry-shop-web.yaml"), entry("web", "10.0.0.2"));
  EXPECT_FALSE(fs::exists(folder / "workloadentry-shop-web-2.yaml"));
}

TEST(Apply, KeepsTheFilesModeAndTheLinkToIt) {
  TempFolder folder;
  folder.write("real/.hidden", entry("a", "10.0.0.1"));
  fs::permissions(folder / "real/.hidden", fs::perms::owner_read | fs::perms::owner_write);
  fs::create_symlink("real/.hidden", folder / "a.yaml");
  Watched source(folder);

  ASSERT_TRUE(source.folder->apply(entry("a", "10.0.0.2")));

  EXPECT_TRUE(fs::is_symlink(folder / "a.yaml"));
  EXPECT_EQ(folder.read("real/.hidden"), entry("a", "10.0.0.2"));
  EXPECT_EQ(fs::status(folder / "real/.hidden").permissions(),
            fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_TRUE(source.becomes("a", "10.0.0.2"));
}

TEST(Apply, ToAMountedConfigMapIsRefused) {
  TempFolder folder;
  folder.write("..2026_1/a.yaml", entry("a", "10.0.0.1"));
  fs::create_directory_symlink("..2026_1", folder / "..data");
  fs::create_symlink("..data/a.yaml", folder / "a.yaml");
  Watched source(folder);

  const auto applied = source.folder->apply(entry("a", "10.0.0.2"));

  ASSERT_FALSE(applied);
  EXPECT_THAT(applied.error().message, HasSubstr("is mounted from a ConfigMap"));
  EXPECT_EQ(folder.read("a.yaml"), entry("a", "10.0.0.1"));
}

TEST(Apply, OfThousandsOfDocumentsOfOneFileTakesOnePass) {
  TempFolder folder;
  std::string before, after;
  for (int i = 0; i < 5000; ++i) {
    before += "---\n# e" + std::to_string(i) + '\n' + entry(fmt::format("e{}", i), "10.0.0.1");
    after += "---\n" + entry(fmt::format("e{}", i), "10.0.0.2");
  }
  folder.write("many.yaml", before);
  Watched source(folder);

  const auto applied = source.folder->apply(after);

  ASSERT_TRUE(applied) << applied.error().message;
  EXPECT_EQ(applied->size(), 5000u);
  EXPECT_TRUE(source.becomes("e4999", "10.0.0.2"));
  EXPECT_THAT(folder.read("many.yaml"), HasSubstr("# e4999\n"));
}

}  // namespace
}  // namespace graymesh::source
