// The alerts, as a table. Expressions see the names of relabel.cc and of graymeshd's /metrics.
//
// An alert of a service has the labels namespace and service and, where it speaks of one version,
// canarytag, stage and lane. Rates are over 1 minute, the least that a scrape interval of 15 s
// gives; what must not wake anybody for a hiccup holds for a while.
#include <fmt/core.h>

#include "monitoring/rules.h"

namespace graymesh::monitoring {

using namespace std::chrono_literals;

namespace {

// The three that our users have, word for word. The ones below them are what they are meant to be.
const std::vector<Alert> given_table = {
    {.name = "NoAvailableService",
     .expr =
         R"(sum(envoy_cluster_upstream_cx_active{namespace!="fe-pre"}) by (namespace, service) < 1)",
     .severity = "info",
     .summary = "Nobody is connected to {{ $labels.service }}.{{ $labels.namespace }}"},
    {.name = "ServiceAnswered503",
     .expr = R"(sum by(namespace, service) (rate(envoy_cluster_upstream_rq_503[1m])) > 0)",
     .severity = "info",
     .summary = "{{ $labels.service }}.{{ $labels.namespace }} answered 503"},
    {.name = "BusinessIrregularity",
     .expr =
         R"(sum by(namespace, service) (rate(envoy_cluster_upstream_rq{response_code_class!="2xx"}[1m])) != 0)",
     .severity = "info",
     .summary = "{{ $labels.service }}.{{ $labels.namespace }} answered otherwise than 2xx"},
};

const std::vector<Alert> service_table = {
    // Called, and not one instance answered a byte, of whatever protocol. A service that was never
    // called, or whose connections are idle and closed, is not down.
    {.name = "ServiceUnavailable",
     .expr = R"((
  sum by (namespace, service) (rate(envoy_cluster_upstream_cx_none_healthy[1m])) > 0
    or sum by (namespace, service) (rate(envoy_cluster_upstream_cx_connect_fail[1m])) > 0
)
unless on (namespace, service)
  sum by (namespace, service) (rate(envoy_cluster_upstream_cx_rx_bytes_total[1m])) > 0)",
     .hold = 30s,
     .severity = "page",
     .summary = "Calls of {{ $labels.service }}.{{ $labels.namespace }} reach no instance"},
    // Known before anybody calls. What was never there is not missed.
    {.name = "ServiceHasNoInstance",
     .expr = R"(sum by (namespace, service) (graymesh_service_endpoints{health="healthy"}) == 0
and on (namespace, service)
  max by (namespace, service) (max_over_time(graymesh_service_endpoints{health="healthy"}[1h])) > 0)",
     .hold = 30s,
     .severity = "page",
     .summary = "{{ $labels.service }}.{{ $labels.namespace }} has no healthy instance left"},
    // The second half is for a counter that is born with its first 503: it has no rate yet.
    {.name = "ServiceAnswers503",
     .expr =
         R"(sum by (namespace, service, canarytag, stage, lane) (rate(envoy_cluster_upstream_rq_503[1m]))
  / on (namespace, service, canarytag, stage, lane)
    sum by (namespace, service, canarytag, stage, lane) (rate(envoy_cluster_upstream_rq[1m])) > 0.01
or
  sum by (namespace, service, canarytag, stage, lane) (
    envoy_cluster_upstream_rq_503 unless envoy_cluster_upstream_rq_503 offset 1m
      and on (pod) up{job="graymesh-sidecars"} offset 1m == 1) > 0)",
     .hold = 15s,
     .severity = "page",
     .summary =
         "{{ $labels.service }}.{{ $labels.namespace }} answers 503: {{ $value | humanize }}"},
    // No traffic is no error: without requests there is no share.
    {.name = "ServiceErrors",
     .expr =
         R"(sum by (namespace, service, canarytag, stage, lane) (rate(envoy_cluster_upstream_rq{response_code_class="5xx"}[1m]))
  / on (namespace, service, canarytag, stage, lane)
    (sum by (namespace, service, canarytag, stage, lane) (rate(envoy_cluster_upstream_rq[1m])) > 0) > 0.05)",
     .hold = 30s,
     .severity = "page",
     .summary = "{{ $value | humanizePercentage }} of the answers of {{ $labels.service }}.{{ "
                "$labels.namespace }} are 5xx"},
    // 3xx is not 4xx, and 4xx is often the client's: a share that is high and new.
    {.name = "ServiceRefusesRequests",
     .expr =
         R"(sum by (namespace, service, canarytag, stage, lane) (rate(envoy_cluster_upstream_rq{response_code_class="4xx"}[5m]))
  / on (namespace, service, canarytag, stage, lane)
    (sum by (namespace, service, canarytag, stage, lane) (rate(envoy_cluster_upstream_rq[5m])) > 0) > 0.25)",
     .hold = 300s,
     .severity = "ticket",
     .summary = "{{ $value | humanizePercentage }} of the answers of {{ $labels.service }}.{{ "
                "$labels.namespace }} are 4xx"},
    // A gray version is judged by the baseline at the same time, not by a number.
    {.name = "GrayWorseThanBaseline",
     .expr = R"((
  sum by (namespace, service, canarytag, lane) (rate(envoy_cluster_upstream_rq{stage="gray",response_code_class="5xx"}[5m]))
    / on (namespace, service, canarytag, lane)
      (sum by (namespace, service, canarytag, lane) (rate(envoy_cluster_upstream_rq{stage="gray"}[5m])) > 0)
) > 0.02
and on (namespace, service, canarytag, lane) (
  sum by (namespace, service, canarytag, lane) (rate(envoy_cluster_upstream_rq{stage="gray",response_code_class="5xx"}[5m]))
    / on (namespace, service, canarytag, lane)
      (sum by (namespace, service, canarytag, lane) (rate(envoy_cluster_upstream_rq{stage="gray"}[5m])) > 0)
  > on (namespace, service) group_left ()
    2 * (
      (sum by (namespace, service) (rate(envoy_cluster_upstream_rq{stage="normal",response_code_class="5xx"}[5m]))
         or 0 * sum by (namespace, service) (rate(envoy_cluster_upstream_rq{stage="normal"}[5m])))
      / on (namespace, service)
        (sum by (namespace, service) (rate(envoy_cluster_upstream_rq{stage="normal"}[5m])) > 0))))",
     .hold = 60s,
     .severity = "page",
     .summary = "{{ $labels.canarytag }} of {{ $labels.service }}.{{ $labels.namespace }} fails "
                "{{ $value | humanizePercentage }} of its requests, twice the baseline or more"},
    // A series that vanished is not health.
    {.name = "ServiceTelemetryVanished",
     .expr = R"(group by (namespace, service) (envoy_cluster_upstream_rq_total offset 10m)
unless on (namespace, service)
  group by (namespace, service) (envoy_cluster_upstream_rq_total)
and on (namespace, service)
  sum by (namespace, service) (graymesh_service_endpoints{health="healthy"}) > 0)",
     .hold = 60s,
     .severity = "ticket",
     .summary = "No proxy tells of {{ $labels.service }}.{{ $labels.namespace }} any more, which "
                "was called 10 minutes ago"},
};

const std::vector<Alert> mesh_table = {
    {.name = "ControlPlaneDown",
     .expr = R"(up{job="graymeshd"} == 0 or absent(up{job="graymeshd"}))",
     .hold = 30s,
     .severity = "page",
     .about = About::mesh,
     .summary =
         "graymeshd {{ $labels.instance }} does not answer: proxies go on with what they have"},
    // Each time it is back before ControlPlaneDown, and its counters begin anew.
    {.name = "ControlPlaneRestarts",
     .expr = R"(changes(process_start_time_seconds{job="graymeshd"}[10m]) > 2)",
     .hold = 0s,
     .severity = "page",
     .about = About::mesh,
     .summary = "graymeshd {{ $labels.instance }} began anew {{ $value }} times in 10 minutes"},
    {.name = "ProxiesCutOff",
     .expr = R"(count(envoy_control_plane_connected_state == 0) > 0)",
     .hold = 60s,
     .severity = "page",
     .about = About::mesh,
     .summary = "{{ $value }} proxies are not connected to a control plane"},
    {.name = "SidecarNotScraped",
     .expr = R"(up{job="graymesh-sidecars"} == 0)",
     .hold = 60s,
     .severity = "ticket",
     .about = About::mesh,
     .summary =
         "The statistics of {{ $labels.pod }}.{{ $labels.source_namespace }} cannot be read"},
    {.name = "ProxyMissing",
     .expr = R"(graymesh_proxies_missing > 0)",
     .hold = 60s,
     .severity = "page",
     .about = About::mesh,
     .summary = "{{ $value }} instances are ready, but their proxies are not connected"},
    {.name = "ProxyStale",
     .expr = R"(graymesh_proxy_stale_seconds > 30)",
     .hold = 0s,
     .severity = "ticket",
     .about = About::mesh,
     .summary = "{{ $labels.pod }}.{{ $labels.source_namespace }} has not ACKed for {{ $value | "
                "humanizeDuration }}"},
    {.name = "ProxyRefusesConfiguration",
     .expr = R"(graymesh_proxy_refusals > 0)",
     .hold = 30s,
     .severity = "page",
     .about = About::mesh,
     .summary = "{{ $value }} resources ({{ $labels.type }}) are refused by proxies, which keep "
                "the old ones"},
    {.name = "NacksRise",
     .expr = R"(sum by (type) (increase(graymesh_xds_nacks_total[5m])) > 0)",
     .hold = 0s,
     .severity = "ticket",
     .about = About::mesh,
     .summary =
         "Proxies answered {{ $value | humanize }} NACKs of {{ $labels.type }} in 5 minutes"},
    {.name = "ConfigurationRefused",
     .expr =
         R"(sum by (kind) (graymesh_objects_refused) > 0 or sum(graymesh_documents_refused_nameless) > 0)",
     .hold = 60s,
     .severity = "ticket",
     .about = About::mesh,
     .summary = "{{ $value }} documents ({{ $labels.kind }}) break a rule: their last good state "
                "serves"},
    {.name = "PushSlow",
     .expr =
         R"(histogram_quantile(0.99, sum by (le) (rate(graymesh_xds_convergence_seconds_bucket[5m]))) > 5)",
     .hold = 60s,
     .severity = "ticket",
     .about = About::mesh,
     .summary = "A change takes {{ $value | humanizeDuration }} (p99) to reach a proxy"},
    // More connections than proxies stand: they come and go.
    {.name = "ReconnectStorm",
     .expr =
         R"(sum(increase(graymesh_xds_streams_opened_total[2m])) > 10 and sum(increase(graymesh_xds_streams_opened_total[2m])) > 2 * sum(graymesh_xds_streams))",
     .hold = 30s,
     .severity = "page",
     .about = About::mesh,
     .summary = "Proxies connected {{ $value | humanize }} times in 2 minutes, more than twice "
                "their number"},
    // What comes back knows other versions of everything: replicas that make different things of
    // the same objects, or another program than before. One proxy of many is no matter.
    {.name = "ProxiesSentAllAgain",
     .expr =
         R"(sum by (type) (increase(graymesh_xds_resyncs_total[5m])) > 0.1 * scalar(sum(graymesh_xds_streams)))",
     .hold = 0s,
     .severity = "ticket",
     .about = About::mesh,
     .summary = "{{ $value | humanize }} proxies that came back in 5 minutes were sent all of "
                "their {{ $labels.type }} again"},
    // 4294967295 days: the proxy has no certificate.
    {.name = "CertificateNearItsEnd",
     .expr = R"(min by (pod, source_namespace) (envoy_server_days_until_first_cert_expiring < 14))",
     .hold = 0s,
     .severity = "page",
     .about = About::mesh,
     .summary = "A certificate of {{ $labels.pod }}.{{ $labels.source_namespace }} ends in {{ "
                "$value }} days"},
    {.name = "LaneLeaks",
     .expr = R"(sum by (namespace, lane, service, to) (graymesh_lane_lost_requests)
  > sum by (namespace, lane, service, to) (graymesh_lane_lost_requests offset 5m)
or
  sum by (namespace, lane, service, to) (graymesh_lane_lost_requests) > 0
    unless sum by (namespace, lane, service, to) (graymesh_lane_lost_requests offset 5m)
      and on () up{job="graymeshd"} offset 5m == 1)",
     .hold = 0s,
     .severity = "ticket",
     .summary =
         "{{ $labels.service }} loses lane {{ $labels.lane }} when it calls {{ $labels.to }}"},
    {.name = "ReleaseStuck",
     .expr = R"(time() - graymesh_release_phase_started_seconds{waits="mesh"} > 300)",
     .hold = 0s,
     .severity = "page",
     .about = About::release,
     .summary = "Release {{ $labels.release }} is in phase {{ $labels.phase }} for {{ $value | "
                "humanizeDuration }}"},
    {.name = "ReleaseMissesProxies",
     .expr = R"(graymesh_release_proxies_missing > 0)",
     .hold = 60s,
     .severity = "ticket",
     .about = About::release,
     .summary = "{{ $value }} proxies have not taken the change of release {{ $labels.release }}"},
};

const std::vector<Alert> own_table = {
    // Always fires: who hears it no more knows that nobody would tell him anything.
    {.name = "Watchdog",
     .expr = "vector(1)",
     .severity = "info",
     .about = About::mesh,
     .summary = "Prometheus and Alertmanager are there"},
    {.name = "MonitoringDown",
     .expr = R"(up{job=~"prometheus|alertmanager"} == 0)",
     .hold = 60s,
     .severity = "page",
     .about = About::mesh,
     .summary = "{{ $labels.job }} {{ $labels.instance }} does not answer"},
    {.name = "RulesFail",
     .expr = R"(increase(prometheus_rule_evaluation_failures_total[5m]) > 0)",
     .hold = 0s,
     .severity = "ticket",
     .about = About::mesh,
     .summary = "Rules of {{ $labels.instance }} cannot be evaluated: {{ $labels.rule_group }}"},
};

}  // namespace

std::vector<Alert> rules_as_given() { return given_table; }
std::vector<Alert> service_alerts() { return service_table; }
std::vector<Alert> mesh_alerts() { return mesh_table; }
std::vector<Alert> own_alerts() { return own_table; }

// Google's multi-window, multi-burn-rate alerts (The Site Reliability Workbook, chapter 5): a
// budget of 30 days that goes 14.4 times too fast is gone by 2 % in an hour. The short window ends
// the alert soon after the burning ends.
std::vector<Alert> slo_alerts(const Slo& slo) {
  struct Window {
    const char* name;
    const char* longer;
    const char* shorter;
    double burn;
    const char* severity;
  };
  constexpr Window windows[] = {{"Fast", "1h", "5m", 14.4, "page"},
                                {"Medium", "6h", "30m", 6, "page"},
                                {"Slow", "1d", "2h", 3, "ticket"},
                                {"Steady", "3d", "6h", 1, "ticket"}};
  std::vector<Alert> out;
  const auto add = [&](const char* what, const char* record, double objective,
                       const Window& window) {
    const std::string of =
        fmt::format(R"({{namespace="{}",service="{}"}})", slo.namespace_, slo.service);
    const double limit = window.burn * (100 - objective) / 100;
    out.push_back({.name = fmt::format("{}Burns{}", what, window.name),
                   .expr = fmt::format("{0}{1}{2} > {4:.8g}\nand {0}{3}{2} > {4:.8g}", record,
                                       window.longer, of, window.shorter, limit),
                   .severity = window.severity,
                   .summary = fmt::format(
                       "{{{{ $labels.service }}}}.{{{{ $labels.namespace }}}}: {{{{ $value | "
                       "humanizePercentage }}}} {} over {}, more than {:g} times what {:g} % over "
                       "30 days allows",
                       std::string_view(what) == "Availability" ? "errors" : "too slow",
                       window.longer, window.burn, objective)});
  };
  for (const Window& window : windows) {
    add("Availability", "graymesh:errors:ratio_rate", slo.availability, window);
    if (slo.threshold) add("Latency", "graymesh:slow:ratio_rate", slo.target, window);
  }
  return out;
}

std::vector<std::string> alert_names() {
  std::vector<std::string> out;
  const Slo every{.namespace_ = "n", .service = "s", .availability = 99, .threshold = 1ms};
  for (const auto& alerts :
       {rules_as_given(), service_alerts(), mesh_alerts(), own_alerts(), slo_alerts(every)}) {
    for (const Alert& alert : alerts) out.push_back(alert.name);
  }
  return out;
}

}  // namespace graymesh::monitoring
