#include "release/store/store.h"

#include <gtest/gtest.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>

namespace graymesh::release {
namespace {

class StoreTest : public ::testing::Test {
 protected:
  StoreTest() {
    std::string name = (std::filesystem::temp_directory_path() / "graymesh-store-XXXXXX").string();
    folder_ = mkdtemp(name.data());
  }
  ~StoreTest() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<Store> open() {
    auto store = Store::open(file());
    EXPECT_TRUE(store) << store.error().message;
    return store ? std::move(*store) : nullptr;
  }
  std::filesystem::path file() const { return folder_ / "store.db"; }

  std::filesystem::path folder_;
};

TEST_F(StoreTest, WhatWasCommittedIsThereAgain) {
  {
    auto store = open();
    ASSERT_TRUE(store->commit({.documents = {{"a", "1"}, {"b", "2"}},
                               .acts = {{.at_ms = 5,
                                         .who = "ann",
                                         .verb = "start",
                                         .namespace_ = "fe-pre",
                                         .object = "release/1"}},
                               .replies = {{"key", "answer"}}}));
    ASSERT_TRUE(store->commit({.documents = {{"a", std::nullopt}, {"b", "3"}}}));
  }
  auto store = open();
  EXPECT_EQ(*store->documents(), (std::map<std::string, std::string>{{"b", "3"}}));
  const auto acts = store->acts({.namespace_ = "fe-pre"});
  ASSERT_EQ(acts->size(), 1u);
  EXPECT_EQ(acts->at(0).who, "ann");
  EXPECT_TRUE(store->acts({.namespace_ = "fe-online"})->empty());
  EXPECT_EQ(*store->reply("key"), "answer");
  EXPECT_EQ(*store->reply("other"), std::nullopt);
}

TEST_F(StoreTest, ActsComeNewestFirstAndByPages) {
  auto store = open();
  for (int i = 1; i <= 5; ++i) ASSERT_TRUE(store->commit({.acts = {{.verb = std::to_string(i)}}}));
  const auto first = store->acts({.limit = 2});
  ASSERT_EQ(first->size(), 2u);
  EXPECT_EQ(first->at(0).verb, "5");
  const auto second = store->acts({.before = first->at(1).id, .limit = 2});
  EXPECT_EQ(second->at(0).verb, "3");
}

TEST_F(StoreTest, AFileOfSomethingElseIsRefusedByName) {
  std::ofstream(file()) << std::string(4096, 'x');
  const auto store = Store::open(file());
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, Code::data_loss);
  EXPECT_NE(store.error().message.find(file().string()), std::string::npos);
}

TEST_F(StoreTest, ADamagedFileIsToldAndNotUsed) {
  {
    auto store = open();
    Batch batch;
    for (int i = 0; i < 500; ++i)
      batch.documents["key" + std::to_string(i)] = std::string(200, 'v');
    ASSERT_TRUE(store->commit(batch));
  }
  std::fstream damage(file(), std::ios::in | std::ios::out | std::ios::binary);
  damage.seekp(std::streamoff{4096} * 3);
  damage << std::string(8192, '\xff');
  damage.close();
  const auto store = Store::open(file());
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, Code::data_loss) << store.error().message;
}

TEST_F(StoreTest, ASecondGraymeshdIsToldAtOnce) {
  auto first = open();
  const auto second = Store::open(file());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::unavailable);
  EXPECT_NE(second.error().message.find("another graymeshd has it"), std::string::npos);
}

TEST_F(StoreTest, AFolderThatIsNotThereIsToldByName) {
  const auto store = Store::open(folder_ / "nowhere" / "store.db");
  ASSERT_FALSE(store);
  EXPECT_NE(store.error().message.find("nowhere/store.db: cannot be opened"), std::string::npos);
}

// A child commits numbers one by one and tells each after commit() has returned; it is killed at a
// random instruction. What it told must be there.
TEST_F(StoreTest, KilledAtAnyInstructionNothingAcknowledgedIsLost) {
  std::srand(7);
  int acknowledged = -1;
  for (int round = 0; round < 25; ++round) {
    int pipe_ends[2];
    ASSERT_EQ(pipe(pipe_ends), 0);
    const pid_t child = fork();
    if (child == 0) {
      close(pipe_ends[0]);
      auto store = Store::open(file());
      if (!store) _exit(1);
      for (int number = acknowledged + 1;; ++number) {
        Batch batch;
        batch.documents["number"] = std::to_string(number);
        batch.documents["twin"] = std::to_string(number);
        if (!(*store)->commit(batch)) _exit(2);
        if (write(pipe_ends[1], &number, sizeof number) != sizeof number) _exit(3);
      }
    }
    close(pipe_ends[1]);
    int number = 0;
    // Every other one is killed while it commits, the others wherever they are, opening it too.
    if (round % 2 == 1) {
      ASSERT_EQ(read(pipe_ends[0], &number, sizeof number), static_cast<ssize_t>(sizeof number));
      acknowledged = number;
    }
    usleep(static_cast<useconds_t>(std::rand() % 20000));
    kill(child, SIGKILL);
    while (read(pipe_ends[0], &number, sizeof number) == sizeof number) acknowledged = number;
    close(pipe_ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself with " << WEXITSTATUS(status);
    if (acknowledged < 0) continue;
    auto store = open();
    const auto documents = *store->documents();
    EXPECT_GE(std::stoi(documents.at("number")), acknowledged);
    EXPECT_EQ(documents.at("number"), documents.at("twin"));
    acknowledged = std::stoi(documents.at("number"));
  }
  EXPECT_GE(acknowledged, 11);  // twelve rounds have committed at least once
}

// The child's calls that change a file, one by one: it is killed on its way into each of them in
// turn, so between any two writes of a commit. What it told must be there, whole.
bool changes_files(long call) {
  for (const long known : {SYS_write, SYS_pwrite64, SYS_pwritev, SYS_fsync, SYS_fdatasync,
                           SYS_ftruncate, SYS_fallocate, SYS_unlink, SYS_unlinkat, SYS_rename}) {
    if (call == known) return true;
  }
  return false;
}

// Commits until the end and tells each by a byte.
[[noreturn]] void commit_and_tell(const std::filesystem::path& file, int told) {
  ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
  std::raise(SIGSTOP);
  auto store = Store::open(file);
  if (!store) _exit(1);
  for (char number = 1; number <= 3; ++number) {
    Batch batch;
    batch.documents["number"] = batch.documents["twin"] = std::to_string(number);
    batch.acts.push_back({.verb = std::to_string(number)});
    batch.replies["key"] = std::to_string(number);
    if (!(*store)->commit(batch)) _exit(2);
    if (write(told, &number, 1) != 1) _exit(3);
  }
  _exit(0);
}

// False: it came to its end before the call of that number.
bool killed_at(pid_t child, int number) {
  int status = 0;
  waitpid(child, &status, 0);  // its SIGSTOP
  ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
  for (int seen = 0;;) {
    ptrace(PTRACE_SYSCALL, child, nullptr, nullptr);
    waitpid(child, &status, 0);
    if (!WIFSTOPPED(status)) return false;
    if (WSTOPSIG(status) != (SIGTRAP | 0x80)) continue;
    __ptrace_syscall_info info{};
    ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof info, &info);
    if (info.op != PTRACE_SYSCALL_INFO_ENTRY || !changes_files(static_cast<long>(info.entry.nr)) ||
        ++seen < number)
      continue;
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    return true;
  }
}

TEST_F(StoreTest, KilledBetweenAnyTwoWritesNothingAcknowledgedIsLost) {
  int kills = 0;
  for (bool more = true; more; kills += more ? 1 : 0) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directory(folder_);
    int pipe_ends[2];
    ASSERT_EQ(pipe(pipe_ends), 0);
    const pid_t child = fork();
    if (child == 0) commit_and_tell(file(), pipe_ends[1]);
    close(pipe_ends[1]);
    more = killed_at(child, kills + 1);
    char told = 0;
    for (char number = 0; read(pipe_ends[0], &number, 1) == 1;) told = number;
    close(pipe_ends[0]);
    SCOPED_TRACE("killed at write " + std::to_string(kills + 1));
    auto store = open();
    ASSERT_TRUE(store);
    auto documents = *store->documents();
    const int kept = documents.empty() ? 0 : std::stoi(documents.at("number"));
    EXPECT_TRUE(kept == told || kept == told + 1) << kept << " of " << int{told};
    if (kept == 0) continue;
    EXPECT_EQ(documents.at("twin"), documents.at("number"));
    EXPECT_EQ(*store->reply("key"), documents.at("number"));
    EXPECT_EQ(store->acts({})->size(), static_cast<std::size_t>(kept));
    ASSERT_TRUE(store->commit({.documents = {{"after", "it goes on"}}}));
  }
  // Three commits, each a frame or more and an fsync, and the making of the tables.
  EXPECT_GE(kills, 12);
}

// A file that may not grow stands for a full disk: the same short write, EFBIG for ENOSPC.
TEST_F(StoreTest, AFullDiskIsAnErrorAndTheLastStateStays) {
  const pid_t child = fork();
  if (child == 0) {
    auto store = Store::open(file());
    if (!store || !(*store)->commit({.documents = {{"a", "before"}}})) _exit(1);
    std::signal(SIGXFSZ, SIG_IGN);
    const rlim_t bytes_max = rlim_t{128} << 10;
    const rlimit limit{bytes_max, bytes_max};
    setrlimit(RLIMIT_FSIZE, &limit);
    const Status full = (*store)->commit({.documents = {{"a", std::string(1 << 20, 'x')}}});
    if (full || full.error().code != Code::unavailable) _exit(2);
    if ((*store)->documents()->at("a") != "before") _exit(3);
    _exit((*store)->commit({.documents = {{"b", "small"}}}) ? 0 : 4);
  }
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  auto store = open();
  EXPECT_EQ(store->documents()->at("a"), "before");
  EXPECT_EQ(store->documents()->at("b"), "small");
}

}  // namespace
}  // namespace graymesh::release
