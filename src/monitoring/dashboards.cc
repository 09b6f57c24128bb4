// Grafana's dashboards from a small table: a dashboard is a list of rows of panels, a panel a
// title, a unit and its queries. Everything else (places, ids, variables, annotations) follows.
//
// tests/e2e/monitoring_test.py runs every query on a Prometheus that scraped a real mesh.
#include <array>

#include "monitoring/monitoring.h"

namespace graymesh::monitoring {
namespace {

struct Query {
  std::string expr;
  const char* legend = "";
};
struct Panel {
  const char* title;
  const char* unit;  // Grafana's: reqps, percentunit, ms, s, bytes, short, Bps
  std::vector<Query> queries;
  const char* kind = "timeseries";
  bool traces = false;     // its series have exemplars
  const char* about = "";  // what its title does not say
};

// Share of requests `part` in requests `all` (label matchers of envoy_cluster_upstream_rq). Without
// one it is 0, which is not the same as to know nothing.
std::string share(const std::string& by, const std::string& part, const std::string& all) {
  const auto rate = [&by](const std::string& of) {
    return "sum by (" + by + ") (rate(envoy_cluster_upstream_rq{" + of + "}[$__rate_interval]))";
  };
  return "(" + rate(part) + " or 0 * " + rate(all) + ") / " + rate(all);
}

struct Dashboard {
  const char* name;
  const char* title;
  std::vector<const char*> variables;  // of `variable`, by name
  std::vector<Panel> panels;
};

// Each variable is the values of a label of a series. `all` is a regular expression too: `.*` takes
// what has no such label as well.
struct Variable {
  const char *name, *series, *label, *all = ".*";
};
constexpr std::array<Variable, 6> variables = {{
    {"namespace", "graymesh_service_endpoints", "namespace"},
    {"service", "graymesh_service_endpoints{namespace=~\"$namespace\"}", "service"},
    {"pod", "up{job=\"graymesh-sidecars\"}", "pod"},
    {"lane", "graymesh_release_info", "lane"},
    {"release", "graymesh_release_info{namespace=~\"$namespace\"}", "release"},
    {"region", "up{job=\"graymesh-sidecars\"}", "source_region", ".+"},
}};

#define GRAYMESH_OF R"({namespace=~"$namespace",service=~"$service"})"

const std::vector<Dashboard> table = {
    {"mesh",
     "Mesh",
     {"namespace"},
     {
         {"Requests",
          "reqps",
          {{R"(sum by (namespace) (rate(envoy_cluster_upstream_rq{namespace=~"$namespace"}[$__rate_interval])))",
            "{{namespace}}"}}},
         {"Answers by class",
          "reqps",
          {{R"(sum by (response_code_class) (rate(envoy_cluster_upstream_rq{namespace=~"$namespace"}[$__rate_interval])))",
            "{{response_code_class}}"}}},
         {"Share of 5xx by service",
          "percentunit",
          {{R"(topk(10, graymesh:errors:ratio_rate5m{namespace=~"$namespace"}))",
            "{{service}}.{{namespace}}"}},
          "timeseries",
          false,
          "The ten highest, over five minutes."},
         {"Latency p99 by service",
          "ms",
          {{R"(topk(10, histogram_quantile(0.99, sum by (le, namespace, service) (rate(envoy_cluster_upstream_rq_time_bucket{namespace=~"$namespace"}[$__rate_interval])))))",
            "{{service}}.{{namespace}}"}},
          "timeseries",
          false,
          "The ten highest. Until the answer was there, each try by itself, as the callers' "
          "proxies measured it."},
         {"Healthy instances",
          "short",
          // Each graymeshd tells of all.
          {{R"(sum by (namespace) (max by (namespace, service) (graymesh_service_endpoints{namespace=~"$namespace",health="healthy"})))",
            "{{namespace}}"}}},
         {"Proxies", "short", {{"sum by (state) (graymesh_proxies)", "{{state}}"}}},
         {"Who calls whom",
          "reqps",
          {{R"(sum by (source_workload, source_canarytag, service, canarytag) (rate(envoy_cluster_upstream_rq{namespace=~"$namespace"}[$__rate_interval])))",
            "{{source_workload}} {{source_canarytag}} > {{service}} {{canarytag}}"}},
          "table"},
     }},
    {"service",
     "Service",
     {"namespace", "service"},
     {
         {"Requests by version",
          "reqps",
          {{R"(sum by (stage, canarytag) (rate(envoy_cluster_upstream_rq)" GRAYMESH_OF
            R"([$__rate_interval])))",
            "{{stage}} {{canarytag}}"}}},
         {"Answers by class",
          "reqps",
          {{R"(sum by (response_code_class) (rate(envoy_cluster_upstream_rq)" GRAYMESH_OF
            R"([$__rate_interval])))",
            "{{response_code_class}}"}}},
         {"Answers by code",
          "reqps",
          {{R"(sum by (response_code) (rate(istio_requests_total{reporter="source",destination_service_namespace=~"$namespace",destination_service_name=~"$service"}[$__rate_interval])))",
            "{{response_code}}"}}},
         {"Share of 5xx by version",
          "percentunit",
          {{share("stage, canarytag",
                  R"(namespace=~"$namespace",service=~"$service",response_code_class="5xx")",
                  R"(namespace=~"$namespace",service=~"$service")"),
            "{{stage}} {{canarytag}}"}}},
         {"Latency",
          "ms",
          {{R"(histogram_quantile(0.5, sum by (le, canarytag) (rate(envoy_cluster_upstream_rq_time_bucket)" GRAYMESH_OF
            R"([$__rate_interval]))))",
            "p50 {{canarytag}}"},
           {R"(histogram_quantile(0.99, sum by (le, canarytag) (rate(envoy_cluster_upstream_rq_time_bucket)" GRAYMESH_OF
            R"([$__rate_interval]))))",
            "p99 {{canarytag}}"}}},
         {"Logged calls p99, with traces",
          "s",
          {{R"(histogram_quantile(0.99, sum by (le, lane) (rate(graymesh_logged_call_duration_seconds_bucket)" GRAYMESH_OF
            R"([$__rate_interval]))))",
            "{{lane}}"}},
          "timeseries",
          true,
          "Of calls that were logged: all in lanes, 1 % of the others. To find a trace of a slow "
          "one; the rates are not the mesh's."},
         {"Callers",
          "reqps",
          {{R"(sum by (source_workload) (rate(envoy_cluster_upstream_rq)" GRAYMESH_OF
            R"([$__rate_interval])))",
            "{{source_workload}}"}}},
         {"Healthy instances",
          "short",
          {{R"(max by (namespace, service) (graymesh_service_endpoints{namespace=~"$namespace",service=~"$service",health="healthy"}))",
            "{{service}}.{{namespace}}"}}},
         {"Connections",
          "short",
          {{R"(sum by (service) (envoy_cluster_upstream_cx_active)" GRAYMESH_OF ")",
            "{{service}} open"}},
          "timeseries",
          false,
          "Open now, of all callers. Idle ones are closed: 0 is no fault."},
         {"Calls that found no instance",
          "reqps",
          {{R"(sum by (service) (rate(envoy_cluster_upstream_cx_none_healthy)" GRAYMESH_OF
            R"([$__rate_interval])))",
            "{{service}} none healthy"},
           {R"(sum by (service) (rate(envoy_cluster_upstream_cx_connect_fail)" GRAYMESH_OF
            R"([$__rate_interval])))",
            "{{service}} connect failed"}}},
     }},
    {"workload",
     "Workload",
     {"pod"},
     {
         {"Requests in",
          "reqps",
          {{R"(sum by (pod) (rate(envoy_own_cluster_upstream_rq_total{pod=~"$pod",envoy_cluster_name=~"inbound.*"}[$__rate_interval])))",
            "{{pod}}"}}},
         {"Requests out",
          "reqps",
          {{R"(sum by (pod, service) (rate(envoy_cluster_upstream_rq_total{pod=~"$pod"}[$__rate_interval])))",
            "{{pod}} > {{service}}"}}},
         {"Answers to callers by class",
          "reqps",
          {{R"(sum by (pod, envoy_response_code_class) (rate(envoy_http_downstream_rq_xx{pod=~"$pod"}[$__rate_interval])))",
            "{{pod}} {{envoy_response_code_class}}xx"}}},
         {"Envoy's memory",
          "bytes",
          {{R"(envoy_server_memory_physical_size{pod=~"$pod"})", "{{pod}}"}}},
         {"Connected to the control plane",
          "short",
          {{R"(envoy_control_plane_connected_state{pod=~"$pod"})", "{{pod}}"}}},
         {"Scrapes",
          "s",
          {{R"(scrape_duration_seconds{job="graymesh-sidecars",pod=~"$pod"})", "{{pod}}"}}},
         {"Series of a scrape",
          "short",
          {{R"(scrape_samples_scraped{job="graymesh-sidecars",pod=~"$pod"})", "{{pod}}"}}},
     }},
    {"control-plane",
     "Control plane and push",
     {},
     {
         {"Proxies by state", "short", {{"sum by (state) (graymesh_proxies)", "{{state}}"}}},
         {"Streams", "short", {{"sum by (protocol) (graymesh_xds_streams)", "{{protocol}}"}}},
         {"Streams opened",
          "short",
          {{"sum(increase(graymesh_xds_streams_opened_total[5m]))", "in 5 minutes"}}},
         {"A change until the last proxy",
          "s",
          {{"histogram_quantile(0.5, sum by (le) "
            "(rate(graymesh_xds_change_seconds_bucket[5m])))",
            "p50"},
           {"histogram_quantile(0.99, sum by (le) "
            "(rate(graymesh_xds_change_seconds_bucket[5m])))",
            "p99"}},
          "timeseries",
          false,
          "From the writing of a change to the last ACK of the proxies that were told of it. "
          "Counted when it is there: see Changes under way. Over five minutes: changes are rare."},
         {"Changes under way",
          "short",
          {{"sum by (instance) (graymesh_xds_changes_under_way)", "{{instance}}"}},
          "timeseries",
          false,
          "Changes that some proxy has not yet ACKed. What stays is a proxy that does not answer: "
          "Longest without an ACK."},
         {"A change until ACK, by proxy",
          "s",
          {{"histogram_quantile(0.5, sum by (le) "
            "(rate(graymesh_xds_convergence_seconds_bucket[5m])))",
            "p50"},
           {"histogram_quantile(0.99, sum by (le) "
            "(rate(graymesh_xds_convergence_seconds_bucket[5m])))",
            "p99"}},
          "timeseries",
          false,
          "From the writing of a change, or the coming of a proxy, to its last ACK. Over five "
          "minutes: changes are rare."},
         {"Responses",
          "reqps",
          {{"sum by (type) (rate(graymesh_xds_pushes_total[$__rate_interval]))", "{{type}}"}}},
         {"Bytes sent",
          "Bps",
          {{"sum by (type) (rate(graymesh_xds_push_bytes_total[$__rate_interval]))", "{{type}}"}}},
         {"ACKs and NACKs",
          "reqps",
          {{"sum(rate(graymesh_xds_acks_total[$__rate_interval]))", "ACK"},
           {"sum by (type) (rate(graymesh_xds_nacks_total[$__rate_interval]))", "NACK {{type}}"}}},
         {"Sent all again",
          "short",
          {{"sum by (type) (increase(graymesh_xds_resyncs_total[5m]))", "{{type}} in 5 minutes"}},
          "timeseries",
          false,
          "Proxies that came back and held nothing of what they shall have: runbook "
          "ProxiesSentAllAgain."},
         {"Snapshots built",
          "short",
          {{"increase(graymesh_snapshots_total[5m])", "{{instance}} in 5 minutes"}}},
         {"Building one",
          "s",
          {{"histogram_quantile(0.99, sum by (le) "
            "(rate(graymesh_snapshot_build_seconds_bucket[5m])))",
            "p99"}}},
         {"Longest without an ACK", "s", {{"max(graymesh_proxy_stale_seconds_max)", "longest"}}},
         {"Objects",
          "short",
          {{"max by (kind) (graymesh_objects)", "{{kind}}"},
           {"max by (kind) (graymesh_objects_refused)", "refused {{kind}}"}}},
         {"CPU",
          "percentunit",
          {{R"(rate(process_cpu_seconds_total{job="graymeshd"}[$__rate_interval]))",
            "{{instance}}"}}},
         {"Memory",
          "bytes",
          {{R"(process_resident_memory_bytes{job="graymeshd"})", "{{instance}}"}}},
     }},
    {"release",
     "Release",
     {"namespace", "release"},
     {
         {"Releases under way",
          "short",
          {{R"(graymesh_release_info{namespace=~"$namespace",release=~"$release"})",
            "{{release}} {{phase}}"}},
          "table"},
         {"In this phase for",
          "s",
          {{R"(time() - graymesh_release_phase_started_seconds{namespace=~"$namespace",release=~"$release"})",
            "{{release}} {{phase}}"}}},
         {"Proxies not yet reached",
          "short",
          {{R"(graymesh_release_proxies_missing{namespace=~"$namespace",release=~"$release"})",
            "{{release}}"}}},
         {"Requests, gray and baseline",
          "reqps",
          {{R"(sum by (service, stage, canarytag) (rate(envoy_cluster_upstream_rq{namespace=~"$namespace",stage!=""}[$__rate_interval])))",
            "{{service}} {{stage}} {{canarytag}}"}}},
         {"Share of gray",
          "percentunit",
          {{share("namespace, service", R"(namespace=~"$namespace",stage="gray")",
                  R"(namespace=~"$namespace")"),
            "{{service}}.{{namespace}}"}}},
         {"Latency p99, gray and baseline",
          "ms",
          {{R"(histogram_quantile(0.99, sum by (le, service, stage, canarytag) (rate(envoy_cluster_upstream_rq_time_bucket{namespace=~"$namespace",stage!=""}[$__rate_interval]))))",
            "{{service}} {{stage}} {{canarytag}}"}}},
         {"Instances",
          "short",
          {{R"(graymesh_instances{namespace=~"$namespace"})", "{{namespace}} {{phase}}"}}},
     }},
    {"lane",
     "Lane",
     {"namespace", "lane"},
     {
         {"Answered by the lane's versions",
          "reqps",
          {{R"(sum by (service) (rate(envoy_cluster_upstream_rq{namespace=~"$namespace",lane=~"$lane",lane!=""}[$__rate_interval])))",
            "{{service}}"}},
          "timeseries",
          false,
          "What the baseline answered in the lane is not in it: see what each application "
          "received."},
         {"Answers by class",
          "reqps",
          {{R"(sum by (response_code_class) (rate(envoy_cluster_upstream_rq{namespace=~"$namespace",lane=~"$lane",lane!=""}[$__rate_interval])))",
            "{{response_code_class}}"}}},
         {"Calls p99 by service, with traces",
          "s",
          {{R"(histogram_quantile(0.99, sum by (le, service) (rate(graymesh_logged_call_duration_seconds_bucket{namespace=~"$namespace",lane=~"$lane",lane!=""}[$__rate_interval]))))",
            "{{service}}"}},
          "timeseries",
          true,
          "Of calls in the lane, which are all logged."},
         {"Received, by application (last 1 to 2 hours)",
          "short",
          {{R"(graymesh_lane_requests{namespace=~"$namespace",lane=~"$lane"})",
            "{{lane}} {{service}}"}}},
         {"Calls that lost the lane (last 1 to 2 hours)",
          "short",
          {{R"(graymesh_lane_lost_requests{namespace=~"$namespace",lane=~"$lane"})",
            "{{lane}} {{service}} > {{to}}"}}},
         {"Logged requests",
          "reqps",
          {{"sum by (result) (rate(graymesh_lane_log_requests_total[$__rate_interval]))",
            "{{result}}"}}},
     }},
    // By the locality of the proxies that counted: of callers, and of who was called. Which region
    // called which, nobody counts.
    {"region",
     "Region",
     {"region"},
     {
         {"Proxies",
          "short",
          {{R"(count by (source_region, source_zone) (up{job="graymesh-sidecars",source_region=~"$region"}))",
            "{{source_region}} {{source_zone}}"}}},
         {"Requests made",
          "reqps",
          {{R"(sum by (source_region) (rate(envoy_cluster_upstream_rq{source_region=~"$region"}[$__rate_interval])))",
            "{{source_region}}"}},
          "timeseries",
          false,
          "By the region of the callers."},
         {"Requests received",
          "reqps",
          {{R"(sum by (destination_region) (rate(istio_requests_total{reporter="destination",destination_region=~"$region"}[$__rate_interval])))",
            "{{destination_region}}"}},
          "timeseries",
          false,
          "By the region of who was called. Without Istio's metrics (GRAYMESH_REQUEST_METRICS off) "
          "there is none."},
         {"Share of 5xx",
          "percentunit",
          {{share("source_region", R"(source_region=~"$region",response_code_class="5xx")",
                  R"(source_region=~"$region")"),
            "{{source_region}}"}}},
         {"Latency p99",
          "ms",
          {{R"(histogram_quantile(0.99, sum by (le, source_region) (rate(envoy_cluster_upstream_rq_time_bucket{source_region=~"$region"}[$__rate_interval]))))",
            "{{source_region}}"}}},
     }},
};

#undef GRAYMESH_OF

const Json datasource = {{"type", "prometheus"}, {"uid", "${datasource}"}};

Json templating(const Dashboard& dashboard) {
  Json list = {{{"name", "datasource"},
                {"label", "Data source"},
                {"type", "datasource"},
                {"query", "prometheus"}}};
  for (const char* name : dashboard.variables) {
    for (const auto& [known, series, label, all] : variables) {
      if (std::string_view(name) != known) continue;
      const std::string query = std::string("label_values(") + series + ", " + label + ")";
      list.push_back({{"name", name},
                      {"label", name},
                      {"type", "query"},
                      {"datasource", datasource},
                      {"query", {{"query", query}, {"refId", name}}},
                      {"refresh", 2},  // when the time range changes
                      {"sort", 1},
                      {"includeAll", true},
                      {"allValue", all},
                      {"multi", true},
                      {"current", {{"text", "All"}, {"value", "$__all"}}}});
    }
  }
  return {{"list", std::move(list)}};
}

// A release comes into a phase: a line at the time that is the series' value.
Json annotations() {
  return {{"list",
           {{{"name", "Releases"},
             {"enable", true},
             {"datasource", datasource},
             {"expr", "graymesh_release_phase_started_seconds * 1000"},
             {"useValueForTime", true},
             {"titleFormat", "{{release}} {{phase}}"},
             {"tagKeys", "namespace,release,phase"},
             {"iconColor", "blue"}}}}};
}

Json panel(const Panel& panel, int at) {
  Json targets = Json::array();
  for (const Query& query : panel.queries) {
    Json target = {{"refId", std::string(1, static_cast<char>('A' + targets.size()))},
                   {"datasource", datasource},
                   {"expr", query.expr},
                   {"legendFormat", query.legend}};
    if (panel.traces) target["exemplar"] = true;
    if (std::string_view(panel.kind) == "table") {
      target["instant"] = true;
      target["format"] = "table";
    }
    targets.push_back(std::move(target));
  }
  constexpr int width = 12, height = 8;  // of 24: two in a row
  Json out = {
      {"id", at + 1},
      {"type", panel.kind},
      {"title", panel.title},
      {"datasource", datasource},
      {"gridPos", {{"x", at % 2 * width}, {"y", at / 2 * height}, {"w", width}, {"h", height}}},
      {"fieldConfig", {{"defaults", {{"unit", panel.unit}}}, {"overrides", Json::array()}}},
      {"options", Json::object()},
      {"targets", std::move(targets)}};
  if (*panel.about != '\0') out["description"] = panel.about;
  return out;
}

}  // namespace

Files dashboards() {
  Files out;
  for (const Dashboard& dashboard : table) {
    Json panels = Json::array();
    for (const Panel& one : dashboard.panels)
      panels.push_back(panel(one, static_cast<int>(panels.size())));
    out.emplace_back("dashboards/" + std::string(dashboard.name) + ".json",
                     Json{{"uid", std::string("graymesh-") + dashboard.name},
                          {"title", std::string("graymesh: ") + dashboard.title},
                          {"tags", {"graymesh"}},
                          {"schemaVersion", 38},
                          {"timezone", "browser"},
                          {"refresh", "30s"},
                          {"time", {{"from", "now-1h"}, {"to", "now"}}},
                          {"templating", templating(dashboard)},
                          {"annotations", annotations()},
                          {"panels", std::move(panels)}});
  }
  return out;
}

}  // namespace graymesh::monitoring
