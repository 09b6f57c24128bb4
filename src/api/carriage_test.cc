#include "api/carriage.h"

#include <gmock/gmock.h>

namespace graymesh::api {
namespace {

using nlohmann::json;
using traffic::Report;
using traffic::Who;

const Who web{"fe-pre", "web", "", "1"}, gray{"fe-pre", "web", "a", "2"};
constexpr const char* cart = "cart.fe-pre";

json carriage(const Report& report, const Who& who = web) {
  json out;
  carriage_json(who, &report, out);
  return out;
}

TEST(Carriage, SaysNothingThatWasNotMeasured) {
  json out;
  carriage_json(web, nullptr, out);
  EXPECT_EQ(out, (json{{"carriedBy", "not measured"}, {"traffic", nullptr}}));
  EXPECT_EQ(carriage({})["carriedBy"], "no request seen yet");
  Report report;
  report.passed[web].received = 100;
  EXPECT_EQ(carriage(report)["carriedBy"], "no call seen");
  EXPECT_EQ(carriage(report)["traffic"]["received"], 100);
  EXPECT_EQ(carriage(report, gray)["carriedBy"], "no request seen yet") << "another version";
  EXPECT_EQ(carriage(report, gray)["traffic"]["receivedByOtherVersions"], 100);
}

TEST(Carriage, NamesWhatCarried) {
  Report report;
  report.passed[web].calls[cart] = {3, 0, 2, 0};
  report.passed[gray].calls[cart] = {0, 7, 0, 1};
  EXPECT_EQ(carriage(report)["carriedBy"], "header, baggage");
  EXPECT_EQ(carriage(report)["traffic"]["calls"],
            (json::array({{{"to", cart},
                           {"by", {{"header", 3}, {"stamp", 0}, {"baggage", 2}, {"match", 0}}}}})));
  EXPECT_EQ(carriage(report, gray)["carriedBy"], "stamp, match");
}

TEST(Carriage, ALostLaneIsProvenByItsRequestIdOrLikely) {
  Report report;
  report.passed[web].received = likely_min;
  report.others[web][cart] = 2;
  const json likely = json::array({{{"to", cart}, {"count", 2}, {"proof", "likely"}}});
  EXPECT_EQ(carriage(report)["traffic"]["lost"], likely);
  EXPECT_EQ(carriage(report)["carriedBy"], "nothing");
  report.passed[web].received = likely_min - 1;
  EXPECT_EQ(carriage(report)["traffic"]["lost"], json::array()) << "too few to say";
  report.passed[web].received = likely_min;
  report.passed[web].calls["pay.fe-pre"] = {1, 0, 0, 0};
  EXPECT_EQ(carriage(report)["traffic"]["lost"], json::array()) << "it does carry it";
  report.passed[web].lost[cart] = 1;
  const json proven = json::array({{{"to", cart}, {"count", 1}, {"proof", "request id"}}});
  EXPECT_EQ(carriage(report)["traffic"]["lost"], proven);
  EXPECT_EQ(carriage(report)["carriedBy"], "header") << "towards pay";
  report.others.clear();
  report.others[gray][cart] = 9;
  report.passed[web].lost.clear();
  report.passed[web].calls.clear();
  EXPECT_EQ(carriage(report)["traffic"]["lost"], json::array()) << "calls of another version";
}

}  // namespace
}  // namespace graymesh::api
