#include <fmt/core.h>
#include <gmock/gmock.h>

#include "control/traffic/testing.h"
#include "control/traffic/traffic.h"

namespace graymesh::traffic {
namespace {

using testing::Entry;
using ::testing::HasSubstr;
using testing::message;

const std::map<std::string, std::string> web{
    {"app", "web"}, {"stage", "normal"}, {"graymesh.io/revision", "3"}};
constexpr const char* cart = "outbound|8080|feature-a|cart.fe-pre.svc.cluster.local";

Request only(const std::string& log, const Entry& entry) {
  Reader reader("canarytag");
  const auto read = reader.read(message(log, web, {entry}));
  EXPECT_TRUE(read) << read.error().message;
  return read && read->size() == 1 ? read->front() : Request();
}

TEST(ReadLog, TheNodeIsTheTeller) {
  Reader reader("canarytag");
  ASSERT_TRUE(reader.read(message("graymesh.inbound", web, {})));
  EXPECT_EQ(reader.teller().who, (Who{"fe-pre", "web", "", "3"}));
  EXPECT_EQ(reader.teller().side, Teller::Side::inbound);
  ASSERT_TRUE(reader.read(message("", {}, {{.id = "1"}}))) << "only the first message names it";
  EXPECT_EQ(reader.teller().who.application, "web");
  Reader gray("canarytag");
  ASSERT_TRUE(gray.read(message("graymesh.outbound.stamped",
                                {{"app", "web"}, {"stage", "gray"}, {"canarytag", "b"}}, {})));
  EXPECT_EQ(gray.teller().who.tag, "b");
  EXPECT_TRUE(gray.teller().stamped);
}

TEST(ReadLog, TheCarrierIsWhatBroughtTheLane) {
  const std::string out = "graymesh.outbound", stamped = "graymesh.outbound.stamped";
  const std::map<std::string, std::string> lane{{"canarytag", "a"}};
  const auto carrier = [](const std::string& log, Entry entry) {
    entry.cluster = cart;
    const Request read = only(log, entry);
    EXPECT_EQ(read.to, "cart.fe-pre");
    return read.lane + " " + std::string(name_of(read.carrier));
  };
  EXPECT_EQ(carrier(out, {.headers = lane, .sent = true}), "a header");
  EXPECT_EQ(carrier(stamped, {.headers = lane, .sent = true}), "a header");
  EXPECT_EQ(carrier(stamped, {.headers = lane}), "a stamp");
  EXPECT_EQ(carrier(out, {.headers = {{"baggage", "x=1, canarytag = a ;p=q,y=2"}}}), "a baggage");
  // The route of a lane that baggage matched has set the header.
  EXPECT_EQ(carrier(out, {.headers = {{"canarytag", "a"}, {"baggage", "canarytag=a"}}}),
            "a baggage");
  EXPECT_EQ(carrier(out, {.headers = lane}), "a match");
}

TEST(ReadLog, ACallWithoutALaneHasNone) {
  EXPECT_EQ(only("graymesh.outbound", {.cluster = cart, .id = "7"}).lane, "");
  EXPECT_EQ(only("graymesh.outbound", {.cluster = cart, .id = "7"}).id, "7");
  for (const char* baggage :
       {"canarytags=a", "xcanarytag=a", "canarytag", "=a", ",,;", "a=canarytag=b"})
    EXPECT_EQ(only("graymesh.outbound", {.headers = {{"baggage", baggage}}}).lane, "") << baggage;
}

TEST(ReadLog, TheTraceIsThatOfTraceparentIfItIsSampled) {
  const std::string id = "0af7651916cd43dd8448eb211c80319c";
  const auto of = [](std::string_view version, std::string_view trace, std::string_view flags) {
    return fmt::format("{}-{}-b7ad6b7169203331-{}", version, trace, flags);
  };
  const auto trace = [](const std::string& traceparent) {
    return only("graymesh.outbound", {.headers = {{"traceparent", traceparent}}}).trace;
  };
  EXPECT_EQ(trace(of("00", id, "01")), id);
  EXPECT_EQ(trace(of("00", id, "0b")), id) << "flags that do not exist yet";
  EXPECT_EQ(trace(of("00", id, "00")), "") << "nobody keeps it";
  EXPECT_EQ(only("graymesh.outbound", {}).trace, "");
  for (const std::string& odd :
       {std::string("00-"), of("00", std::string(32, '0'), "01"), of("00", id, "0x"),
        of("00", id.substr(1) + "\"", "01"), of("00", id, "01-")})
    EXPECT_EQ(trace(odd), "") << odd;
}

TEST(ReadLog, WhatIsNoServiceOfTheMeshIsNotNamed) {
  for (const char* cluster : {"", "PassthroughCluster", "inbound|8080||", "outbound|80||a.example",
                              "outbound|80||x", "outbound|80||"})
    EXPECT_EQ(only("graymesh.outbound", {.cluster = cluster}).to, "") << cluster;
}

TEST(ReadLog, WhatIsNoLogOfOursIsRefusedWithItsReason) {
  const auto error = [](const std::string& bytes) {
    const auto read = Reader("canarytag").read(bytes);
    return read ? "" : read.error().message;
  };
  EXPECT_THAT(error("\xff"), HasSubstr("is not a envoy.service.accesslog.v3"));
  EXPECT_THAT(error(message("other", web, {})), HasSubstr("log_name \"other\""));
  EXPECT_THAT(error(message("graymesh.inbound", web, {}, "")), HasSubstr("node.id is empty"));
  EXPECT_THAT(error(message("graymesh.inbound", {{"app", std::string(5000, 'x')}}, {})),
              HasSubstr("5000 bytes"));
  EXPECT_THAT(error(std::string(Reader::message_bytes_max + 1, 'x')), HasSubstr("at most"));
}

}  // namespace
}  // namespace graymesh::traffic
