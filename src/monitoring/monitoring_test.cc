// What the generated files promise; promtool and real servers have their say in tests/monitoring.
#include "monitoring/monitoring.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <re2/re2.h>

#include <fstream>
#include <set>
#include <sstream>

#include "monitoring/relabel.h"
#include "monitoring/rules.h"

namespace graymesh::monitoring {
namespace {

using testing::HasSubstr;

using Series = std::map<std::string, std::string>;  // labels, __name__ among them

// "${1}:$2" as RE2 writes it.
std::string rewrite_of(std::string replacement) {
  RE2::GlobalReplace(&replacement, R"(\$\{?(\d)\}?)", R"(\\\1)");
  return replacement;
}

// Prometheus' relabelling, as its documentation has it, by the same RE2; empty: dropped.
Series relabelled(Series series, const std::vector<Relabel>& steps) {
  for (const Relabel& step : steps) {
    const RE2 expression("^(?s:" + (step.regex.empty() ? "(.*)" : step.regex) + ")$");
    if (step.action == "labeldrop") {
      std::erase_if(series,
                    [&](const auto& label) { return RE2::FullMatch(label.first, expression); });
      continue;
    }
    std::string value;
    for (std::size_t i = 0; i < step.source.size(); ++i)
      value += (i == 0 ? "" : ";") + series[step.source[i]];
    if (!RE2::FullMatch(value, expression)) continue;
    if (step.action == "drop") return {};
    RE2::Extract(value, expression, rewrite_of(step.replacement), &series[step.target]);
  }
  std::erase_if(series, [](const auto& label) { return label.second.empty(); });
  return series;
}

Series kept(Series series) { return relabelled(std::move(series), metrics_of_sidecars({})); }

Series of_web(const std::string& name, const std::string& subset, Series more = {}) {
  Series out = {{"__name__", name},
                {"mesh_namespace", "fe-pre"},
                {"mesh_service", "web"},
                {"mesh_subset", subset},
                {"mesh_port", "8080"}};
  out.merge(more);
  return out;
}

TEST(Relabelling, NamesTheVersionThatIsCalled) {
  EXPECT_EQ(kept(of_web("envoy_cluster_upstream_cx_active", "feature-a")),
            (Series{{"__name__", "envoy_cluster_upstream_cx_active"},
                    {"namespace", "fe-pre"},
                    {"service", "web"},
                    {"port", "8080"},
                    {"canarytag", "feature-a"},
                    {"lane", "feature-a"},
                    {"stage", "gray"}}));
  EXPECT_EQ(kept(of_web("envoy_cluster_upstream_cx_active", "baseline")),
            (Series{{"__name__", "envoy_cluster_upstream_cx_active"},
                    {"namespace", "fe-pre"},
                    {"service", "web"},
                    {"port", "8080"},
                    {"stage", "normal"}}));
}

TEST(Relabelling, SaysNoStageWhereAnyVersionMayAnswer) {
  EXPECT_FALSE(kept(of_web("envoy_cluster_upstream_cx_active", "")).contains("stage"));
}

TEST(Relabelling, GivesEachFamilyANameOfItsOwn) {
  const auto by_class = kept(
      of_web("envoy_cluster_upstream_rq_xx", "baseline", {{"envoy_response_code_class", "5"}}));
  EXPECT_EQ(by_class.at("__name__"), "envoy_cluster_upstream_rq");
  EXPECT_EQ(by_class.at("response_code_class"), "5xx");
  EXPECT_FALSE(by_class.contains("envoy_response_code_class"));
  const auto by_code =
      kept(of_web("envoy_cluster_upstream_rq", "baseline", {{"envoy_response_code", "503"}}));
  EXPECT_EQ(by_code.at("__name__"), "envoy_cluster_upstream_rq_503");
  EXPECT_FALSE(by_code.contains("envoy_response_code"));
  EXPECT_EQ(kept(of_web("envoy_cluster_upstream_rq_total", "baseline")).at("__name__"),
            "envoy_cluster_upstream_rq_total");
}

TEST(Relabelling, CountsNobodysClustersAsNoService) {
  EXPECT_EQ(
      kept({{"__name__", "envoy_cluster_upstream_cx_active"}, {"envoy_cluster_name", "xds-grpc"}}),
      (Series{{"__name__", "envoy_own_cluster_upstream_cx_active"},
              {"envoy_cluster_name", "xds-grpc"}}));
}

TEST(Relabelling, KnowsTheBaselineWhateverElseIsCalledSo) {
  const auto told = [](const std::string& subset) {
    const auto steps = metrics_of_sidecars({.baseline_subsets = "v1"});
    return relabelled(of_web("envoy_cluster_upstream_cx_active", subset), steps).at("stage");
  };
  EXPECT_EQ(told("baseline"), "normal") << "which graymeshd calls it by its labels";
  EXPECT_EQ(told("v1"), "normal");
  EXPECT_EQ(told("stable"), "gray");
}

TEST(Relabelling, KeepsHostsOfServiceEntries) {
  const auto out =
      kept({{"__name__", "envoy_cluster_upstream_rq_total"}, {"mesh_host", "api.example.com"}});
  EXPECT_EQ(out.at("service"), "api.example.com");
  EXPECT_EQ(out.at("namespace"), "service-entry");
}

// Of the sidecar of a gray instance of `web`.
Series counted(const std::string& reporter, const std::string& cluster, Series more = {}) {
  Series out = {{"__name__", "envoy_istio_requests_total"},
                {"reporter", reporter},
                {"mesh_cluster", cluster},
                {"response_code", "200"},
                {"pod", "web-0"},
                {"source_namespace", "fe-pre"},
                {"source_workload", "web-feature-a"},
                {"source_app", "web"},
                {"source_stage", "gray"},
                {"source_canarytag", "feature-a"},
                {"source_version", "v2"},
                {"source_region", "eu"},
                {"source_zone", "eu-1"}};
  out.merge(more);
  return kept(out);
}

TEST(Relabelling, GivesACallersCountsIstiosLabels) {
  const Series out = counted("source", "outbound|8080|feature-b|cart.shop.svc.cluster.local;",
                             {{"mesh_workload", "cart-feature-b;shop;cart;v7;"}});
  const Series expected = {{"__name__", "istio_requests_total"},
                           {"reporter", "source"},
                           {"response_code", "200"},
                           {"pod", "web-0"},
                           {"source_namespace", "fe-pre"},
                           {"source_workload_namespace", "fe-pre"},
                           {"source_workload", "web-feature-a"},
                           {"source_app", "web"},
                           {"source_stage", "gray"},
                           {"source_canarytag", "feature-a"},
                           {"source_version", "v2"},
                           {"source_region", "eu"},
                           {"source_zone", "eu-1"},
                           {"destination_service", "cart.shop.svc.cluster.local"},
                           {"destination_service_name", "cart"},
                           {"destination_service_namespace", "shop"},
                           {"destination_canarytag", "feature-b"},
                           {"destination_workload", "cart-feature-b"},
                           {"destination_workload_namespace", "shop"},
                           {"destination_version", "v7"},
                           {"lane", "feature-b"}};
  EXPECT_EQ(out, expected);
}

TEST(Relabelling, TakesTheLaneOfTheCallerWhereABaselineIsCalled) {
  const Series out = counted("source", "outbound|8080|baseline|cart.shop.svc.cluster.local;");
  EXPECT_FALSE(out.contains("destination_canarytag"));
  EXPECT_EQ(out.at("lane"), "feature-a");
}

TEST(Relabelling, GivesTheCalledItsOwnLabelsAsDestination) {
  const Series out = counted("destination", "inbound|||web.fe-pre.svc.cluster.local");
  const Series expected = {{"__name__", "istio_requests_total"},
                           {"reporter", "destination"},
                           {"response_code", "200"},
                           {"pod", "web-0"},
                           {"source_workload", "unknown"},
                           {"source_workload_namespace", "unknown"},
                           {"destination_service", "web.fe-pre.svc.cluster.local"},
                           {"destination_service_name", "web"},
                           {"destination_service_namespace", "fe-pre"},
                           {"destination_workload", "web-feature-a"},
                           {"destination_workload_namespace", "fe-pre"},
                           {"destination_canarytag", "feature-a"},
                           {"destination_version", "v2"},
                           {"destination_region", "eu"},
                           {"destination_zone", "eu-1"},
                           {"lane", "feature-a"}};
  EXPECT_EQ(out, expected);
}

TEST(Relabelling, NamesWhatIsNoServiceOfTheMesh) {
  const auto called = [](const std::string& cluster) { return counted("source", cluster); };
  EXPECT_EQ(called("").at("destination_service_name"), "unknown") << "no route";
  EXPECT_EQ(counted("destination", "inbound|||").at("destination_service_name"), "unknown")
      << "a port that no service names";
  EXPECT_EQ(called("PassthroughCluster;").at("destination_service_name"), "PassthroughCluster");
  const Series external = called("outbound|443||api.example.com;");
  EXPECT_EQ(external.at("destination_service_name"), "api.example.com");
  EXPECT_EQ(external.at("destination_service_namespace"), "service-entry");
}

TEST(Relabelling, DropsWhatRepeatsOtherSeries) {
  EXPECT_TRUE(kept(of_web("envoy_cluster_external_upstream_rq_xx", "baseline")).empty());
}

TEST(Rules, KeepTheThreeWordForWord) {
  std::vector<std::string> expressions;
  for (const Alert& alert : rules_as_given()) expressions.push_back(alert.expr);
  EXPECT_THAT(
      expressions,
      testing::ElementsAre(
          R"(sum(envoy_cluster_upstream_cx_active{namespace!="fe-pre"}) by (namespace, service) < 1)",
          R"(sum by(namespace, service) (rate(envoy_cluster_upstream_rq_503[1m])) > 0)",
          R"(sum by(namespace, service) (rate(envoy_cluster_upstream_rq{response_code_class!="2xx"}[1m])) != 0)"));
}

TEST(Rules, HaveARunbookEach) {
  std::ifstream file("docs/runbooks.md");
  std::stringstream text;
  text << file.rdbuf();
  std::set<std::string> names;
  for (const auto& name : alert_names()) {
    EXPECT_THAT(text.str(), HasSubstr("\n## " + name + "\n"));
    EXPECT_TRUE(names.insert(name).second) << name << " is there twice";
  }
}

TEST(Rules, OfAnSloHoldTheirWindowsToItsBudget) {
  const auto alerts = slo_alerts({.namespace_ = "shop", .service = "web", .availability = 99.9});
  ASSERT_EQ(alerts.size(), 4u);
  EXPECT_EQ(alerts[0].expr,
            "graymesh:errors:ratio_rate1h{namespace=\"shop\",service=\"web\"} > 0.0144\n"
            "and graymesh:errors:ratio_rate5m{namespace=\"shop\",service=\"web\"} > 0.0144");
}

TEST(Rules, AreHeldAsLongAsPatienceSays) {
  const auto group =
      alert_group("g", {{.name = "A", .hold = std::chrono::seconds(30)}}, {.patience = 0.02});
  EXPECT_EQ(group["rules"][0]["for"], "600ms");
}

TEST(Dashboards, HaveAPlaceAndAQueryForEachPanel) {
  const Files files = dashboards();
  EXPECT_EQ(files.size(), 7u);
  for (const auto& [name, dashboard] : files) {
    std::set<std::pair<int, int>> places;
    for (const auto& panel : dashboard["panels"]) {
      EXPECT_FALSE(panel["targets"].empty()) << name;
      const auto& place = panel["gridPos"];
      EXPECT_TRUE(places.emplace(place["x"].get<int>(), place["y"].get<int>()).second) << name;
    }
  }
}

// Caller and called both count a request: a sum over both would have it twice.
TEST(Dashboards, SumWhatOneSideCounted) {
  for (const auto& [name, dashboard] : dashboards()) {
    for (const auto& panel : dashboard["panels"]) {
      for (const auto& target : panel["targets"]) {
        const std::string expr = target["expr"];
        if (expr.find("istio_request") == std::string::npos) continue;
        EXPECT_NE(expr.find("{reporter=\""), std::string::npos) << name << ": " << expr;
      }
    }
  }
}

TEST(Yaml, KeepsTextsOfSeveralLinesAndWhatLooksLikeSomethingElse) {
  EXPECT_EQ(to_yaml({{"b", "x\ny"},
                     {"a", "true"},
                     {"list", {{{"k", 1}}, "two words"}},
                     {"none", Json::object()}}),
            "b: |-\n  x\n  y\na: \"true\"\nlist:\n  - k: 1\n  - \"two words\"\nnone: {}\n");
}

TEST(Operator, SpellsItsObjectsAsTheirDefinitionsDo) {
  std::set<std::string> kinds;
  for (const auto& [name, object] : operator_objects({.shards = 3})) {
    kinds.insert(object["kind"]);
    if (name == "prometheus-data-plane.yaml") {
      EXPECT_EQ(object["spec"]["shards"], 3);
    }
    EXPECT_EQ(object.dump().find("_configs\""), std::string::npos) << name;
  }
  EXPECT_EQ(kinds, (std::set<std::string>{"Alertmanager", "AlertmanagerConfig", "ClusterRole",
                                          "ClusterRoleBinding", "PodMonitor", "Prometheus",
                                          "PrometheusRule", "ServiceAccount", "ServiceMonitor"}));
}

}  // namespace
}  // namespace graymesh::monitoring
