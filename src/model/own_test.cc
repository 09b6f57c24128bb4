// What of ours stands in the metadata of Istio's objects.
#include "model/testing.h"

namespace graymesh::model {
namespace {

using namespace testing;
using namespace std::chrono_literals;

std::string rule(const std::string& annotation) {
  return "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata:\n  name: x\n"
         "  annotations:\n    graymesh.io/fallback: \"" +
         annotation +
         "\"\nspec:\n  host: web\n  subsets: [{name: baseline}, {name: a}, {name: b}]\n";
}

std::string service(const std::string& metadata) {
  return "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: x\n  " +
         metadata +
         "\nspec:\n  hosts: [web]\n"
         "  http: [{name: one, route: [{destination: {host: web}}]}]\n";
}
std::string sticky(const std::string& annotation) {
  return service("annotations: {graymesh.io/sticky: \"" + annotation + "\"}");
}
std::string precedence(const std::string& label) {
  return service("labels: {graymesh.io/precedence: \"" + label + "\"}");
}

std::string on6(std::string_view value, std::string_view rule_text) {
  return "f.yaml:6 DestinationRule default/x: metadata.annotations[graymesh.io/fallback] \"" +
         std::string(value) + "\", " + std::string(rule_text);
}
// As values that stand in quotes are shown.
std::string quote(std::string_view value) { return '"' + std::string(value) + '"'; }

std::string on5(std::string_view value, std::string_view rule_text,
                std::string_view field = "annotations[graymesh.io/sticky]") {
  return "f.yaml:5 VirtualService default/x: metadata." + std::string(field) + " " + quote(value) +
         ", " + std::string(rule_text);
}

TEST(Fallback, NamesTheSubsetThatStandsIn) {
  const auto read = spec_of<DestinationRule>(rule("a=baseline, b = baseline"));
  EXPECT_EQ(read.subsets[0].fallback, "");
  EXPECT_EQ(read.subsets[1].fallback, "baseline");
  EXPECT_EQ(read.subsets[2].fallback, "baseline");
}

TEST(Fallback, IsRefusedWhereItDoesNotHold) {
  const auto form = "must be a list such as feature-a=baseline, feature-b=baseline";
  for (const std::string text : {"a", "a=", "=baseline", "a=baseline,"})
    EXPECT_EQ(errors_of(rule(text)), Lines{on6(text, form)});
  EXPECT_EQ(errors_of(rule("a=c")),
            Lines{on6("a=c", "must name subsets of this rule, and c is none")});
  EXPECT_EQ(errors_of(rule("c=a")),
            Lines{on6("c=a", "must name subsets of this rule, and c is none")});
  EXPECT_EQ(errors_of(rule("a=a")), Lines{on6("a=a", "must not lead from a to itself")});
  EXPECT_EQ(errors_of(rule("a=b,a=baseline")),
            Lines{on6("a=b,a=baseline", "must name a only once before a =")});
  EXPECT_EQ(errors_of(rule("a=b,b=baseline")),
            Lines{on6("a=b,b=baseline", "must not lead on from b, to which a falls back")});
}

TEST(StickyAnnotation, IsOnEveryRoute) {
  const auto cookie = spec_of<VirtualService>(sticky("cookie=user; ttl=720h; path=/shop"));
  ASSERT_TRUE(cookie.http.at(0).sticky);
  EXPECT_EQ(cookie.http[0].sticky->header, "");
  EXPECT_EQ(cookie.http[0].sticky->cookie,
            (HttpCookie{.name = "user", .path = "/shop", .ttl = 720h, .attributes = {}}));
  const auto both = spec_of<VirtualService>(sticky("header=x-user, cookie=user"));
  EXPECT_EQ(both.http.at(0).sticky->header, "x-user");
  EXPECT_EQ(both.http[0].sticky->cookie->ttl, std::nullopt);
}

TEST(StickyAnnotation, IsRefusedWhereItSaysNothing) {
  const auto form =
      "must be header=NAME, cookie=NAME with ; ttl=DURATION ; path=/PATH, or both in this order";
  for (const std::string text : {"user", "cookie=", "query=a", "cookie=a, header=b",
                                 "header=a, header=b", "header=a; ttl=1s"})
    EXPECT_EQ(errors_of(sticky(text)), Lines{on5(text, form)});
  EXPECT_EQ(errors_of(sticky("header=a b")),
            Lines{on5("header=a b", "must name a header by a token such as x-user")});
  EXPECT_EQ(errors_of(sticky("cookie=a b")),
            Lines{on5("cookie=a b", "must name a cookie by a token such as user")});
  EXPECT_EQ(errors_of(sticky("cookie=a; ttl=week")),
            Lines{on5("cookie=a; ttl=week", "must have a duration such as 720h as its ttl")});
  EXPECT_EQ(errors_of(sticky("cookie=a; ttl=1ms")),
            Lines{on5("cookie=a; ttl=1ms", "must have whole seconds as its ttl")});
  for (const std::string text :
       {"cookie=a; path=b", "cookie=a; path=/%b", "cookie=a; ttl=1s; ttl=2s", "cookie=a; x=y"})
    EXPECT_EQ(
        errors_of(sticky(text)),
        Lines{
            on5(text, "must have nothing behind the cookie but ; ttl=DURATION and ; path=/PATH")});
}

TEST(PrecedenceLabel, IsReleaseOrDefaultOrAbsent) {
  EXPECT_EQ(spec_of<VirtualService>(precedence("release")).precedence, Precedence::release);
  EXPECT_EQ(spec_of<VirtualService>(precedence("default")).precedence, Precedence::default_);
  EXPECT_EQ(spec_of<VirtualService>(service("labels: {}")).precedence, Precedence::team);
  EXPECT_EQ(errors_of(precedence("first")),
            Lines{on5("first", "must be release or default, or not be there: the team's own",
                      "labels[graymesh.io/precedence]")});
}

TEST(PrecedenceLabel, IsRefusedOnADelegate) {
  EXPECT_EQ(errors_of("apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n"
                      "  name: x\n  labels: {graymesh.io/precedence: \"release\"}\n"
                      "spec: {http: [{route: [{destination: {host: web}}]}]}\n"),
            Lines{on5("release", "must not be on a delegate (a VirtualService without hosts)",
                      "labels[graymesh.io/precedence]")});
}

TEST(LaneHeader, IsTheMeshs) {
  EXPECT_EQ(read_mesh_config("", "f.yaml").config.lane_header, "canarytag");
  const auto read = read_mesh_config(
      "defaultConfig: {proxyMetadata: {GRAYMESH_LANE_HEADER: X-Lane}}\n", "f.yaml");
  EXPECT_EQ(read.config.lane_header, "x-lane");
  EXPECT_EQ(lines_of(read.warnings), Lines{});
  const auto other = read_mesh_config(
      "defaultConfig: {proxyMetadata: {GRAYMESH_LANE_HEADER: a b, X: y}}\n", "f.yaml");
  EXPECT_EQ(lines_of(other.errors),
            Lines{"f.yaml:1 MeshConfig: defaultConfig.proxyMetadata.GRAYMESH_LANE_HEADER a b, must "
                  "be a header's name: letters, digits and !#$%&'*+-.^_`|~"});
  EXPECT_EQ(other.warnings.size(), 1u) << "what else is there is Istio's";
}

TEST(LaneLog, IsTheMeshs) {
  const auto read = [](const std::string& value) {
    return read_mesh_config("defaultConfig: {proxyMetadata: {GRAYMESH_LANE_LOG: " + value + "}}\n",
                            "f.yaml");
  };
  EXPECT_TRUE(read_mesh_config("", "f.yaml").config.lane_log);
  EXPECT_EQ(read_mesh_config("", "f.yaml").config.lane_log_others, 10'000u) << "1%";
  EXPECT_FALSE(read("off").config.lane_log);
  EXPECT_FALSE(read("\"off\"").config.lane_log);
  EXPECT_EQ(read("0.5%").config.lane_log_others, 5'000u);
  EXPECT_EQ(read("100%").config.lane_log_others, 1'000'000u);
  EXPECT_FALSE(read("false").config.lane_log) << "what YAML 1.1 makes of off";
  EXPECT_EQ(read("0%").config.lane_log_others, 0u);
  EXPECT_EQ(lines_of(read("1%").warnings), Lines{});
  for (const char* value : {"1", "101%", "-1%", "%", "on", "[a]", "nan%", "1e9%"})
    EXPECT_EQ(read(value).errors.size(), 1u) << value;
  EXPECT_EQ(lines_of(read("on").errors),
            Lines{"f.yaml:1 MeshConfig: defaultConfig.proxyMetadata.GRAYMESH_LANE_LOG on, must be "
                  "off, or 0% to 100%"});
}

TEST(RequestMetrics, AreTheMeshs) {
  const auto read = [](const std::string& value) {
    return read_mesh_config(
        "defaultConfig: {proxyMetadata: {GRAYMESH_REQUEST_METRICS: " + value + "}}\n", "f.yaml");
  };
  EXPECT_TRUE(read_mesh_config("", "f.yaml").config.request_metrics);
  EXPECT_FALSE(read("off").config.request_metrics);
  EXPECT_TRUE(read("\"on\"").config.request_metrics);
  EXPECT_FALSE(read("false").config.request_metrics) << "what YAML 1.1 makes of off";
  EXPECT_EQ(lines_of(read("false").errors), Lines{});
  EXPECT_TRUE(read("true").config.request_metrics);
  EXPECT_EQ(lines_of(read("off").warnings), Lines{});
  EXPECT_EQ(lines_of(read("1%").errors),
            Lines{"f.yaml:1 MeshConfig: defaultConfig.proxyMetadata.GRAYMESH_REQUEST_METRICS 1%, "
                  "must be on or off"});
  EXPECT_EQ(read("[on]").errors.size(), 1u);
}

TEST(Vhds, IsTheMeshsAndOffByDefault) {
  const auto read = [](const std::string& value) {
    return read_mesh_config("defaultConfig: {proxyMetadata: {GRAYMESH_VHDS: " + value + "}}\n",
                            "f.yaml");
  };
  EXPECT_FALSE(read_mesh_config("", "f.yaml").config.vhds);
  EXPECT_TRUE(read("\"on\"").config.vhds);
  EXPECT_TRUE(read("true").config.vhds) << "what YAML 1.1 makes of on";
  EXPECT_FALSE(read("off").config.vhds);
  EXPECT_EQ(lines_of(read("on").warnings), Lines{});
  EXPECT_EQ(lines_of(read("yes").errors),
            Lines{"f.yaml:1 MeshConfig: defaultConfig.proxyMetadata.GRAYMESH_VHDS yes, must be on "
                  "or off"});
}

TEST(LaneStamp, IsSwitchedOffByThePodsAnnotation) {
  const auto pod = [](const std::string& value) {
    return spec_of<Pod>("apiVersion: v1\nkind: Pod\nmetadata: {name: x, annotations: {" + value +
                        "}}\n");
  };
  EXPECT_TRUE(pod("").lane_stamp);
  EXPECT_TRUE(pod("graymesh.io/lane-stamp: \"true\"").lane_stamp);
  EXPECT_FALSE(pod("graymesh.io/lane-stamp: \"false\"").lane_stamp);
}

}  // namespace
}  // namespace graymesh::model
