// What of a burst gets through to the writer.
#include "control/record/mail.h"

#include <gtest/gtest.h>

namespace graymesh::record {
namespace {

using namespace std::chrono_literals;
using Kind = Event::Kind;
using resource::Type;

std::vector<std::pair<Kind, StreamId>> of(const std::vector<Event>& events) {
  std::vector<std::pair<Kind, StreamId>> all;
  all.reserve(events.size());
  for (const auto& it : events) all.emplace_back(it.kind, it.stream);
  return all;
}

using All = std::vector<std::pair<Kind, StreamId>>;

TEST(Mailbox, ThatIsFullStillTakesWhoCameAndWhoWent) {
  FakeClock clock;
  Mailbox mail(4, clock);
  mail.opened(1, {}, "", true);
  mail.opened(2, {}, "", true);
  for (int i = 0; i < 100; ++i) mail.acked(1, Type::cluster);
  mail.closed(1);
  mail.opened(3, {}, "", true);
  mail.acked(3, Type::cluster);
  const auto taken = mail.take();
  EXPECT_EQ(of(taken.events), (All{{Kind::opened, 1},
                                   {Kind::opened, 2},
                                   {Kind::acked, 1},
                                   {Kind::acked, 1},
                                   {Kind::opened, 3}}));
  EXPECT_EQ(of(taken.closings), (All{{Kind::closed, 1}}));
  EXPECT_EQ(taken.lost, 99u);
}

TEST(Mailbox, ThatIsFullKeepsNothingOfWhoCameAndWent) {
  FakeClock clock;
  Mailbox mail(4, clock);
  for (int i = 0; i < 4; ++i) mail.opened(static_cast<StreamId>(i), {}, "", true);
  for (StreamId stream = 10; stream < 1000; ++stream) {
    mail.opened(stream, {}, "", true);
    mail.closed(stream);
  }
  const auto taken = mail.take();
  EXPECT_EQ(taken.events.size(), 4u);
  EXPECT_EQ(taken.closings.size(), 0u);
  EXPECT_EQ(taken.lost, 2u * 990);
}

TEST(Mailbox, SaysSinceWhenSomethingIsLost) {
  FakeClock clock;
  Mailbox mail(1, clock);
  mail.opened(1, {}, "", true);
  clock.advance(20ms);
  mail.acked(1, Type::cluster);
  clock.advance(20ms);
  mail.closed(1);
  const auto taken = mail.take();
  EXPECT_EQ(taken.lost_since - taken.events[0].at, 20);
  EXPECT_EQ(taken.closings[0].at - taken.events[0].at, 40);
}

}  // namespace
}  // namespace graymesh::record
