// Groups and files of rules: what the tables of alerts.cc become, and what is recorded.
#include "monitoring/rules.h"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>

namespace graymesh::monitoring {
namespace {

constexpr const char* windows[] = {"5m", "30m", "1h", "2h", "6h", "1d", "3d"};

// Templates, filled in when the alert fires, so that rules need not be written anew for each
// release. What is not known is said so.
constexpr const char* of_service =
    R"(printf "graymesh_release_info{namespace=%q,service=%q}" $labels.namespace $labels.service)";
constexpr const char* of_release =
    R"(printf "graymesh_release_info{namespace=%q,release=%q}" $labels.namespace $labels.release)";

std::string each_release(const char* query, const std::string& text, const std::string& otherwise) {
  return fmt::format("{{{{ range query ({}) }}}}{}{{{{ else }}}}{}{{{{ end }}}}", query, text,
                     otherwise);
}

std::string owner(About about) {
  if (about == About::mesh) return "mesh";
  const std::string query =
      about == About::release
          ? of_release
          : R"(printf "graymesh_application_info{namespace=%q,service=%q}" $labels.namespace $labels.service)";
  return "{{ with query (" + query + ") }}{{ . | first | label \"owner\" }}{{ end }}";
}

std::string anchor(const std::string& name) {
  std::string out = name;
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return std::tolower(c); });
  return out;
}

Json annotations(const Alert& alert, const Description& description) {
  Json out = {{"summary", alert.summary},
              {"runbook_url", description.runbooks + "#" + anchor(alert.name)}};
  if (alert.about == About::mesh) return out;
  const char* query = alert.about == About::release ? of_release : of_service;
  out["owner"] = owner(alert.about);
  out["release"] =
      each_release(query, "{{ .Labels.release }} ({{ .Labels.phase }}) ", "none under way");
  out["lane"] = each_release(query, "{{ .Labels.lane }} ", "none");
  out["rollback"] = each_release(
      query, "graymesh release rollback {{ .Labels.release }} -n {{ .Labels.namespace }} --wait\n",
      "nothing to roll back");
  return out;
}

}  // namespace

std::string text(std::chrono::milliseconds span) {
  return span.count() % 1000 == 0 ? fmt::format("{}s", span.count() / 1000)
                                  : fmt::format("{}ms", span.count());
}

Json alert_group(const std::string& name, const std::vector<Alert>& alerts,
                 const Description& description) {
  Json rules = Json::array();
  for (const Alert& alert : alerts) {
    Json rule = {{"alert", alert.name}, {"expr", alert.expr}};
    const auto hold = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::duration<double>(alert.hold) * description.patience);
    if (hold.count() > 0) rule["for"] = text(hold);
    rule["labels"] = {{"severity", alert.severity}, {"owner", owner(alert.about)}};
    rule["annotations"] = annotations(alert, description);
    rules.push_back(std::move(rule));
  }
  return {{"name", name}, {"rules", std::move(rules)}};
}

Json ratio_group() {
  Json rules = Json::array();
  for (const char* window : windows) {
    const std::string all =
        fmt::format("sum by (namespace, service) (rate(envoy_cluster_upstream_rq[{}]))", window);
    const std::string bad = fmt::format(
        R"(sum by (namespace, service) (rate(envoy_cluster_upstream_rq{{response_code_class="5xx"}}[{}])))",
        window);
    rules.push_back({{"record", fmt::format("graymesh:errors:ratio_rate{}", window)},
                     {"expr", fmt::format("({} or 0 * {})\n/ on (namespace, service) ({} > 0)", bad,
                                          all, all)}});
  }
  rules.push_back({{"record", "graymesh:requests:rate1m"},
                   {"expr",
                    "sum by (namespace, service, canarytag, stage, lane, response_code_class) "
                    "(rate(envoy_cluster_upstream_rq[1m]))"}});
  return {{"name", "graymesh-ratios"}, {"rules", std::move(rules)}};
}

Json latency_group(const Slo& slo) {
  if (!slo.threshold) return {};
  Json rules = Json::array();
  const std::string of = fmt::format(R"(namespace="{}",service="{}")", slo.namespace_, slo.service);
  for (const char* window : windows) {
    // Envoy's bounds are milliseconds. Prometheus 3 keeps them as 250.0.
    const std::string within = fmt::format(
        R"(sum by (namespace, service) (rate(envoy_cluster_upstream_rq_time_bucket{{{},le=~"{}(?:[.]0)?"}}[{}])))",
        of, slo.threshold->count(), window);
    const std::string all = fmt::format(
        "sum by (namespace, service) (rate(envoy_cluster_upstream_rq_time_count{{{}}}[{}]))", of,
        window);
    rules.push_back(
        {{"record", fmt::format("graymesh:slow:ratio_rate{}", window)},
         {"expr", fmt::format("1 - {}\n/ on (namespace, service) ({} > 0)", within, all)}});
  }
  return {{"name", fmt::format("graymesh-latency-{}-{}", slo.namespace_, slo.service)},
          {"rules", std::move(rules)}};
}

// What the proxy does not count under Istio's names itself (relabel.cc). One to one: a series of a
// proxy becomes one of Istio's names with Istio's labels, so a reset of a counter stays a reset.
Json istio_group() {
  const auto named = [](std::string expr) {
    const std::pair<const char*, const char*> labels[] = {
        {"destination_service_name", "service"},
        {"destination_service_namespace", "namespace"},
        {"destination_canarytag", "canarytag"},
        {"source_workload_namespace", "source_namespace"},
    };
    for (const auto& [to, from] : labels)
      expr = fmt::format(R"x(label_replace({}, "{}", "$1", "{}", "(.+)"))x", expr, to, from);
    return fmt::format(R"(label_replace({}, "reporter", "source", "", ""))", expr);
  };
  Json rules = Json::array();
  const auto record = [&](const char* name, const std::string& expr) {
    rules.push_back({{"record", name}, {"expr", named(expr)}});
  };
  // Of proxies that do not count requests: switched off, or started by an older graymesh. Theirs
  // have no flags, those of the others always do.
  record(
      "istio_requests_total",
      R"x(label_replace({__name__=~"envoy_cluster_upstream_rq_[1-5][0-9][0-9]"}, "response_code", "$1", "__name__", ".*_([0-9]+)"))x"
      R"( unless on (job, instance) istio_requests_total{reporter="source",response_flags!=""})");
  for (const char* part : {"bucket", "sum", "count"}) {
    record(fmt::format("istio_request_duration_milliseconds_{}", part).c_str(),
           fmt::format("envoy_cluster_upstream_rq_time_{}", part));
  }
  // Bytes of a cluster that never answered a request: TCP.
  const char* not_http =
      " unless on (pod, namespace, service, canarytag, port) envoy_cluster_upstream_rq";
  record("istio_tcp_sent_bytes_total",
         std::string("envoy_cluster_upstream_cx_tx_bytes_total") + not_http);
  record("istio_tcp_received_bytes_total",
         std::string("envoy_cluster_upstream_cx_rx_bytes_total") + not_http);
  record("istio_tcp_connections_opened_total",
         std::string("envoy_cluster_upstream_cx_total") + not_http);
  return {{"name", "graymesh-istio"}, {"rules", std::move(rules)}};
}

std::vector<std::pair<std::string, Json>> rule_files(const Description& description) {
  Json data_plane = Json::array({ratio_group(), istio_group()});
  for (const Slo& slo : description.slos) {
    if (Json group = latency_group(slo); !group.is_null()) data_plane.push_back(std::move(group));
  }
  data_plane.push_back(alert_group("graymesh-as-given", rules_as_given(), description));
  data_plane.push_back(alert_group("graymesh-services", service_alerts(), description));
  data_plane.push_back(alert_group("graymesh-mesh", mesh_alerts(), description));
  for (const Slo& slo : description.slos) {
    data_plane.push_back(alert_group(fmt::format("graymesh-slo-{}-{}", slo.namespace_, slo.service),
                                     slo_alerts(slo), description));
  }
  return {
      {"data-plane", {{"groups", std::move(data_plane)}}},
      {"infrastructure", {{"groups", {alert_group("graymesh-own", own_alerts(), description)}}}}};
}

}  // namespace graymesh::monitoring
