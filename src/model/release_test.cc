#include "model/analysis.h"
#include "model/testing.h"

namespace graymesh::model {
namespace {

using namespace testing;
using namespace std::chrono_literals;

// Its spec begins at line 5.
std::string ours(std::string_view kind, std::string_view spec) {
  return "apiVersion: graymesh.io/v1alpha1\nkind: " + std::string(kind) +
         "\nmetadata: {name: x}\nspec:\n" + std::string(spec);
}

TEST(Application, IsReadWhole) {
  const auto app = spec_of<Application>(ours("Application", R"(  team: shop
  ports: [{name: http, port: 8080}, {name: rpc, port: 9090, protocol: GRPC}]
  hosts: [pre.shop.example]
  gateways: [ingress/shop]
  run:
    version: "1.4"
    command: [./web, --listen, $(ADDRESS):$(PORT)]
    environment: {COLOR: blue}
    resources: {memory: 256Mi, cpu: 500m}
  replicas: 2
  readiness: {http: {path: /healthz}, period: 500ms, failures: 2}
  liveness: {tcp: {port: 9090}}
  startup: {command: [./ready]}
  stop: {drain: 0s, timeout: 3s}
  repeat: idempotent
  slo: {availability: 99.9, latency: {threshold: 2.5s, target: 95}}
)"));
  EXPECT_EQ(app.ports.at(1).protocol, "GRPC");
  EXPECT_EQ(app.run.memory_bytes, 256u << 20);
  EXPECT_EQ(app.run.cpus, 0.5);
  EXPECT_EQ(app.run.environment.at("COLOR"), "blue");
  EXPECT_EQ(app.replicas, 2u);
  EXPECT_EQ(app.readiness->path, "/healthz");
  EXPECT_EQ(app.readiness->period, 500ms);
  EXPECT_EQ(app.liveness->kind, HealthProbe::Kind::tcp);
  EXPECT_EQ(app.startup->kind, HealthProbe::Kind::command);
  EXPECT_EQ(app.drain, 0s);
  EXPECT_EQ(app.repeat, Application::Repeat::idempotent);
  EXPECT_EQ(app.slo, (Slo{99.9, 2500ms, 95}));
}

TEST(Application, TellsEveryFaultAtOnce) {
  EXPECT_EQ(
      errors_of(ours("Application", R"(  ports: [{name: http, port: 0}, {name: http, port: 80}]
  replicas: 0
  run: {resources: {memory: lots, cpu: 5000}}
  readiness: {period: 1s}
  colour: red
)")),
      (Lines{
          "f.yaml:5 Application default/x: ports[0].port 0, must be 1 to 65535",
          "f.yaml:5 Application default/x: ports must have each name once; http is there "
          "again",
          "f.yaml:6 Application default/x: replicas 0, must be 1 to 1000",
          "f.yaml:7 Application default/x: run.resources.memory lots, must be an amount such "
          "as 256Mi",
          "f.yaml:7 Application default/x: run.resources.cpu 5000, must be a number of CPUs "
          "such as 0.5 or 500m, at most 1024",
          "f.yaml:7 Application default/x: run must have a command, or "
          "gateway be true",
          "f.yaml:8 Application default/x: readiness must have one of http, tcp and command",
          "f.yaml:9 Application default/x: colour red, is not a known field",
      }));
}

TEST(Application, AnSloIsOfBoundsThatEnvoyCounts) {
  EXPECT_EQ(
      errors_of(ours("Application",
                     "  ports: [{name: http, port: 80}]\n  run: {command: [a]}\n  slo: {latency: "
                     "{threshold: 26ms, target: 100}}\n")),
      (Lines{
          "f.yaml:7 Application default/x: slo.availability is required",
          "f.yaml:7 Application default/x: slo.latency.target 100, must be 50 to 99.999",
          "f.yaml:7 Application default/x: slo.latency.threshold 26ms, must be a bound of "
          "Envoy's histogram: 1, 5, 10, 25, 50, 100, 250 or 500 ms, 1, 2.5, 5, 10, 30 or 60 s"}));
}

TEST(Application, HostsAreFullNames) {
  EXPECT_EQ(
      errors_of(ours("Application",
                     "  ports: [{name: http, port: 80}]\n  run: {command: [a]}\n  hosts: "
                     "[localhost, a.example]\n  gateways: [ns/gw]\n")),
      Lines{"f.yaml:7 Application default/x: hosts[0] localhost, must be a full name with a dot: "
            "a short one means a service of the mesh"});
}

TEST(GrayRelease, IsReadWhole) {
  const auto release = spec_of<GrayRelease>(ours("GrayRelease", R"(  tag: feature-a
  applications:
  - {name: web, run: {command: [./web2], version: "2"}, replicas: 3}
  - {name: cart}
  match:
  - headers: {canarytag: {exact: feature-a}}
    query: {v: {prefix: a}}
  - cookies: {canarytag: {regex: "feature-.*"}}
    sourceApplication: pay
  steps:
  - {weight: 1, pause: {duration: 10m}}
  - {weight: 50, pause: {approval: true}}
  - {weight: 100, pause: {verdict: "http://judge/"}}
  stickyCookie: user
  laggards: {policy: isolate, after: 3s}
  readyWithin: 1m
  promote: true
  promoteTo: fe-online
)"));
  EXPECT_EQ(release.tag, "feature-a");
  EXPECT_EQ(release.applications.at(0).replicas, 3u);
  EXPECT_EQ(release.match.at(0).query.at("v").kind, StringMatch::Kind::prefix);
  EXPECT_EQ(release.match.at(1).source_application, "pay");
  EXPECT_EQ(release.steps.at(0).pause, 10min);
  EXPECT_TRUE(release.steps.at(1).approval);
  EXPECT_EQ(release.steps.at(2).hook, "http://judge/");
  EXPECT_TRUE(release.steps.at(2).judged());
  EXPECT_FALSE(release.steps.at(0).judged());
  EXPECT_EQ(release.laggards, GrayRelease::Laggards::isolate);
  EXPECT_EQ(release.ready_within, 1min);
  EXPECT_TRUE(release.promote);
  EXPECT_EQ(release.promote_to, "fe-online");
}

TEST(GrayRelease, AnalysisHasDefaultsForAllOfIt) {
  const auto release = spec_of<GrayRelease>(ours("GrayRelease", R"(  tag: feature-a
  applications: [{name: web}]
  steps:
  - {weight: 1, analysis: {}}
  - weight: 50
    analysis:
      successRate: {margin: 2}
      latency: {percentile: 95, margin: 3, slower: 10}
      prometheus: http://127.0.0.1:9090
      queries: [{name: carts, total: a, bad: b, margin: 1.5}, {name: own}]
      window: 2m
      interval: 10s
      duration: {minimum: 1m, maximum: 2h}
      inconclusive: advance
      dryRun: true
)"));
  EXPECT_EQ(release.steps.at(0).analysis, Analysis{});
  ASSERT_TRUE(release.steps.at(1).analysis);
  const Analysis& analysis = *release.steps.at(1).analysis;
  EXPECT_EQ(analysis.success_margin, 2);
  EXPECT_EQ(analysis.latency, (Analysis::Latency{95, 3, 10}));
  EXPECT_EQ(analysis.queries.at(0), (Analysis::Query{"carts", "a", "b", 1.5}));
  EXPECT_EQ(analysis.window, 2min);
  EXPECT_EQ(analysis.maximum, 2h);
  EXPECT_EQ(analysis.inconclusive, Analysis::Inconclusive::advance);
  EXPECT_TRUE(analysis.dry_run);
}

TEST(GrayRelease, RefusesAnAnalysisThatCouldSayNothing) {
  const auto errors = [](const std::string& analysis) {
    return errors_of(ours("GrayRelease",
                          "  tag: a\n  applications: [{name: web}]\n  steps: [{weight: 1, "
                          "analysis: {" +
                              analysis + "}}]\n"))
        .size();
  };
  EXPECT_EQ(errors(""), 0u);
  EXPECT_EQ(errors("successRate: {margin: 0}"), 1u) << "health could never be proven";
  EXPECT_EQ(errors("proxies: false"), 1u);
  EXPECT_EQ(errors("prometheus: 'http://p'"), 1u);
  EXPECT_EQ(errors("prometheus: 'http://p', proxies: false"), 0u) << "success rate and latency";
  EXPECT_EQ(errors("queries: [{name: a}]"), 1u) << "nobody is asked";
  EXPECT_EQ(errors("window: 1m"), 1u) << "nobody is asked";
  EXPECT_EQ(errors("prometheus: 'http://p', proxies: false, window: 900ms"), 1u);
  EXPECT_EQ(errors("prometheus: 'http://p', queries: [{name: a, total: b}]"), 1u);
  EXPECT_EQ(errors("prometheus: 'http://p', queries: [{name: a}, {name: a}]"), 1u);
  EXPECT_EQ(errors("duration: {minimum: 2m, maximum: 1m}"), 1u);
  EXPECT_EQ(errors("inconclusive: perhaps"), 1u);
  EXPECT_EQ(errors("}, pause: {verdict: 'http://judge/'"), 1u) << "two that judge";
}

TEST(GrayRelease, GoesOnToAnotherNamespace) {
  const auto lines = [](const std::string& to) {
    return errors_of(
        ours("GrayRelease", "  tag: a\n  applications: [{name: web}]\n  promoteTo: " + to + "\n"));
  };
  EXPECT_EQ(lines("fe-online"), Lines{});
  EXPECT_EQ(lines("default"),
            Lines{"f.yaml:7 GrayRelease default/x: promoteTo default, must be another namespace"});
  EXPECT_EQ(lines("Fe_Online").size(), 1u);
}

TEST(GrayRelease, RefusesWeightsThatFallAndMatchesOfNothing) {
  EXPECT_EQ(errors_of(ours("GrayRelease", R"(  tag: baseline
  applications: [{name: web}, {name: web}]
  match: [{}]
  steps: [{weight: 50}, {weight: 10}, {weight: 101}]
)"))
                .size(),
            6u);
  EXPECT_EQ(
      errors_of(ours("GrayRelease",
                     "  tag: a\n  applications: [{name: web}]\n  steps:\n  - {weight: 50}\n  - "
                     "{weight: 10}\n")),
      Lines{"f.yaml:7 GrayRelease default/x: steps must not fall: weight 10 comes after 50"});
}

TEST(Lane, IsReadWhole) {
  const auto lane = spec_of<Lane>(
      ours("Lane", "  {owner: ann, branch: feat/a, timeToLive: 72h, idle: 4h, mode: strict}\n"));
  EXPECT_EQ(lane.owner, "ann");
  EXPECT_EQ(lane.time_to_live, 72h);
  EXPECT_TRUE(lane.strict);
}

TEST(Lane, ItsIdlenessIsReadWithoutAWarning) {
  EXPECT_EQ(spec_of<Lane>(ours("Lane", "  idle: 4h\n")).idle, 4h);
  EXPECT_EQ(warnings_of(ours("Lane", "  idle: 4h\n")), Lines{});
  EXPECT_EQ(warnings_of(ours("Environment", "  lanes: {idle: 4h}\n")), Lines{});
}

TEST(Environment, IsReadWhole) {
  const auto environment =
      spec_of<Environment>(ours("Environment", R"(  allow: {lanes: true, weights: false}
  approval: {required: 1, fourEyes: true, by: [ann, bob]}
  lanes: {timeToLive: 72h, idle: 24h, cookieDomain: shop.example}
  baseline: {minimum: 2}
  freezes: [{from: 2026-12-24T00:00:00Z, to: 2026-12-27T00:00:00Z, reason: Christmas}]
  promoteTo: fe-online
)"));
  EXPECT_EQ(environment.promote_to, "fe-online");
  EXPECT_FALSE(environment.weights);
  EXPECT_TRUE(environment.four_eyes);
  EXPECT_EQ(environment.approvers.size(), 2u);
  EXPECT_EQ(environment.baseline_minimum, 2u);
  EXPECT_EQ(environment.freezes.at(0).to - environment.freezes.at(0).from, 3 * 86400);
}

TEST(Environment, RefusesAFreezeThatEndsBeforeItBegins) {
  EXPECT_EQ(
      errors_of(ours("Environment",
                     "  freezes: [{from: 2026-12-27T00:00:00Z, to: 2026-12-24T00:00:00Z}]\n")),
      Lines{"f.yaml:5 Environment default/x: freezes[0].to 2026-12-24T00:00:00Z, must be "
            "after from"});
}

TEST(ReleaseKinds, MisspeltKindIsTold) {
  EXPECT_EQ(
      errors_of("apiVersion: graymesh.io/v1alpha1\nkind: GrayReleas\nmetadata: {name: x}\n"),
      Lines{"f.yaml:2: kind GrayReleas, is not a kind of graymesh.io; did you mean GrayRelease?"});
}

}  // namespace
}  // namespace graymesh::model
