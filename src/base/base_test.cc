#include <gtest/gtest.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/published.h"
#include "base/result.h"

namespace graymesh {
namespace {

Result<int> half(int n) {
  if (n % 2 != 0) return Error{Code::invalid_argument, "odd"};
  return n / 2;
}

Status even(int n) {
  (void)TRY(half(n));
  return {};
}

Result<int> quarter(int n) {
  TRY(even(n));
  const int once = TRY(half(n));
  return half(once);
}

TEST(Result, TryPassesValuesOnAndErrorsUp) {
  EXPECT_EQ(quarter(12).value(), 3);
  EXPECT_EQ(quarter(6).error(), (Error{Code::invalid_argument, "odd"}));
  EXPECT_EQ(quarter(6).value_or(-1), -1);
  EXPECT_FALSE(even(1).has_value());
  EXPECT_EQ(name_of(even(1).error().code), "INVALID_ARGUMENT");
}

TEST(Hash, IsTheSameEverywhere) {
  // Values of the reference XXH3: a change here would re-send everything to every proxy.
  EXPECT_EQ(to_hex(hash64("")), "2d06800538d394c2");
  EXPECT_NE(hash64("a"), hash64("b"));
  EXPECT_NE(hash64("a", 1), hash64("a", 2));
}

class Files : public testing::Test {
 protected:
  Files() {
    std::string pattern = testing::TempDir() + "graymesh-base-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
  }
  ~Files() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path folder_;
};

TEST_F(Files, AreReadAsTheyWereWritten) {
  const std::string bytes("a\0b\n", 4);
  ASSERT_TRUE(write_file(folder_ / "x", bytes));
  EXPECT_EQ(read_file(folder_ / "x").value(), bytes);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1) << "no temporary";
}

TEST_F(Files, ThatCannotBeReadSayWhy) {
  EXPECT_EQ(read_file(folder_ / "none").error().code, Code::not_found);
  EXPECT_EQ(read_file(folder_).error().code, Code::failed_precondition);
  ASSERT_TRUE(write_file(folder_ / "x", "12345"));
  EXPECT_EQ(read_file(folder_ / "x", 4).error().code, Code::resource_exhausted);
  EXPECT_EQ(write_file(folder_ / "no" / "x", "1").error().code, Code::not_found);
}

TEST(Published, ReadersKeepWhatTheyTook) {
  Published<int> number;
  EXPECT_EQ(number.get(), nullptr);
  number.publish(std::make_shared<const int>(1));
  const auto taken = number.get();
  number.publish(std::make_shared<const int>(2));
  EXPECT_EQ(*taken, 1);
  EXPECT_EQ(*number.get(), 2);
}

TEST(FakeClock, MovesOnlyWhenTold) {
  FakeClock clock;
  const auto before = clock.now();
  EXPECT_EQ(clock.now(), before);
  clock.advance(std::chrono::seconds(60));
  EXPECT_EQ(clock.now() - before, std::chrono::seconds(60));
}

}  // namespace
}  // namespace graymesh
