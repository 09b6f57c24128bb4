// What is read from a folder, once, and what each document costs the others.
#include "control/source/source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/fsuid.h>
#include <sys/stat.h>

#include "control/source/testing.h"

namespace graymesh::source {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* json_entry =
    R"({"apiVersion": "networking.istio.io/v1", "kind": "WorkloadEntry",
        "metadata": {"name": "json", "namespace": "shop"}, "spec": {"address": "10.0.0.3"}})";

std::vector<std::string> names(const Objects& objects) {
  std::vector<std::string> names;
  for (const auto& [key, entry] : objects.entries) names.push_back(key.name);
  return names;
}

TEST(Folder, ReadsYamlAndJsonInEveryFolderBelow) {
  TempFolder folder;
  folder.write("a.yaml", entry("a", "10.0.0.1"));
  folder.write("deep/er/b.yml", entry("b", "10.0.0.2"));
  folder.write("deep/c.json", json_entry);

  Watched source(folder);

  EXPECT_THAT(names(*source.now()), ElementsAre("a", "b", "json"));
  EXPECT_EQ(source.now()->files, 3u);
  EXPECT_EQ(address(*source.now(), "json"), "10.0.0.3");
  EXPECT_EQ(source.now()->entries.at(key("b")).position,
            (model::Position{folder / "deep/er/b.yml", 1}));
}

TEST(Folder, PassesByWhatIsNotOurs) {
  TempFolder folder;
  folder.write("a.yaml", entry("a", "10.0.0.1"));
  folder.write("a.yaml~", entry("backup", "10.0.0.2"));
  folder.write(".a.yaml.swp", entry("swap", "10.0.0.2"));
  folder.write(".hidden.yaml", entry("hidden", "10.0.0.2"));
  folder.write(".git/b.yaml", entry("git", "10.0.0.2"));
  folder.write("README.md", "# read me\n");
  ASSERT_EQ(::mkfifo((folder / "pipe.yaml").c_str(), 0600), 0);

  Watched source(folder);

  EXPECT_THAT(names(*source.now()), ElementsAre("a"));
  EXPECT_EQ(nameless(*source.now()), "");
}

TEST(Folder, ReadsSeveralFolders) {
  TempFolder one, other;
  one.write("a.yaml", entry("a", "10.0.0.1"));
  other.write("b.yaml", entry("b", "10.0.0.2"));

  Watched source(FolderOptions{.folders = {one.path(), other.path()}});

  EXPECT_THAT(names(*source.now()), ElementsAre("a", "b"));
}

TEST(Folder, ThatIsMissingIsAnError) {
  TempFolder folder;
  const auto opened = Folder::open({.folders = {folder / "nowhere"}}, [](const ObjectsPtr&) {});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::not_found);
  EXPECT_THAT(opened.error().message, HasSubstr((folder / "nowhere").string()));
}

TEST(Folder, ThatIsAFileIsAnError) {
  TempFolder folder;
  folder.write("a.yaml", entry("a", "10.0.0.1"));
  const auto opened = Folder::open({.folders = {folder / "a.yaml"}}, [](const ObjectsPtr&) {});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::failed_precondition);
}

TEST(Folder, LinksInACircleEndAndEachFolderIsReadOnce) {
  TempFolder folder;
  folder.write("real/a.yaml", entry("a", "10.0.0.1"));
  fs::create_directory_symlink(folder.path(), folder / "real/up");
  fs::create_directory_symlink(folder / "real", folder / "again");

  Watched source(folder);

  EXPECT_THAT(names(*source.now()), ElementsAre("a"));
  EXPECT_EQ(errors(*source.now(), "a"), "");
  EXPECT_EQ(source.now()->entries.at(key("a")).position.file, folder / "real/a.yaml");
}

TEST(Document, ThatIsBadCostsOnlyItself) {
  TempFolder folder;
  folder.write("all.yaml", entry("a", "10.0.0.1") + "---\n" + entry("b", "10.0.0.2", "adress") +
                               "---\n" + "metadata: {name: [\n---\n" + entry("c", "10.0.0.3"));

  Watched source(folder);

  EXPECT_EQ(address(*source.now(), "a"), "10.0.0.1");
  EXPECT_EQ(address(*source.now(), "c"), "10.0.0.3");
  EXPECT_EQ(address(*source.now(), "b"), "");
  EXPECT_THAT(errors(*source.now(), "b"), HasSubstr("all.yaml:11 WorkloadEntry shop/b: adress"));
  EXPECT_THAT(source.now()->entries.at(key("b")).text, HasSubstr("adress: 10.0.0.2"));
  EXPECT_THAT(nameless(*source.now()), HasSubstr("all.yaml:1"));
}

TEST(Document, OfAKindThatWeDoNotKnowIsCounted) {
  TempFolder folder;
  folder.write("a.yaml", entry("a", "10.0.0.1") +
                             "---\n{apiVersion: apps/v1, kind: Deployment, metadata: {name: x}}\n");
  folder.write("b.yaml", "{apiVersion: apps/v1, kind: Deployment, metadata: {name: y}}\n");

  Watched source(folder);

  EXPECT_EQ(source.now()->passed_over.at("apps/v1 Deployment"), 2u);
  EXPECT_EQ(source.now()->entries.size(), 1u);
}

TEST(Document, ThatHasTheNameOfAnotherIsRefusedByThePlaceOfTheFirst) {
  TempFolder folder;
  folder.write("b.yaml", entry("web", "10.0.0.2"));
  folder.write("a.yaml", "# first\n" + entry("web", "10.0.0.1"));

  Watched source(folder);

  EXPECT_EQ(address(*source.now(), "web"), "10.0.0.1");
  EXPECT_EQ(
      errors(*source.now(), "web"),
      fmt::format("{}:1 WorkloadEntry shop/web: is defined at {}:2 already, and that one serves\n",
                  (folder / "b.yaml").string(), (folder / "a.yaml").string()));
}

TEST(Document, OfTwoInOneFileTheFirstServes) {
  TempFolder folder;
  folder.write("a.yaml", entry("web", "10.0.0.1") + "---\n" + entry("web", "10.0.0.2"));

  Watched source(folder);

  EXPECT_EQ(address(*source.now(), "web"), "10.0.0.1");
  EXPECT_THAT(errors(*source.now(), "web"),
              HasSubstr("a.yaml:7 WorkloadEntry shop/web: is defined at"));
}

TEST(Document, ThatNeverWasGoodDoesNotTakeTheNameOfAGoodOne) {
  TempFolder folder;
  folder.write("a.yaml", entry("web", "10.0.0.1", "adress"));
  folder.write("b.yaml", entry("web", "10.0.0.2"));

  Watched source(folder);

  EXPECT_EQ(address(*source.now(), "web"), "10.0.0.2");
  EXPECT_THAT(errors(*source.now(), "web"), HasSubstr("adress 10.0.0.1, is not a known field"));
}

TEST(File, OfManyDocumentsIsReadAsAWhole) {
  TempFolder folder;
  std::string text;
  for (int i = 0; i < 10'000; ++i) text += entry(fmt::format("e{}", i), "10.0.0.1") + "---\n";
  folder.write("many.yaml", text);

  Watched source(folder);

  EXPECT_EQ(source.now()->entries.size(), 10'000u);
  EXPECT_EQ(address(*source.now(), "e9999"), "10.0.0.1");
}

TEST(File, OfForeignBytesIsARefusalOfItsOwn) {
  TempFolder folder;
  std::string bytes;
  for (int i = 0; i < 4096; ++i) bytes += static_cast<char>(i * 7);
  folder.write("noise.yaml", bytes);
  folder.write("a.yaml", entry("a", "10.0.0.1"));

  Watched source(folder);

  EXPECT_EQ(address(*source.now(), "a"), "10.0.0.1");
  EXPECT_THAT(nameless(*source.now()), HasSubstr("noise.yaml"));
}

TEST(File, LargerThanAllowedIsAProblemOfItsOwn) {
  TempFolder folder;
  folder.write("a.yaml", entry("a", "10.0.0.1"));
  folder.write("huge.yaml", std::string(2000, '#'));

  Watched source(FolderOptions{.folders = {folder.path()}, .file_bytes_max = 1000});

  EXPECT_EQ(address(*source.now(), "a"), "10.0.0.1");
  EXPECT_THAT(nameless(*source.now()), HasSubstr("huge.yaml: is larger than 1000 bytes"));
}

TEST(File, ThatCannotBeReadIsAProblemOfItsOwn) {
  TempFolder folder;
  folder.write("a.yaml", entry("a", "10.0.0.1"));
  folder.write("secret.yaml", entry("b", "10.0.0.2"));
  fs::permissions(folder.path(), fs::perms::all);
  fs::permissions(folder / "secret.yaml", fs::perms::none);
  // Root reads everything; so the files are asked for as nobody, here and in the Folder's thread.
  constexpr uid_t nobody = 65534;
  const auto before = static_cast<uid_t>(::setfsuid(nobody));
  {
    Watched source(folder);
    EXPECT_EQ(address(*source.now(), "a"), "10.0.0.1");
    EXPECT_THAT(nameless(*source.now()), HasSubstr("secret.yaml: cannot open: Permission denied"));

    ::setfsuid(before);
    fs::permissions(folder / "secret.yaml",
                    fs::perms::owner_read | fs::perms::group_read | fs::perms::others_read);
    EXPECT_TRUE(source.becomes("b", "10.0.0.2"));
    EXPECT_EQ(nameless(*source.now()), "");

    fs::permissions(folder / "secret.yaml", fs::perms::none);
    EXPECT_TRUE(source.becomes([](const Objects& objects) { return !nameless(objects).empty(); }));
    EXPECT_EQ(address(*source.now(), "b"), "10.0.0.2") << "the last good state serves";
    EXPECT_THAT(errors(*source.now(), "b"), HasSubstr("stands in a file that cannot be read"));
  }
}

}  // namespace
}  // namespace graymesh::source
