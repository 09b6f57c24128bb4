// What happens to whole folders: made, moved, deleted, swapped; and what if they cannot be watched.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/source/source.h"
#include "control/source/testing.h"

namespace graymesh::source {
namespace {

using namespace testing;
using ::testing::HasSubstr;

TEST(Subfolder, MadeWithItsFilesAtOnceIsReadCompletely) {
  TempFolder folder;
  Watched source(folder);

  for (int i = 0; i < 50; ++i) {
    folder.write(fmt::format("n{}/deep/er/a.yaml", i), entry(fmt::format("a{}", i), "10.0.0.1"));
    folder.write(fmt::format("n{}/b.yaml", i), entry(fmt::format("b{}", i), "10.0.0.1"));
  }

  EXPECT_TRUE(source.becomes([](const Objects& objects) { return objects.entries.size() == 100; }));
  folder.replace("n49/deep/er/a.yaml", entry("a49", "10.0.0.2"));
  EXPECT_TRUE(source.becomes("a49", "10.0.0.2")) << "and is watched from then on";
}

TEST(Subfolder, DeletedTakesItsObjectsAlong) {
  TempFolder folder;
  folder.write("a.yaml", entry("a", "10.0.0.1"));
  folder.write("sub/b.yaml", entry("b", "10.0.0.1"));
  folder.write("sub/deep/c.yaml", entry("c", "10.0.0.1"));
  Watched source(folder);

  fs::remove_all(folder / "sub");

  EXPECT_TRUE(source.becomes([](const Objects& objects) { return objects.entries.size() == 1; }));
  EXPECT_EQ(address(*source.now(), "a"), "10.0.0.1");
}

TEST(Subfolder, RenamedKeepsItsObjectsAndIsWatchedByItsNewName) {
  TempFolder folder;
  folder.write("old/deep/a.yaml", entry("a", "10.0.0.1"));
  Watched source(folder);

  fs::rename(folder / "old", folder / "new");
  ASSERT_TRUE(source.becomes([&](const Objects& objects) {
    return objects.entries.at(key("a")).position.file == folder / "new/deep/a.yaml";
  }));
  folder.replace("new/deep/a.yaml", entry("a", "10.0.0.2"));

  EXPECT_TRUE(source.becomes("a", "10.0.0.2"));
  EXPECT_FALSE(source.was_ever_without("a"));
}

TEST(Root, ThatIsGoneKeepsItsObjectsAndSaysSo) {
  TempFolder folder;
  folder.write("config/a.yaml", entry("a", "10.0.0.1"));
  folder.write("config/sub/b.yaml", entry("b", "10.0.0.1"));
  Watched source(FolderOptions{.folders = {folder / "config"}, .vanished = 1s, .returned = 500ms});

  fs::remove_all(folder / "config");
  ASSERT_TRUE(source.becomes([](const Objects& objects) { return !objects.nameless.empty(); }));
  EXPECT_THAT(nameless(*source.now()), HasSubstr("config"));
  EXPECT_THAT(nameless(*source.now()),
              HasSubstr("is gone; what its 2 files had goes on until the folder is back"));
  EXPECT_EQ(address(*source.now(), "a"), "10.0.0.1");

  folder.write("config/a.yaml", entry("a", "10.0.0.2"));
  EXPECT_TRUE(source.becomes("a", "10.0.0.2"));
  EXPECT_TRUE(source.becomes("b", "")) << "it did not come back with the folder";
  EXPECT_EQ(nameless(*source.now()), "");
  EXPECT_FALSE(source.was_ever_without("a"));

  folder.replace("config/a.yaml", entry("a", "10.0.0.3"));
  EXPECT_TRUE(source.becomes("a", "10.0.0.3")) << "and is watched as before";
}

TEST(Root, ThatComesBackAsItWasIsAsItWas) {
  TempFolder folder;
  folder.write("config/a.yaml", entry("a", "10.0.0.1"));
  Watched source(FolderOptions{.folders = {folder / "config"}, .returned = 50ms});

  fs::rename(folder / "config", folder / "aside");
  ASSERT_TRUE(source.becomes([](const Objects& objects) { return !objects.nameless.empty(); }));
  fs::rename(folder / "aside", folder / "config");
  ASSERT_TRUE(source.becomes([](const Objects& objects) { return objects.nameless.empty(); }));
  folder.replace("config/b.yaml", entry("a", "10.0.0.2"));

  EXPECT_TRUE(source.becomes([](const Objects& objects) { return !errors(objects, "a").empty(); }));
  EXPECT_EQ(address(*source.now(), "a"), "10.0.0.1") << "a.yaml is there, and comes first";
}

TEST(Root, ThatIsGoneWithTheFoldersAboveItIsFoundAgain) {
  TempFolder folder;
  folder.write("above/config/a.yaml", entry("a", "10.0.0.1"));
  Watched source(FolderOptions{.folders = {folder / "above/config"}, .poll = 10min});

  fs::rename(folder / "above", folder / "elsewhere");
  ASSERT_TRUE(source.becomes([](const Objects& objects) { return !objects.nameless.empty(); }));
  folder.write("above/config/a.yaml", entry("a", "10.0.0.2"));

  EXPECT_TRUE(source.becomes("a", "10.0.0.2"));
  EXPECT_FALSE(source.was_ever_without("a"));
}

TEST(Root, ThatIsALinkFollowsIt) {
  TempFolder folder;
  folder.write("v1/a.yaml", entry("a", "10.0.0.1"));
  folder.write("v2/a.yaml", entry("a", "10.0.0.2"));
  fs::create_directory_symlink("v1", folder / "current");
  Watched source(FolderOptions{.folders = {folder / "current"}});
  ASSERT_EQ(address(*source.now(), "a"), "10.0.0.1");

  fs::create_directory_symlink("v2", folder / "next");
  fs::rename(folder / "next", folder / "current");

  EXPECT_TRUE(source.becomes("a", "10.0.0.2"));
  EXPECT_FALSE(source.was_ever_without("a"));
}

// As the kubelet does it: files are links into `..data`, a link that is swapped.
TEST(ConfigMap, MountedIsSwappedAsAWhole) {
  TempFolder folder;
  folder.write("..2026_1/a.yaml", entry("a", "10.0.0.1"));
  folder.write("..2026_1/b.yaml", entry("b", "10.0.0.1"));
  fs::create_directory_symlink("..2026_1", folder / "..data");
  fs::create_symlink("..data/a.yaml", folder / "a.yaml");
  fs::create_symlink("..data/b.yaml", folder / "b.yaml");
  Watched source(folder);
  EXPECT_EQ(source.now()->entries.at(key("a")).position.file, folder / "a.yaml");

  for (int turn = 2; turn < 6; ++turn) {
    const std::string address = fmt::format("10.0.0.{}", turn),
                      data = fmt::format("..2026_{}", turn);
    folder.write(data + "/a.yaml", entry("a", address));
    folder.write(data + "/b.yaml", entry("b", address));
    fs::create_directory_symlink(data, folder / "..data_tmp");
    fs::rename(folder / "..data_tmp", folder / "..data");
    fs::remove_all(folder / fmt::format("..2026_{}", turn - 1));
    EXPECT_TRUE(source.becomes("a", address));
    EXPECT_TRUE(source.becomes("b", address));
  }
  EXPECT_FALSE(source.was_ever_without("a"));
  EXPECT_EQ(nameless(*source.now()), "");
}

TEST(ConfigMap, WithFoldersInsideIsReadByItsVisibleNames) {
  TempFolder folder;
  folder.write("..2026_1/sub/a.yaml", entry("a", "10.0.0.1"));
  fs::create_directory_symlink("..2026_1", folder / "..data");
  fs::create_directory_symlink("..data/sub", folder / "sub");
  Watched source(folder);
  ASSERT_EQ(source.now()->entries.at(key("a")).position.file, folder / "sub/a.yaml");

  folder.write("..2026_2/sub/a.yaml", entry("a", "10.0.0.2"));
  fs::create_directory_symlink("..2026_2", folder / "..data_tmp");
  fs::rename(folder / "..data_tmp", folder / "..data");

  EXPECT_TRUE(source.becomes("a", "10.0.0.2"));
}

TEST(Watching, ThatMissesEventsReadsTheFolderAgain) {
  TempFolder folder;
  folder.write("a.yaml", entry("a", "10.0.0.1"));
  Watched source(FolderOptions{.folders = {folder.path()}, .rescan = 10min});

  source.hold(true);
  folder.replace("b.yaml", entry("b", "10.0.0.1"));
  ASSERT_TRUE(source.becomes("b", "10.0.0.1"));
  // More than the kernel remembers (fs.inotify.max_queued_events), then what must not be missed.
  std::size_t limit = 16'384;
  std::ifstream("/proc/sys/fs/inotify/max_queued_events") >> limit;
  if (limit > 200'000) GTEST_SKIP() << "the kernel remembers " << limit << " events";
  const std::string names[] = {folder / "x.txt", folder / "y.txt"};
  for (std::size_t i = 0; i < limit; ++i)
    ::close(::open(names[i % 2].c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  folder.replace("a.yaml", entry("a", "10.0.0.2"));
  folder.write("sub/c.yaml", entry("c", "10.0.0.2"));
  source.hold(false);

  EXPECT_TRUE(source.becomes("a", "10.0.0.2"));
  EXPECT_TRUE(source.becomes("c", "10.0.0.2"));
}

TEST(Watching, WhereTheLimitIsReachedLooksByItselfAndSaysSo) {
  TempFolder folder;
  folder.write("a.yaml", entry("a", "10.0.0.1"));
  folder.write("sub/b.yaml", entry("b", "10.0.0.1"));
  Watched source(FolderOptions{.folders = {folder.path()}, .poll = 20ms, .watches_max = 1});
  EXPECT_THAT(nameless(*source.now()),
              HasSubstr("is not watched as a whole (the limit of 1 watched folders is reached)"));

  folder.replace("sub/b.yaml", entry("b", "10.0.0.2"));
  EXPECT_TRUE(source.becomes("b", "10.0.0.2"));
  // The same size within the same tick of the clock: the times alone do not show it.
  folder.write("sub/b.yaml", entry("b", "10.0.0.3"));
  EXPECT_TRUE(source.becomes("b", "10.0.0.3"));
  fs::remove(folder / "sub/b.yaml");
  EXPECT_TRUE(source.becomes("b", ""));
}

TEST(Watching, EndsWhileThereIsMuchToDo) {
  TempFolder folder;
  for (int round = 0; round < 5; ++round) {
    Watched source(folder);
    for (int i = 0; i < 50; ++i)
      folder.write(fmt::format("r{}/e{}.yaml", round, i), entry(fmt::format("e{}", i), "10.0.0.1"));
  }
}

}  // namespace
}  // namespace graymesh::source
