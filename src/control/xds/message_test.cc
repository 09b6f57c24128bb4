// Requests are read as protobuf's own classes read them, also where we read names ourselves.
#include "control/xds/message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

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

TEST(ADeltaRequest, IsReadWithAllItsNames) {
  const auto read = decode_delta(request().SerializeAsString(), false);
  expect_all(read);
  EXPECT_THAT(read->held, UnorderedElementsAre(Pair("a", "0123456789abcdef"), Pair("c", "")));
}

TEST(ADeltaRequest, IsReadTheSameIfANameIsNotAscii) {
  auto message = request();
  (*message.mutable_initial_resource_versions())["größe"] = "1";
  const auto read = decode_delta(message.SerializeAsString(), false);
  expect_all(read);
  EXPECT_THAT(read->held, UnorderedElementsAre(Pair("a", "0123456789abcdef"), Pair("c", ""),
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

}  // namespace
}  // namespace graymesh::xds
