#include "control/record/segment.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "base/file.h"
#include "control/record/files.h"

namespace graymesh::record {
namespace {

using resource::Type;

const std::vector<Entry> every_kind = {
    Body{Type::route, "80", 0x0123456789abcdef, {"VirtualService a/b", "Service a/c"}, 7, "delta"},
    Batch{Type::endpoints, {5, 3, 4000000000}, {"gone", ""}, 12345},
    Set{{0, 1, 2, 77}},
    Opened{1, -5, true, "id", "web-0", "shop", "127.1.2.3", "ipv4:1", "envoy", 1, true},
    Sent{9, {{1, 100, 103}, {2, 101, {}}, {7, 99, 99}}},
    Acked{Type::listener, {{3, 1764353812345, {}}}},
    Refused{Type::cluster, "no", {{4, 5, {}}}},
    Dropped{Type::endpoints, {"x"}, {{4, 6, {}}}},
    Holds{Type::cluster, {1, 0}, {}, {}, {"claimed"}, {}, {{4, 6, {}}, {5, 6, {}}}},
    Holds{Type::virtual_host, {1, 0}, {2}, {9, 8}, {"claimed"}, {"no"}, {{4, 6, {}}}},
    Holds{Type::route, {}, {}, {}, {}, {"no"}, {{4, 6, {}}}},
    Closed{{{4, 9, {}}}},
    Gap{77, 12},
    Gone{"id", "web-0", "shop", "127.1.2.3", 2, 50, 60}};

class SegmentTest : public testing::Test {
 public:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "graymesh-segment-XXXXXX";
    folder = ::mkdtemp(pattern.data());
    file = file_of(folder, 1000);
    auto writer = SegmentWriter::create(file, {.begun = 1000, .boot = 42});
    ASSERT_TRUE(writer);
    ASSERT_TRUE(writer->append("first"));
    ASSERT_TRUE(writer->append("second"));
    ASSERT_TRUE(writer->append("third"));
  }
  void TearDown() override { std::filesystem::remove_all(folder); }

  // What can be read, and the fault.
  std::string read() {
    auto reader = SegmentReader::open(file);
    if (!reader) return reader.error().message;
    std::string all;
    for (;;) {
      const auto block = reader->next();
      if (!block)
        return all + (reader->torn() ? "torn: " : "damaged: ") +
               block.error().message.substr(block.error().message.find("byte"));
      if (!*block) return all;
      all += **block + " ";
    }
  }
  void change(std::size_t at, char to) {
    auto bytes = *read_file(file);
    bytes[at] = to;
    ASSERT_TRUE(write_file(file, bytes));
  }

  std::filesystem::path folder, file;
};

TEST(Entries, OfEveryKindComeBackAsTheyWere) {
  const auto read = decode(encode(every_kind));
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, every_kind);
}

TEST(Entries, ThatEndMidwayAreRefused) {
  const auto bytes = encode({every_kind.back()});
  for (std::size_t size = 1; size < bytes.size(); ++size)
    EXPECT_FALSE(decode(std::string_view(bytes).substr(0, size))) << size;
  EXPECT_FALSE(decode("\x63"));
}

TEST_F(SegmentTest, IsReadAsItWasWritten) {
  EXPECT_EQ(read(), "first second third ");
  EXPECT_EQ(SegmentReader::open(file)->head(), (SegmentHead{1000, 42}));
}

TEST_F(SegmentTest, TornAtItsEndKeepsAllWholeBlocks) {
  const auto bytes = *read_file(file);
  std::filesystem::resize_file(file, bytes.size() - 1);
  EXPECT_TRUE(read().starts_with("first second torn: byte ")) << read();
  change(bytes.size() - 2, '!');  // written in part: the length is there, the bytes are not
  EXPECT_TRUE(read().starts_with("first second torn: byte ")) << read();
}

TEST_F(SegmentTest, DamagedInTheMiddleSaysWhere) {
  change(34 + 12 + 2, '!');
  EXPECT_EQ(read(), "damaged: byte 34 of " + std::to_string(std::filesystem::file_size(file)) +
                        ": the checksum of a block does not match");
}

TEST_F(SegmentTest, OfAnotherKindIsRefused) {
  change(0, 'G');
  EXPECT_EQ(read(), file.string() + ": byte 0 of " +
                        std::to_string(std::filesystem::file_size(file)) +
                        ": is no file of a record: it does not begin with \"graymesh record 1\"");
}

TEST_F(SegmentTest, ThatCannotBeBegunLeavesNoFile) {
  std::signal(SIGXFSZ, SIG_IGN);  // as a full disk: the first bytes fit, the others do not
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit little{.rlim_cur = 10, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &little), 0);
  const auto writer = SegmentWriter::create(file_of(folder, 2000), {.begun = 2000, .boot = 42});
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_FALSE(writer);
  EXPECT_FALSE(std::filesystem::exists(file_of(folder, 2000)));
}

TEST_F(SegmentTest, TheOldestGoFirstAndTheLastNever) {
  for (const Milliseconds begun : {2000, 3000}) {
    ASSERT_TRUE(write_file(file_of(folder, begun), std::string(100, 'x')));
  }
  ASSERT_TRUE(write_file(folder / "notes.txt", "mine"));
  const auto size = std::filesystem::file_size(file);
  const auto begun = [](const Result<std::vector<File>>& files) {
    std::vector<Milliseconds> all;
    for (const auto& it : *files) all.push_back(it.key);
    return all;
  };
  using namespace std::chrono_literals;
  using All = std::vector<Milliseconds>;
  EXPECT_EQ(begun(trim(folder, 200 + size, 1h, 4000)), (All{1000, 2000, 3000}));
  EXPECT_EQ(begun(trim(folder, 199 + size, 1h, 4000)), (All{2000, 3000}));
  EXPECT_EQ(begun(trim(folder, 1000, 1s, 4001)), (All{3000}));
  EXPECT_EQ(begun(trim(folder, 0, 0s, 9000)), (All{3000}));
  EXPECT_TRUE(std::filesystem::exists(folder / "notes.txt"));
}

}  // namespace
}  // namespace graymesh::record
