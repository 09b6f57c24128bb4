#include <gtest/gtest.h>

#include "model/model.h"

namespace graymesh::model {
namespace {

TEST(HeaderFormat, KnowsEnvoysCommands) {
  for (const char* value :
       {"", "plain", "100%%", "%PROTOCOL%", "%REQ(x-lane)%", "%REQ(x-lane?:path):7%",
        "a%REQ(a)%b%HOSTNAME%c", "%START_TIME%", "%START_TIME(%Y-%m-%d)%",
        "%DYNAMIC_METADATA(envoy.lb:lane)%", "%FILTER_STATE(key:PLAIN)%",
        "%REQUEST_HEADER(x-lane)%", "%METADATA(ROUTE:istio:config)%", "%PATH(NQ)%", "%PATH(NQ):7%",
        "%GRPC_STATUS(NUMBER)%", "%DOWNSTREAM_PEER_IP_SAN%"}) {
    EXPECT_TRUE(is_header_format(value)) << value;
  }
}

TEST(HeaderFormat, RefusesWhatEnvoyWouldRefuse) {
  for (const char* value :
       {"%", "100%", "%LANE%", "%REQ%", "%REQ()%", "%REQ(a", "%REQ(a)", "%REQ(a?b?c)%",
        "%REQ(a):x%", "%REQ(a):%", "%PROTOCOL%%", "%PROTOCOL()%", "%FILTER_STATE(key:ODD)%",
        "%START_TIME(%n)%", "%PATH(ODD)%", "%METADATA(ODD:a)%", "%CEL(a)%", "%req(a)%",
        "% REQ(a)%"}) {
    EXPECT_FALSE(is_header_format(value)) << value;
  }
}

}  // namespace
}  // namespace graymesh::model
