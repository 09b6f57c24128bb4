#include "model/testing.h"

namespace graymesh::model {
namespace {

using namespace testing;

std::string entry(std::string_view spec) { return of_kind("ServiceEntry", spec); }
std::string on(int line, std::string_view rest) {
  return "f.yaml:" + std::to_string(line) + " ServiceEntry default/x: " + std::string(rest);
}

TEST(ServiceEntry, IsReadWhole) {
  const auto read = spec_of<ServiceEntry>(entry(R"(  hosts: [api.example.com]
  addresses: [10.0.0.1, 10.1.0.0/16]
  ports: [{number: 443, name: https, protocol: HTTPS, targetPort: 8443}]
  location: MESH_INTERNAL
  resolution: STATIC
  endpoints: [{address: 10.0.0.2, ports: {https: 9443}, labels: {v: a}, locality: r/z, weight: 3}]
  exportTo: ["~"]
)"));
  EXPECT_EQ(read.location, ServiceEntry::Location::mesh_internal);
  EXPECT_EQ(read.ports.at(0).target_port, 8443u);
  EXPECT_EQ(read.endpoints.at(0).ports.at("https"), 9443u);
  EXPECT_EQ(read.endpoints.at(0).locality, "r/z");
}

TEST(ServiceEntry, ChecksHostsAndPorts) {
  EXPECT_EQ(errors_of(entry("  hosts: [\"*\"]\n  ports:\n  - {number: 80, name: a}\n  - {number: "
                            "80, name: a, protocol: SMTP}\n")),
            (Lines{on(5, "hosts[0] \"*\", must be a host, not *"),
                   on(8,
                      "ports[1].protocol SMTP, must be one of HTTP, HTTPS, GRPC, GRPC-WEB, HTTP2, "
                      "MONGO, MYSQL, REDIS, TCP, TLS, UDP"),
                   on(8, "ports[1].name a, must be unique among the ports"),
                   on(8, "ports[1].number 80, must be unique among the ports")}));
  EXPECT_EQ(errors_of(entry("  ports: []\n")),
            Lines{"f.yaml:4 ServiceEntry default/x: hosts must have at least one host"});
}

TEST(ServiceEntry, HasEndpointsThatFitItsResolution) {
  EXPECT_EQ(errors_of(entry("  hosts: [a.com]\n  endpoints: [{address: 1.1.1.1}]\n")),
            Lines{on(6, "endpoints must not be there for resolution NONE")});
  EXPECT_EQ(
      errors_of(entry("  hosts: [a.com]\n  resolution: STATIC\n  endpoints: [{address: b.com, "
                      "ports: {x: 1}}]\n")),
      (Lines{on(7, "endpoints[0].ports must be among the ports of the ServiceEntry, and x is not"),
             on(7, "endpoints[0].address b.com, must be an IP address or unix:// for STATIC")}));
  EXPECT_EQ(errors_of(entry("  hosts: [\"*.a.com\"]\n  resolution: DNS\n")),
            Lines{on(5,
                     "hosts[0] \"*.a.com\", must be a host name without a wildcard, as there are "
                     "no endpoints")});
  EXPECT_EQ(errors_of(entry("  hosts: [a.com, b.com]\n  resolution: DNS\n  ports: [{number: 1, "
                            "name: a, protocol: TCP}]\n")),
            Lines{on(7, "ports must be HTTP or TLS if there is more than one host")});
  EXPECT_EQ(errors_of(entry("  hosts: [a.com]\n  workloadSelector: {labels: {a: b}}\n  resolution: "
                            "STATIC\n  endpoints: [{address: 1.1.1.1}]\n")),
            Lines{"f.yaml:4 ServiceEntry default/x: spec must not have workloadSelector and "
                  "endpoints together"});
}

TEST(ServiceEntry, WithDynamicDnsHasNoEffectYet) {
  EXPECT_EQ(warnings_of(entry("  hosts: [\"*.a.com\"]\n  resolution: DYNAMIC_DNS\n  ports: "
                              "[{number: 80, name: a, protocol: HTTP}]\n")),
            Lines{on(6, "resolution DYNAMIC_DNS, is accepted but not supported yet: no effect")});
}

TEST(WorkloadEntry, IsHealthyUnlessItIsCheckedAndDoesNotPass) {
  const auto healthy = [](const std::string& annotation, const std::string& conditions) {
    return spec_of<WorkloadEntry>(
               "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: x, "
               "annotations: {" +
               annotation + "}}\nspec: {address: 1.1.1.1}\nstatus: {conditions: [" + conditions +
               "]}\n")
        .healthy;
  };
  const std::string checked = "proxy.istio.io/health-checks-enabled: \"true\"";
  const std::string passes = "{type: Other, status: \"False\"}, {type: Healthy, status: \"True\"}";
  EXPECT_TRUE(healthy("", "{type: Healthy, status: \"False\"}"));
  EXPECT_TRUE(healthy("proxy.istio.io/health-checks-enabled: \"no\"", ""));
  EXPECT_TRUE(healthy(checked, passes));
  EXPECT_FALSE(healthy(checked, "{type: Healthy, status: \"False\"}"));
  EXPECT_FALSE(healthy(checked, "{type: Healthy, status: Unknown}"));
  EXPECT_FALSE(healthy(checked, ""));
}

TEST(WorkloadEntry, SaysWhatItsNetworkIsFor) {
  EXPECT_EQ(warnings_of(of_kind("WorkloadEntry", "  {address: 1.1.1.1, network: far}\n")),
            Lines{"f.yaml:5 WorkloadEntry default/x: network far, is only compared by "
                  "failoverPriority: no gateway leads to other networks"});
}

TEST(WorkloadEntry, HasAnAddress) {
  const std::string at = "f.yaml:5 WorkloadEntry default/x: ";
  EXPECT_EQ(spec_of<WorkloadEntry>(of_kind("WorkloadEntry", "  address: 2001:db8::1\n")).address,
            "2001:db8::1");
  EXPECT_EQ(errors_of(of_kind("WorkloadEntry", "  address: a b\n")),
            Lines{at + "address a b, must be a host name or an IP address"});
  EXPECT_EQ(errors_of(of_kind("WorkloadEntry", "  {address: \"unix:///a\", ports: {a: 1}}\n")),
            Lines{at + "ports must not be there for a socket"});
  EXPECT_EQ(errors_of(of_kind("WorkloadEntry", "  {weight: 1}\n")),
            Lines{"f.yaml:4 WorkloadEntry default/x: address is required, unless network is set"});
}

}  // namespace
}  // namespace graymesh::model
