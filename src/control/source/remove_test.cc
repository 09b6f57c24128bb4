// Documents taken out of their files, and what both kinds of edits are planned and called by.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/source/edit.h"
#include "control/source/source.h"
#include "control/source/testing.h"

namespace graymesh::source {
namespace {

using namespace testing;
using ::testing::HasSubstr;

TEST(Remove, TakesOneDocumentOutAndLeavesTheOthers) {
  TempFolder folder;
  folder.write("all.yaml", commented);
  Watched source(folder);

  const Status removed = source.folder->remove(key("b"));

  ASSERT_TRUE(removed) << removed.error().message;
  std::string expected = commented;
  const auto begin = expected.find("--- # the second"), end = expected.find("---\n{");
  expected.erase(begin, end - begin);
  EXPECT_EQ(folder.read("all.yaml"), expected);
  EXPECT_TRUE(source.becomes("b", ""));
  EXPECT_EQ(address(*source.now(), "c"), "10.0.0.3");
}

TEST(Remove, OfTheFirstAndOfTheLastLeavesAGoodFile) {
  TempFolder folder;
  folder.write("abc.yaml", entry("a", "10.0.0.1") + "---\n" + entry("b", "10.0.0.2") + "---\n" +
                               entry("c", "10.0.0.3"));
  Watched source(folder);

  ASSERT_TRUE(source.folder->remove(key("a")));
  EXPECT_EQ(folder.read("abc.yaml"), entry("b", "10.0.0.2") + "---\n" + entry("c", "10.0.0.3"));
  ASSERT_TRUE(source.folder->remove(key("c")));
  EXPECT_EQ(folder.read("abc.yaml"), entry("b", "10.0.0.2"));
  EXPECT_TRUE(source.becomes([](const Objects& objects) { return objects.entries.size() == 1; }));
}

TEST(Remove, OfTheOnlyDocumentDeletesTheFileAndIsBelievedAtOnce) {
  TempFolder folder;
  folder.write("a.yaml", "# about a\n" + entry("a", "10.0.0.1"));
  Watched source(FolderOptions{.folders = {folder.path()}, .vanished = 10min});

  ASSERT_TRUE(source.folder->remove(key("a")));

  EXPECT_FALSE(fs::exists(folder / "a.yaml"));
  EXPECT_TRUE(source.becomes("a", ""));
}

TEST(Remove, OfARefusedDocumentWorks) {
  TempFolder folder;
  folder.write("a.yaml", entry("a", "10.0.0.1", "adress"));
  Watched source(folder);
  EXPECT_TRUE(source.folder->remove(key("a")));
  EXPECT_FALSE(fs::exists(folder / "a.yaml"));
}

TEST(Remove, OfWhatIsNotThereIsNotFound) {
  TempFolder folder;
  Watched source(folder);
  const Status removed = source.folder->remove(key("nobody"));
  ASSERT_FALSE(removed);
  EXPECT_EQ(removed.error().code, Code::not_found);
  EXPECT_THAT(removed.error().message, HasSubstr("WorkloadEntry shop/nobody"));
}

TEST(Plan, ThatIsOvertakenByAnotherWriterIsNotCarriedOut) {
  TempFolder folder;
  folder.write("a.yaml", entry("a", "10.0.0.1"));
  Watched source(folder);
  const auto plan = plan_apply(*source.now(), entry("a", "10.0.0.2"), folder.path().string());
  ASSERT_TRUE(plan);
  folder.write("a.yaml", entry("a", "10.0.0.9"));

  const Status status = carry_out(*plan);

  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::aborted);
  EXPECT_EQ(folder.read("a.yaml"), entry("a", "10.0.0.9"));
}

TEST(FileName, IsMadeOfPlainLettersAndFits) {
  using model::Kind;
  EXPECT_EQ(file_name_of({Kind::virtual_service, "fe-pre", "web"}),
            "virtualservice-fe-pre-web.yaml");
  EXPECT_EQ(file_name_of({Kind::namespace_, "", "fe-pre"}), "namespace-fe-pre.yaml");
  EXPECT_EQ(file_name_of({Kind::endpoint_slice, "shop", "endpoints/web"}),
            "endpointslice-shop-endpoints-web.yaml");
  EXPECT_EQ(file_name_of({Kind::node, "", "../../etc/passwd"}), "node-..-..-etc-passwd.yaml");
  EXPECT_LE(
      file_name_of({Kind::virtual_service, std::string(63, 'n'), std::string(253, 'x')}).size(),
      210u);
}

}  // namespace
}  // namespace graymesh::source
