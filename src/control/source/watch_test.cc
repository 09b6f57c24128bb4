// What happens to a folder, and what is believed of it: real files, real inotify, and no sleeping.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/source/source.h"
#include "control/source/testing.h"

namespace graymesh::source {
namespace {

using namespace testing;
using ::testing::HasSubstr;

// Has the Folder's thread gone by everything that was done before?
bool caught_up(Watched& source, const TempFolder& folder) {
  static int count = 0;
  const std::string name = fmt::format("marker{}", ++count);
  folder.replace(name + ".yaml", entry(name, "10.9.9.9"));
  return source.becomes(name, "10.9.9.9");
}

TEST(Change, RenamedIntoPlaceIsSeen) {
  TempFolder folder;
  folder.write("a.yaml", entry("a", "10.0.0.1"));
  Watched source(folder);

  folder.replace("a.yaml", entry("a", "10.0.0.2"));

  EXPECT_TRUE(source.becomes("a", "10.0.0.2"));
  EXPECT_EQ(source.history().size(), 1u);
  EXPECT_EQ(source.now()->number, 2u);
}

TEST(Change, WrittenInPlaceIsSeen) {
  TempFolder folder;
  folder.write("a.yaml", entry("a", "10.0.0.1"));
  Watched source(folder);

  folder.write("a.yaml", entry("a", "10.0.0.2"));

  EXPECT_TRUE(source.becomes("a", "10.0.0.2"));
  EXPECT_FALSE(source.was_ever_without("a")) << "while the file was truncated";
}

TEST(Change, SaysWhenItsFirstEventCame) {
  TempFolder folder;
  folder.write("a.yaml", entry("a", "10.0.0.1"));
  Watched source(folder);
  EXPECT_EQ(source.now()->since, std::nullopt);
  folder.write(".hidden", "no event of ours");

  for (const char* address : {"10.0.0.2", "10.0.0.3"}) {
    const auto before = std::chrono::steady_clock::now();
    folder.write("a.yaml", entry("a", address));
    ASSERT_TRUE(source.becomes("a", address));
    ASSERT_TRUE(source.now()->since);
    EXPECT_GE(*source.now()->since, before);
    EXPECT_LE(*source.now()->since, std::chrono::steady_clock::now());
  }
}

TEST(Change, OfOneFileLeavesTheObjectsOfOthersWhereTheyAre) {
  TempFolder folder;
  folder.write("a.yaml", entry("a", "10.0.0.1"));
  folder.write("b.yaml", entry("b", "10.0.0.1") + "---\n" + entry("c", "10.0.0.1"));
  Watched source(folder);
  const ObjectsPtr before = source.now();

  folder.replace("b.yaml", entry("b", "10.0.0.1") + "---\n" + entry("c", "10.0.0.2"));
  ASSERT_TRUE(source.becomes("c", "10.0.0.2"));

  EXPECT_EQ(source.now()->entries.at(key("a")).serving, before->entries.at(key("a")).serving);
  EXPECT_EQ(source.now()->entries.at(key("b")).serving, before->entries.at(key("b")).serving);
}

TEST(Change, ThatChangesNothingIsNotTold) {
  TempFolder folder;
  folder.write("a.yaml", entry("a", "10.0.0.1"));
  Watched source(folder);

  folder.replace("a.yaml", entry("a", "10.0.0.1"));
  fs::last_write_time(folder / "a.yaml", fs::file_time_type::clock::now());
  folder.write("note.txt", "not ours");

  ASSERT_TRUE(caught_up(source, folder));
  EXPECT_EQ(source.history().size(), 1u) << "the marker's own";
}

TEST(Change, OfManyFilesIsTakenInFewSteps) {
  TempFolder folder;
  Watched source(folder);
  source.hold(true);
  folder.replace("first.yaml", entry("first", "10.0.0.1"));
  ASSERT_TRUE(source.becomes("first", "10.0.0.1"));

  for (int i = 0; i < 700; ++i) {
    folder.replace(fmt::format("e{}.yaml", i), entry(fmt::format("e{}", i), "10.0.0.1"));
  }
  source.hold(false);

  ASSERT_TRUE(source.becomes([](const Objects& objects) { return objects.entries.size() == 701; }));
  EXPECT_LE(source.history().size(), 4u);
}

TEST(File, WrittenInTwoHalvesIsReadWhenItIsClosed) {
  TempFolder folder;
  folder.write("ab.yaml", entry("a", "10.0.0.1") + "---\n" + entry("b", "10.0.0.1"));
  Watched source(folder);

  std::ofstream file(folder / "ab.yaml");
  file << entry("a", "10.0.0.2") + "---\n" << std::flush;  // reads well, and lacks b
  ASSERT_TRUE(caught_up(source, folder));
  EXPECT_EQ(address(*source.now(), "a"), "10.0.0.1");
  file << entry("b", "10.0.0.2");
  file.close();

  EXPECT_TRUE(source.becomes("b", "10.0.0.2"));
  EXPECT_EQ(address(*source.now(), "a"), "10.0.0.2");
  EXPECT_FALSE(source.was_ever_without("b"));
}

TEST(File, WhoseWriterNeverClosesIsReadWhenHePauses) {
  TempFolder folder;
  folder.write("a.yaml", entry("a", "10.0.0.1"));
  Watched source(FolderOptions{.folders = {folder.path()}, .unclosed = 20ms});

  std::ofstream file(folder / "a.yaml");
  file << entry("a", "10.0.0.2") << std::flush;

  EXPECT_TRUE(source.becomes("a", "10.0.0.2"));
}

TEST(File, CutInTheMiddleKeepsWhatItHadUntilItReadsWellAgain) {
  TempFolder folder;
  const std::string a = entry("a", "10.0.0.1"), b = entry("b", "10.0.0.1"),
                    c = entry("c", "10.0.0.1");
  folder.write("abc.yaml", a + "---\n" + b + "---\n" + c);
  Watched source(folder);

  folder.write("abc.yaml", entry("a", "10.0.0.2") +
                               "---\napiVersion: networking.istio.io/v1\nmetadata: {name: b, na");
  ASSERT_TRUE(source.becomes("a", "10.0.0.2"));
  EXPECT_EQ(address(*source.now(), "b"), "10.0.0.1");
  EXPECT_EQ(address(*source.now(), "c"), "10.0.0.1");
  EXPECT_THAT(errors(*source.now(), "c"), HasSubstr("is not found in its file, of which line"));
  EXPECT_NE(nameless(*source.now()), "");

  folder.write("abc.yaml", entry("a", "10.0.0.2") + "---\n" + entry("b", "10.0.0.2"));
  ASSERT_TRUE(source.becomes("b", "10.0.0.2"));
  EXPECT_EQ(address(*source.now(), "c"), "") << "cleanly absent: gone";
  EXPECT_EQ(nameless(*source.now()), "");
}

TEST(File, TruncatedAndThenWrittenNeverLosesItsObjects) {
  TempFolder folder;
  folder.write("a.yaml", entry("a", "10.0.0.1"));
  Watched source(FolderOptions{.folders = {folder.path()}, .empty = 10s});

  folder.write("a.yaml", "");
  ASSERT_TRUE(caught_up(source, folder));
  EXPECT_EQ(address(*source.now(), "a"), "10.0.0.1");
  folder.write("a.yaml", entry("a", "10.0.0.2"));

  EXPECT_TRUE(source.becomes("a", "10.0.0.2"));
  EXPECT_FALSE(source.was_ever_without("a"));
}

TEST(File, ThatStaysEmptyIsBelieved) {
  TempFolder folder;
  folder.write("a.yaml", entry("a", "10.0.0.1"));
  Watched source(folder);

  folder.write("a.yaml", "");

  EXPECT_TRUE(source.becomes("a", ""));
  EXPECT_FALSE(source.now()->entries.contains(key("a")));
}

TEST(File, DeletedTakesItsObjectsAlong) {
  TempFolder folder;
  folder.write("a.yaml", entry("a", "10.0.0.1"));
  folder.write("b.yaml", entry("b", "10.0.0.1"));
  Watched source(folder);

  fs::remove(folder / "a.yaml");

  EXPECT_TRUE(source.becomes("a", ""));
  EXPECT_EQ(address(*source.now(), "b"), "10.0.0.1");
  EXPECT_EQ(source.now()->files, 1u);
}

TEST(File, DeletedAndMadeAnewNeverLosesItsObjects) {
  TempFolder folder;
  folder.write("a.yaml", entry("a", "10.0.0.1"));
  Watched source(FolderOptions{.folders = {folder.path()}, .vanished = 10s});

  fs::remove(folder / "a.yaml");
  ASSERT_TRUE(caught_up(source, folder));
  EXPECT_EQ(address(*source.now(), "a"), "10.0.0.1");
  folder.write("a.yaml", entry("a", "10.0.0.2"));

  EXPECT_TRUE(source.becomes("a", "10.0.0.2"));
  EXPECT_FALSE(source.was_ever_without("a"));
}

TEST(File, RenamedKeepsItsObjectsAndIsNoDuplicateOfItself) {
  TempFolder folder;
  folder.write("a.yaml", entry("a", "10.0.0.1"));
  Watched source(folder);

  fs::rename(folder / "a.yaml", folder / "z.yaml");

  EXPECT_TRUE(source.becomes([&](const Objects& objects) {
    return objects.entries.at(key("a")).position.file == folder / "z.yaml" && objects.files == 1;
  }));
  EXPECT_FALSE(source.was_ever_without("a"));
  EXPECT_FALSE(source.ever([](const Objects& objects) { return !errors(objects, "a").empty(); }));
}

TEST(File, LinkedIntoPlaceIsSeen) {
  TempFolder folder, elsewhere;
  elsewhere.write("target", entry("a", "10.0.0.1"));
  elsewhere.write("hard", entry("b", "10.0.0.1"));
  Watched source(folder);

  fs::create_symlink(elsewhere / "target", folder / "a.yaml");
  fs::create_hard_link(elsewhere / "hard", folder / "b.yaml");
  EXPECT_TRUE(source.becomes("a", "10.0.0.1"));
  EXPECT_TRUE(source.becomes("b", "10.0.0.1"));

  elsewhere.write("target", entry("a", "10.0.0.2"));
  EXPECT_TRUE(source.becomes("a", "10.0.0.2")) << "what a link leads to changes";
}

TEST(Object, ThatBecomesBadLeavesItsLastGoodStateServing) {
  TempFolder folder;
  folder.write("a.yaml", entry("a", "10.0.0.1"));
  Watched source(folder);

  folder.replace("a.yaml", entry("a", "10.0.0.2", "adress"));
  ASSERT_TRUE(source.becomes([](const Objects& objects) { return !errors(objects, "a").empty(); }));
  EXPECT_EQ(address(*source.now(), "a"), "10.0.0.1");
  EXPECT_THAT(errors(*source.now(), "a"), HasSubstr("adress 10.0.0.2, is not a known field"));
  EXPECT_EQ(source.now()->entries.at(key("a")).text, entry("a", "10.0.0.2", "adress"));

  folder.replace("a.yaml", entry("a", "10.0.0.3", "adres"));
  ASSERT_TRUE(source.becomes([](const Objects& objects) {
    return errors(objects, "a").find("adres 10.0.0.3") != std::string::npos;
  }));
  EXPECT_EQ(address(*source.now(), "a"), "10.0.0.1") << "bad after bad";

  folder.replace("a.yaml", entry("a", "10.0.0.4"));
  EXPECT_TRUE(source.becomes("a", "10.0.0.4"));
  EXPECT_EQ(errors(*source.now(), "a"), "");
}

TEST(Object, ThatMovesToAnotherFileAndBecomesBadKeepsItsLastGoodState) {
  TempFolder folder;
  folder.write("a.yaml", entry("a", "10.0.0.1"));
  Watched source(folder);

  folder.replace("b.yaml", entry("a", "10.0.0.2", "adress"));
  fs::remove(folder / "a.yaml");

  ASSERT_TRUE(source.becomes(
      [](const Objects& objects) { return objects.files == 1 && !errors(objects, "a").empty(); }));
  EXPECT_EQ(address(*source.now(), "a"), "10.0.0.1");
  EXPECT_THAT(errors(*source.now(), "a"), HasSubstr("adress 10.0.0.2, is not a known field"));
}

TEST(Object, OfASecondDocumentTakesOverWhenTheFirstGoesAway) {
  TempFolder folder;
  folder.write("a.yaml", entry("web", "10.0.0.1"));
  folder.write("b.yaml", entry("web", "10.0.0.2"));
  Watched source(folder);
  ASSERT_EQ(address(*source.now(), "web"), "10.0.0.1");

  fs::remove(folder / "a.yaml");

  EXPECT_TRUE(source.becomes("web", "10.0.0.2"));
  EXPECT_EQ(errors(*source.now(), "web"), "");
  EXPECT_FALSE(source.was_ever_without("web"));
}

}  // namespace
}  // namespace graymesh::source
