// The xDS protos are all linked in, and speak Envoy's JSON and text.

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include <string>

#include "envoy/config/listener/v3/listener.pb.h"
#include "envoy/extensions/filters/http/jwt_authn/v3/config.pb.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h"

namespace {

using envoy::config::listener::v3::Listener;
using envoy::extensions::filters::http::jwt_authn::v3::RequirementRule;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
using google::protobuf::DescriptorPool;
using google::protobuf::TextFormat;
using google::protobuf::util::JsonStringToMessage;
using google::protobuf::util::MessageToJsonString;

Listener listener_with_connection_manager() {
  HttpConnectionManager manager;
  manager.set_stat_prefix("inbound");
  manager.mutable_rds()->set_route_config_name("http.80");

  Listener listener;
  listener.set_name("0.0.0.0_80");
  listener.add_filter_chains()->add_filters()->mutable_typed_config()->PackFrom(manager);
  return listener;
}

TEST(XdsProtos, AListenerSurvivesTextWithItsAnyUnpacked) {
  const Listener listener = listener_with_connection_manager();

  TextFormat::Printer printer;
  printer.SetExpandAny(true);
  std::string text;
  ASSERT_TRUE(printer.PrintToString(listener, &text));
  EXPECT_THAT(text, testing::HasSubstr("route_config_name: \"http.80\""));

  Listener read;
  ASSERT_TRUE(TextFormat::ParseFromString(text, &read)) << text;
  EXPECT_EQ(read.SerializeAsString(), listener.SerializeAsString());
}

TEST(XdsProtos, AListenerSurvivesJsonWithItsAnyUnpacked) {
  const Listener listener = listener_with_connection_manager();

  std::string json;
  ASSERT_TRUE(MessageToJsonString(listener, &json).ok());
  EXPECT_THAT(json, testing::HasSubstr("\"routeConfigName\":\"http.80\""));

  Listener read;
  ASSERT_TRUE(JsonStringToMessage(json, &read).ok()) << json;
  EXPECT_EQ(read.SerializeAsString(), listener.SerializeAsString());
}

TEST(XdsProtos, FieldsNamedLikeCppKeywordsKeepTheirNameInJson) {
  RequirementRule rule;
  ASSERT_TRUE(JsonStringToMessage(R"({"requires":{"providerName":"idp"}})", &rule).ok());
  EXPECT_EQ(rule.requires_().provider_name(), "idp");
}

TEST(XdsProtos, TypesThatNoCodeNamesAreLinkedIn) {
  for (const char* name : {"envoy.extensions.filters.http.fault.v3.HTTPFault",
                           "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
                           "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
                           "envoy.config.bootstrap.v3.Bootstrap", "xds.type.v3.TypedStruct",
                           "udpa.type.v1.TypedStruct"}) {
    EXPECT_NE(DescriptorPool::generated_pool()->FindMessageTypeByName(name), nullptr) << name;
  }
}

}  // namespace
