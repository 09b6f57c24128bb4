// Requests are read as protobuf's own classes read them, also where we read names ourselves.
#include "control/xds/message.h"

#include <gmock/gmock.h>
#include <google/protobuf/stubs/logging.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <vector>

#include "base/fields.h"
#include "envoy/service/discovery/v3/discovery.pb.h"

namespace graymesh::xds {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

envoy::service::discovery::v3::DeltaDiscoveryRequest request() {
  envoy::service::discovery::v3::DeltaDiscoveryRequest made;
  made.set_type_url("type.googleapis.com/envoy.config.cluster.v3.Cluster");
  made.set_response_nonce("7");
  made.add_resource_names_subscribe("outbound|80||a");
  made.add_resource_names_subscribe("");
  made.add_resource_names_unsubscribe("b");
  (*made.mutable_initial_resource_versions())["a"] = "0123456789abcdef";
  (*made.mutable_initial_resource_versions())["c"] = "";
  made.mutable_error_detail()->set_message("no");
  return made;
}

void expect_all(const Result<DeltaRequest>& read) {
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->nonce, "7");
  EXPECT_EQ(read->error, "no");
  EXPECT_THAT(read->subscribe, ElementsAre("outbound|80||a", ""));
  EXPECT_THAT(read->unsubscribe, ElementsAre("b"));
}

std::map<std::string, std::string> held(const DeltaRequest& request) {
  std::map<std::string, std::string> held;
  EXPECT_EQ(request.held.size(), request.versions.size());
  for (std::size_t i = 0; i < request.held.size(); ++i)  // of two the last counts
    held[std::string(request.held[i])] = request.versions[i];
  return held;
}

TEST(ADeltaRequest, IsReadWithAllItsNames) {
  const auto read = decode_delta(request().SerializeAsString(), false);
  expect_all(read);
  EXPECT_THAT(held(*read), UnorderedElementsAre(Pair("a", "0123456789abcdef"), Pair("c", "")));
}

TEST(ADeltaRequest, IsReadTheSameIfANameIsNotAscii) {
  auto message = request();
  (*message.mutable_initial_resource_versions())["größe"] = "1";
  const auto read = decode_delta(message.SerializeAsString(), false);
  expect_all(read);
  EXPECT_THAT(held(*read), UnorderedElementsAre(Pair("a", "0123456789abcdef"), Pair("c", ""),
                                                Pair("größe", "1")));
}

TEST(ADeltaRequest, IsRefusedIfANameIsNoText) {
  std::string bytes = request().SerializeAsString();
  put_field(bytes, 3, "\xff\xfe");
  EXPECT_FALSE(decode_delta(bytes, false));
}

TEST(ADeltaRequest, IsRefusedIfItEndsInTheMiddle) {
  const std::string bytes = request().SerializeAsString();
  EXPECT_FALSE(decode_delta(bytes.substr(0, bytes.size() - 1), false));
}

TEST(ADeltaRequest, IsReadAsProtobufReadsItIfANameHasAnotherType) {
  std::string bytes = request().SerializeAsString();
  put_number(bytes, 3 << 3);  // a varint under the number of names: an unknown field
  put_number(bytes, 5);
  expect_all(decode_delta(bytes, false));
}

envoy::service::discovery::v3::DiscoveryRequest sotw_request() {
  envoy::service::discovery::v3::DiscoveryRequest made;
  made.set_type_url("type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment");
  made.set_version_info("v");
  made.set_response_nonce("7");
  made.add_resource_names("outbound|80||a");
  made.add_resource_names("");
  made.mutable_error_detail()->set_message("no");
  return made;
}

TEST(ASotwRequest, IsReadWithAllItsNames) {
  const auto read = decode_sotw(sotw_request().SerializeAsString(), false);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->version, "v");
  EXPECT_EQ(read->nonce, "7");
  EXPECT_EQ(read->error, "no");
  EXPECT_THAT(read->names, ElementsAre("outbound|80||a", ""));
}

TEST(ASotwRequest, WithTheNamesOfTheLastTimeIsReadWithoutThem) {
  auto message = sotw_request();
  message.set_type_url(std::string(type_url(resource::Type::endpoints)));
  const auto first = decode_sotw(message.SerializeAsString(), false).value();
  EXPECT_FALSE(first.same_names);
  NamesHashes last{};
  last[static_cast<std::size_t>(resource::Type::endpoints)] = first.names_hash;
  message.set_response_nonce("8");
  const auto same = decode_same(message.SerializeAsString(), last);
  ASSERT_TRUE(same);
  EXPECT_TRUE(same->same_names);
  EXPECT_TRUE(same->names.empty());
  EXPECT_EQ(same->nonce, "8");
  EXPECT_EQ(same->error, "no");
  EXPECT_EQ(same->version, "v");
  EXPECT_EQ(same->names_hash, first.names_hash);

  message.add_resource_names("outbound|80||b");
  EXPECT_FALSE(decode_same(message.SerializeAsString(), last));

  message = sotw_request();  // the same names, of another type
  message.set_type_url(std::string(type_url(resource::Type::route)));
  EXPECT_FALSE(decode_same(message.SerializeAsString(), last));
}

TEST(ASotwRequest, WithNamesThatDoNotStandTogetherIsReadWhole) {
  auto message = sotw_request();
  message.set_type_url(std::string(type_url(resource::Type::endpoints)));
  const auto hash = decode_sotw(message.SerializeAsString(), false)->names_hash;
  ASSERT_NE(hash, 0u);
  std::string bytes = message.SerializeAsString();
  put_field(bytes, 3, "outbound|80||b");
  NamesHashes last{};
  last.fill(hash);
  EXPECT_FALSE(decode_same(bytes, last));
  const auto read = decode_sotw(bytes, false).value();
  EXPECT_EQ(read.names_hash, 0u);
  EXPECT_THAT(read.names, ElementsAre("outbound|80||a", "", "outbound|80||b"));
}

TEST(ASotwRequest, WithoutNamesIsNeverOneWithThoseOfTheLastTime) {
  auto message = sotw_request();
  message.clear_resource_names();
  EXPECT_FALSE(decode_same(message.SerializeAsString(), {}));
  EXPECT_EQ(decode_sotw(message.SerializeAsString(), false)->names_hash, 0u);
}

TEST(ASotwRequest, IsReadTheSameIfANameIsNotAscii) {
  auto message = sotw_request();
  message.add_resource_names("größe");
  const auto read = decode_sotw(message.SerializeAsString(), false);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->version, "v");
  EXPECT_THAT(read->names, ElementsAre("outbound|80||a", "", "größe"));
}

TEST(ASotwRequest, IsRefusedIfANameIsNoText) {
  std::string bytes = sotw_request().SerializeAsString();
  put_field(bytes, 3, "\xff\xfe");
  EXPECT_FALSE(decode_sotw(bytes, false));
}

// Requests that are nearly right, and their bytes changed anywhere: what protobuf's classes make of
// them is what we make of them.
TEST(ARequest, IsReadAsProtobufsClassesReadItWhateverItsBytesAre) {
  const google::protobuf::LogSilencer silencer;
  const auto all_of = [](const RequestHead& head) {
    return head.type_url + "|" + head.nonce + "|" + head.error.value_or("none") + "|" +
           (head.node ? head.node->id : "none");
  };
  std::mt19937 random(20261130);
  auto with_node = request();
  with_node.mutable_node()->set_id("sidecar~10.0.0.1~a.b~b.svc");
  auto ack = request();
  ack.clear_resource_names_subscribe();
  ack.clear_resource_names_unsubscribe();
  ack.clear_initial_resource_versions();
  ack.clear_error_detail();
  auto plain_sotw = sotw_request();
  plain_sotw.clear_error_detail();
  const std::vector<std::string> seeds = {
      request().SerializeAsString(), with_node.SerializeAsString(), ack.SerializeAsString(),
      sotw_request().SerializeAsString(), plain_sotw.SerializeAsString()};
  int read = 0;
  for (int round = 0; round < 30'000; ++round) {
    std::string bytes = seeds[random() % seeds.size()];
    for (auto changes = random() % 3; changes > 0 && !bytes.empty(); --changes) {
      const auto at = random() % bytes.size();
      constexpr std::string_view telling("\x08\x0a\x12\x1a\x22\x2a\x32\x3a\x80\x00\xff\x01", 12);
      const char other = random() % 2 == 0 ? telling[random() % telling.size()]
                                           : static_cast<char>(random() % 256);
      if (random() % 2 == 0)
        bytes[at] = other;
      else if (random() % 2 == 0)
        bytes.insert(at, 1, other);
      else
        bytes.erase(at, 1);
    }
    const bool want_node = random() % 4 == 0;
    const auto ours = decode_delta(bytes, want_node),
               theirs = decode_delta_by_classes(bytes, want_node);
    ASSERT_EQ(ours.has_value(), theirs.has_value()) << ::testing::PrintToString(bytes);
    const auto texts = [](const Words& words) {
      return std::vector<std::string>(words.begin(), words.end());
    };
    if (ours) {
      ASSERT_EQ(all_of(*ours), all_of(*theirs)) << ::testing::PrintToString(bytes);
      ASSERT_EQ(texts(ours->subscribe), texts(theirs->subscribe));
      ASSERT_EQ(texts(ours->unsubscribe), texts(theirs->unsubscribe));
      ASSERT_EQ(held(*ours), held(*theirs)) << ::testing::PrintToString(bytes);
      ++read;
    }
    const auto sotw = decode_sotw(bytes, want_node),
               measure = decode_sotw_by_classes(bytes, want_node);
    ASSERT_EQ(sotw.has_value(), measure.has_value()) << ::testing::PrintToString(bytes);
    if (!sotw) continue;
    ASSERT_EQ(all_of(*sotw) + sotw->version, all_of(*measure) + measure->version)
        << ::testing::PrintToString(bytes);
    ASSERT_EQ(texts(sotw->names), texts(measure->names));
  }
  EXPECT_GT(read, 3'000);
}

TEST(TheHeadOfAResponse, IsWhatProtobufsClassesRead) {
  const Response response{.type_url = std::string(type_url(resource::Type::cluster)),
                          .nonce = "17",
                          .version = "v",
                          .removed = {"a", "", std::string(300, 'x')}};
  envoy::service::discovery::v3::DeltaDiscoveryResponse delta;
  ASSERT_TRUE(delta.ParseFromString(encode_head(response, true)));
  EXPECT_EQ(delta.type_url(), response.type_url);
  EXPECT_EQ(delta.nonce(), "17");
  EXPECT_THAT(delta.removed_resources(), ElementsAre("a", "", std::string(300, 'x')));
  envoy::service::discovery::v3::DiscoveryResponse sotw;
  ASSERT_TRUE(sotw.ParseFromString(encode_head(response, false)));
  EXPECT_EQ(sotw.type_url(), response.type_url);
  EXPECT_EQ(sotw.nonce(), "17");
  EXPECT_EQ(sotw.version_info(), "v");
  EXPECT_EQ(encode_head({}, true), "");
}

TEST(LongLists, KeepTheirWordsWhereverTheyAreMoved) {
  Words words;
  for (int i = 0; i < 5000; ++i) words.push_back("name-" + std::to_string(i));
  words.push_back(std::string(100'000, 'x'));
  words.push_back("");
  const Words moved = std::move(words);
  ASSERT_EQ(moved.size(), 5002u);
  for (std::size_t i = 0; i < 5000; ++i) ASSERT_EQ(moved[i], "name-" + std::to_string(i));
  EXPECT_EQ(moved[5000], std::string(100'000, 'x'));
  EXPECT_EQ(moved[5001], "");
}

}  // namespace
}  // namespace graymesh::xds
