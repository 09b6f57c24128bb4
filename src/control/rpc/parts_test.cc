// The parts that need no connection: framing, headers, what is sent together, the mailbox.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>

#include "control/rpc/framing.h"
#include "control/rpc/headers.h"
#include "control/rpc/mailbox.h"
#include "control/rpc/output.h"

namespace graymesh::rpc {
namespace {

using namespace std::chrono_literals;

TEST(Framing, GivesMessagesWhenTheyAreWhole) {
  Framing framing;
  EXPECT_FALSE(framing.prefix());
  framing.add(std::string_view("\0\0\0\0", 4));
  EXPECT_FALSE(framing.prefix());
  framing.add(std::string_view("\3ab", 3));
  EXPECT_EQ(framing.prefix()->bytes, 3u);
  EXPECT_FALSE(framing.take());
  framing.add(std::string_view("c\1\1\2\3\4", 6));
  EXPECT_EQ(framing.take(), "abc");
  EXPECT_EQ(framing.held(), 5u);
  EXPECT_EQ(framing.prefix()->flag, compressed);
  EXPECT_EQ(framing.prefix()->bytes, 0x01020304u);
}

TEST(Framing, PrefixIsReadAsItIsWritten) {
  for (const std::size_t size : {0u, 1u, 255u, 65'536u, 0xffffffffu}) {
    Framing framing;
    const auto prefix = prefix_of(size);
    framing.add({prefix.data(), prefix.size()});
    EXPECT_EQ(framing.prefix()->bytes, size);
    EXPECT_EQ(framing.prefix()->flag, not_compressed);
  }
}

TEST(Timeout, HasAtMostEightDigitsAndAUnit) {
  EXPECT_EQ(parse_timeout("1H"), 1h);
  EXPECT_EQ(parse_timeout("2M"), 2min);
  EXPECT_EQ(parse_timeout("3S"), 3s);
  EXPECT_EQ(parse_timeout("4m"), 4ms);
  EXPECT_EQ(parse_timeout("5u"), 5us);
  EXPECT_EQ(parse_timeout("99999999n"), 99'999'999ns);
  EXPECT_EQ(parse_timeout("99999999H"), std::chrono::hours(365 * 24)) << "more than time can tell";
  for (const char* none : {"", "H", "1", "1s", "-1S", "+1S", "1.5S", "123456789S", "1 S", "0x1S"})
    EXPECT_FALSE(parse_timeout(none)) << none;
}

TEST(GrpcMessage, IsPercentEncodedAndBounded) {
  EXPECT_EQ(percent_encoded("a b~"), "a b~");
  EXPECT_EQ(percent_encoded("100%\t\x7f\xff"), "100%25%09%7F%FF");
  EXPECT_LE(percent_encoded(std::string(10'000, '\n')).size(), 4096u);
  EXPECT_LE(percent_encoded(std::string(10'000, 'x')).size(), 4096u);
}

TEST(Output, SendsAllThatItWasGivenInItsOrderThoughTheSocketTakesPartsOfIt) {
  std::array<int, 2> pair{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair.data()), 0);
  const Descriptor left(pair[0]), right(pair[1]);
  Output output;
  std::string expected;
  const auto large = std::make_shared<const std::string>(100'000, 'l');
  for (int i = 0; i < 300; ++i) {
    const std::string small = std::to_string(i);
    output.add(std::string_view(small));
    output.add(Slice{small, nullptr});
    expected += small + small;
    if (i % 20 != 0) continue;
    output.add(Slice{*large, large});
    expected += *large;
  }
  EXPECT_EQ(large.use_count(), 16);
  std::string got;
  std::array<char, 10'007> bytes;
  for (auto sent = Output::Sent::some; got.size() < expected.size();) {
    if (sent == Output::Sent::some) sent = output.send(left.get());
    ASSERT_NE(sent, Output::Sent::failed);
    const auto count = ::recv(right.get(), bytes.data(), bytes.size(), 0);
    if (count > 0) got.append(bytes.data(), static_cast<std::size_t>(count));
  }
  EXPECT_TRUE(got == expected);
  EXPECT_TRUE(output.empty());
  EXPECT_EQ(large.use_count(), 1);
}

TEST(Output, FailsWhereNobodyReadsAnyMore) {
  std::array<int, 2> pair{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()), 0);
  const Descriptor left(pair[0]);
  ::close(pair[1]);
  Output output;
  output.add(std::string_view("x"));
  EXPECT_EQ(output.send(left.get()), Output::Sent::failed);
}

TEST(Mailbox, RingsOnceWhenItsOwnerSleeps) {
  Mailbox mailbox;
  Mailbox::Mail mail;
  const auto rings = [&] {
    std::uint64_t count = 0;
    return ::read(mailbox.bell(), &count, sizeof count) > 0 ? count : 0;
  };
  mailbox.close();
  EXPECT_EQ(rings(), 0u) << "it is awake, and will look";
  EXPECT_TRUE(mailbox.take(mail, true));
  EXPECT_TRUE(mail.close);
  mail = {};
  EXPECT_FALSE(mailbox.take(mail, true));
  mailbox.close();
  mailbox.stop();
  EXPECT_EQ(rings(), 1u);
  EXPECT_TRUE(mailbox.take(mail, true));
  EXPECT_TRUE(mail.stop);
  mail = {};
  EXPECT_FALSE(mailbox.take(mail, true));
  mailbox.wake();
  mailbox.close();
  EXPECT_EQ(rings(), 0u);
}

TEST(Mailbox, RingsOnceForAllThatIsAskedTogetherAndKeepsItsOrder) {
  const auto peer = std::make_shared<Peer>("x");
  std::array<std::shared_ptr<Mailbox>, 2> mailboxes;
  std::array<CallPtr, 2> calls;
  Mailbox::Mail mail;
  for (std::size_t i = 0; i < mailboxes.size(); ++i) {
    mailboxes[i] = std::make_shared<Mailbox>();
    calls[i] = std::make_shared<Call>("/t/M", peer, mailboxes[i], nullptr);
    EXPECT_FALSE(mailboxes[i]->take(mail, true));
  }
  {
    Together together;
    for (int i = 0; i < 3; ++i) {
      calls[0]->read();
      calls[1]->cancel();
      calls[0]->write({.head = std::to_string(i), .body = {}});
    }
    for (const auto& mailbox : mailboxes) EXPECT_FALSE(mailbox->take(mail, true)) << "not yet";
    std::thread([&] { calls[1]->read(); }).join();  // others' asks go at once
    EXPECT_TRUE(mailboxes[1]->take(mail, true));
    EXPECT_EQ(mail.asks.size(), 1u);
    mail = {};
    EXPECT_FALSE(mailboxes[1]->take(mail, true));
    std::uint64_t count = 0;
    EXPECT_GT(::read(mailboxes[1]->bell(), &count, sizeof count), 0);
  }
  for (const auto& mailbox : mailboxes) {
    std::uint64_t count = 0;
    EXPECT_GT(::read(mailbox->bell(), &count, sizeof count), 0);
    EXPECT_EQ(count, 1u);
  }
  ASSERT_TRUE(mailboxes[0]->take(mail, true));
  ASSERT_EQ(mail.asks.size(), 6u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(std::holds_alternative<Ask::Read>(mail.asks[2 * i].what));
    const auto* message = std::get_if<Message>(&mail.asks[2 * i + 1].what);
    ASSERT_TRUE(message);
    EXPECT_EQ(message->head, std::to_string(i));
  }
  mail = {};
  ASSERT_TRUE(mailboxes[1]->take(mail, true));
  EXPECT_EQ(mail.asks.size(), 3u);
  mail = {};
  calls[0]->read();
  EXPECT_TRUE(mailboxes[0]->take(mail, true)) << "at once again";
}

TEST(Mailbox, TakesWhatItsOwnThreadAsksWithoutABellAndBehindTheRest) {
  const auto mailbox = std::make_shared<Mailbox>();
  const auto peer = std::make_shared<Peer>("x");
  const auto call = std::make_shared<Call>("/t/M", peer, mailbox, nullptr);
  Mailbox::Mail mail;
  std::thread owner([&] {
    mailbox->own();
    EXPECT_FALSE(mailbox->take(mail, true));
    call->read();
    std::uint64_t count = 0;
    EXPECT_LT(::read(mailbox->bell(), &count, sizeof count), 0) << "it is awake, as it asks";
    std::thread([&] { call->cancel(); }).join();
    EXPECT_TRUE(mailbox->take(mail, true));
    mailbox->shut();
  });
  owner.join();
  ASSERT_EQ(mail.asks.size(), 2u);
  EXPECT_TRUE(std::holds_alternative<Ask::Cancel>(mail.asks[0].what));
  EXPECT_TRUE(std::holds_alternative<Ask::Read>(mail.asks[1].what));
}

TEST(Mailbox, KeepsNothingWhenItIsShut) {
  const auto mailbox = std::make_shared<Mailbox>();
  const auto peer = std::make_shared<Peer>("x");
  const std::weak_ptr<Call> call = [&] {
    auto made = std::make_shared<Call>("/t/M", peer, mailbox, nullptr);
    made->read();
    return made;
  }();
  EXPECT_FALSE(call.expired());
  mailbox->shut();
  EXPECT_TRUE(call.expired());
}

}  // namespace
}  // namespace graymesh::rpc
