// Limits where a cgroup can be made, played by plain folders, and where none can.
#include "release/workload/limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "base/file.h"

namespace graymesh::workload {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;

class LimitsOfAnApplication : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "graymesh-limits-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    parent_ = pattern;
  }
  void TearDown() override { fs::remove_all(parent_); }

  fs::path parent_;
  Spec spec_ = {.namespace_ = "shop",
                .name = "web-1",
                .address = "127.1.1.1",
                .pod = {.memory_bytes_max = 1000, .cpus_max = 1.5}};
};

TEST_F(LimitsOfAnApplication, AreACgroupsWhereItsParentHasTheControllers) {
  std::ofstream(parent_ / "cgroup.controllers") << "cpu memory pids\n";
  std::ofstream(parent_ / "cgroup.subtree_control") << "cpu\n";
  const auto limits = limit(spec_, {parent_ / "none", parent_});
  EXPECT_EQ(limits.cgroup, parent_ / "graymesh.shop.web-1.127.1.1.1");
  EXPECT_EQ(limits.address_space_max, 0U);
  EXPECT_EQ(read_file(limits.cgroup / "memory.max").value_or(""), "1000");
  EXPECT_EQ(read_file(limits.cgroup / "cpu.max").value_or(""), "150000 100000");
}

TEST_F(LimitsOfAnApplication, AreOfTheAddressSpaceElseAndSayWhatIsMissing) {
  std::ofstream(parent_ / "cgroup.controllers") << "pids\n";
  const auto limits = limit(spec_, {parent_});
  EXPECT_EQ(limits.cgroup, "");
  EXPECT_EQ(limits.address_space_max, 1000U);
  EXPECT_EQ(limits.text,
            "address space is limited to 1000 bytes (RLIMIT_AS); cpu is not limited: no cgroup "
            "can be made");
}

TEST_F(LimitsOfAnApplication, AreNoneWhereNoneAreAskedFor) {
  spec_.pod = {};
  EXPECT_EQ(limit(spec_, {parent_}).text, "");
}

TEST_F(LimitsOfAnApplication, AreLookedForBesideOurOwnCgroupFirst) {
  const char* mounts = "proc /proc proc rw 0 0\ncgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n";
  EXPECT_THAT(
      cgroup_parents(mounts, "4:memory:/x\n0::/user.slice/graymeshd.service\n"),
      ElementsAre("/sys/fs/cgroup/user.slice", "/sys/fs/cgroup/user.slice/graymeshd.service"));
  EXPECT_THAT(cgroup_parents(mounts, "0::/\n"), ElementsAre("/sys/fs/cgroup/"));
  EXPECT_THAT(cgroup_parents("proc /proc proc rw 0 0\n", "0::/\n"), IsEmpty());
}

}  // namespace
}  // namespace graymesh::workload
