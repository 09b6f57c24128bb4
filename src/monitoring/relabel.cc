// A sidecar's page has, of each cluster that it called (sidecar/bootstrap_stats.cc),
//
//   envoy_cluster_upstream_rq_xx{envoy_response_code_class="5",mesh_namespace="fe-pre",mesh_service="web",
//                                mesh_subset="feature-a",mesh_port="8080"}
//
// and Prometheus keeps
//
//   envoy_cluster_upstream_rq{response_code_class="5xx",namespace="fe-pre",service="web",
//                             canarytag="feature-a",lane="feature-a",stage="gray",port="8080"}
//
// What the proxy counted under Istio's names (control/translate/request_metrics.cc) has a label for
// the whole cluster and one for who answered; they become Istio's labels.
//
// Each series keeps exactly one name. Two of Envoy's families would otherwise answer to the same
// name: answers by class (upstream_rq_xx, which becomes upstream_rq) and answers by code
// (upstream_rq, which becomes upstream_rq_503 and so on).
#include "monitoring/relabel.h"

namespace graymesh::monitoring {

Json to_json(const std::vector<Relabel>& list, Spelling spelling) {
  const bool plain = spelling == Spelling::prometheus;
  Json out = Json::array();
  for (const Relabel& relabel : list) {
    Json one = Json::object();
    if (!relabel.source.empty()) one[plain ? "source_labels" : "sourceLabels"] = relabel.source;
    if (!relabel.regex.empty()) one["regex"] = relabel.regex;
    if (!relabel.target.empty()) {
      one[plain ? "target_label" : "targetLabel"] = relabel.target;
      one["replacement"] = relabel.replacement;
    }
    if (!relabel.action.empty()) one["action"] = relabel.action;
    out.push_back(std::move(one));
  }
  return out;
}

namespace {

// Of "outbound|8080|feature-a|web.fe-pre.svc.cluster.local;", of "inbound|||web.fe-pre.svc...", and
// of clusters that are nobody's service.
void add_destination(const std::string& baseline, std::vector<Relabel>& out) {
  const std::string of_mesh = R"(\.svc(?:\..*)?)";
  const auto add = [&](const char* from, const std::string& regex, const char* target,
                       const char* replacement = "$1") {
    out.push_back({.source = {from},
                   .regex = regex,
                   .target = std::string("destination_") + target,
                   .replacement = replacement});
  };
  add("mesh_cluster", "([^|;]+);?", "service_name");
  add("mesh_cluster", R"(.*\|([^|;]+);?)", "service");
  add("destination_service", "(.+)", "service_name");
  add("destination_service", ".+", "service_namespace", "service-entry");
  add("destination_service", R"(([^.]+)\.[^.]+)" + of_mesh, "service_name");
  add("destination_service", R"([^.]+\.([^.]+))" + of_mesh, "service_namespace");
  add("mesh_cluster", R"(outbound\|\d+\|([^|]+)\|.*)", "canarytag");
  add("destination_canarytag", baseline, "canarytag", "");
  // "workload;namespace;canonical name;canonical revision;cluster"
  add("mesh_workload", "([^;]+);.*", "workload");
  add("mesh_workload", "[^;]*;([^;]+);.*", "workload_namespace");
  add("mesh_workload", "[^;]*;[^;]*;[^;]*;([^;]+);.*", "version");
  // No route led to a cluster, or no service has the port that was called.
  out.push_back({.source = {"reporter", "destination_service_name"},
                 .regex = "[^;]+;",
                 .target = "destination_service_name",
                 .replacement = "unknown"});
}

// The labels of the target are of the proxy that counted: who is called, where that is the
// destination. It does not know who called.
void add_reporters(std::vector<Relabel>& out) {
  constexpr std::pair<const char*, const char*> own[] = {
      {"source_workload", "destination_workload"},
      {"source_namespace", "destination_workload_namespace"},
      {"source_canarytag", "destination_canarytag"},
      {"source_version", "destination_version"},
      {"source_region", "destination_region"},
      {"source_zone", "destination_zone"},
  };
  for (const auto& [from, to] : own)
    out.push_back({.source = {"reporter", from}, .regex = "destination;(.+)", .target = to});
  out.push_back({.source = {"reporter", "source_namespace"},
                 .regex = "source;(.+)",
                 .target = "source_workload_namespace"});
  for (const char* name : {"source_workload", "source_workload_namespace"}) {
    out.push_back(
        {.source = {"reporter"}, .regex = "destination", .target = name, .replacement = "unknown"});
  }
  for (const char* name : {"source_namespace", "source_app", "source_stage", "source_canarytag",
                           "source_version", "source_region", "source_zone"}) {
    out.push_back(
        {.source = {"reporter"}, .regex = "destination", .target = name, .replacement = ""});
  }
}

void add_istio(const std::string& baseline, std::vector<Relabel>& out) {
  out.push_back({.source = {"__name__"}, .regex = "envoy_(istio_.+)", .target = "__name__"});
  add_destination(baseline, out);
  add_reporters(out);
  // The lane of the version that was called, or else of the caller.
  out.push_back({.source = {"reporter", "destination_canarytag", "source_canarytag"},
                 .regex = "[^;]+;(?:([^;]+);.*|;([^;]+))",
                 .target = "lane",
                 .replacement = "$1$2"});
}

}  // namespace

std::vector<Relabel> metrics_of_sidecars(const Description& description) {
  // `baseline` is ours: translate/cluster.cc tells a subset of `stage: normal` so.
  const std::string baseline = "(?:baseline|" + description.baseline_subsets + ")";
  std::vector<Relabel> out = {
      // Repeats of other series, from proxies that keep everything.
      {.source = {"__name__"}, .regex = "envoy_cluster_(?:external|internal)_.*", .action = "drop"},
      // Who is called.
      {.source = {"mesh_namespace"}, .regex = "(.+)", .target = "namespace"},
      {.source = {"mesh_service"}, .regex = "(.+)", .target = "service"},
      {.source = {"mesh_port"}, .regex = "(.+)", .target = "port"},
      // A ServiceEntry's host says nothing of a namespace.
      {.source = {"mesh_host"}, .regex = "(.+)", .target = "service"},
      {.source = {"mesh_host"},
       .regex = ".+",
       .target = "namespace",
       .replacement = "service-entry"},
      // Which version: a subset that is not a baseline's is named after its canarytag, and a lane
      // after the tag it carries. Without a subset it may be any.
      {.source = {"mesh_subset"}, .regex = "(.+)", .target = "canarytag"},
      {.source = {"mesh_subset"}, .regex = ".+", .target = "stage", .replacement = "gray"},
      {.source = {"mesh_subset"}, .regex = baseline, .target = "canarytag", .replacement = ""},
      {.source = {"mesh_subset"}, .regex = baseline, .target = "stage", .replacement = "normal"},
      {.source = {"canarytag"}, .regex = "(.+)", .target = "lane"},
      // Clusters that are nobody's service (inbound, xds-grpc) must not count as one.
      {.source = {"__name__", "mesh_service", "mesh_host"},
       .regex = "envoy_cluster_([^;]+);;",
       .target = "__name__",
       .replacement = "envoy_own_cluster_$1"},
      // By code before by class: the second takes the name that the first has left.
      {.source = {"__name__", "envoy_response_code"},
       .regex = "envoy_cluster_upstream_rq;([1-5][0-9][0-9])",
       .target = "__name__",
       .replacement = "envoy_cluster_upstream_rq_$1"},
      {.source = {"__name__"},
       .regex = "envoy_cluster_upstream_rq_[1-5][0-9][0-9]",
       .target = "envoy_response_code",
       .replacement = ""},
      {.source = {"__name__", "envoy_response_code_class"},
       .regex = "envoy_cluster_upstream_rq_xx;([1-5])",
       .target = "response_code_class",
       .replacement = "${1}xx"},
      {.source = {"__name__"},
       .regex = "envoy_cluster_upstream_rq_xx",
       .target = "envoy_response_code_class",
       .replacement = ""},
      {.source = {"__name__"},
       .regex = "envoy_cluster_upstream_rq_xx",
       .target = "__name__",
       .replacement = "envoy_cluster_upstream_rq"},
  };
  add_istio(baseline, out);
  out.push_back({.regex = "mesh_.+", .action = "labeldrop"});
  return out;
}

std::vector<Relabel> pods() {
  const auto of_label = [](const char* label, const char* target) {
    return Relabel{.source = {"__meta_kubernetes_pod_label_" + std::string(label)},
                   .regex = "(.+)",
                   .target = target};
  };
  return {
      {.source = {"__meta_kubernetes_pod_container_name"},
       .regex = "istio-proxy|graymesh-proxy",
       .action = "keep"},
      // The proxy's own page, whatever ports the pod declares.
      {.source = {"__meta_kubernetes_pod_ip"},
       .regex = "([0-9.]+)",
       .target = "__address__",
       .replacement = "$1:15090"},
      {.source = {"__meta_kubernetes_pod_ip"},
       .regex = "(.*:.*)",
       .target = "__address__",
       .replacement = "[$1]:15090"},
      {.source = {"__meta_kubernetes_namespace"}, .target = "source_namespace"},
      {.source = {"__meta_kubernetes_pod_name"}, .target = "pod"},
      {.source = {"__meta_kubernetes_pod_controller_name"}, .target = "source_workload"},
      of_label("app", "source_app"),
      of_label("stage", "source_stage"),
      of_label("canarytag", "source_canarytag"),
      of_label("version", "source_version"),
      // Kubernetes 1.35 and newer give pods the labels of their node's place.
      of_label("topology_kubernetes_io_region", "source_region"),
      of_label("topology_kubernetes_io_zone", "source_zone"),
      {.regex = ".*", .target = "job", .replacement = "graymesh-sidecars"},
      // The operator's own `namespace` is of the proxy; ours, of the called service, comes later.
      {.regex = "namespace|container|endpoint", .action = "labeldrop"},
  };
}

}  // namespace graymesh::monitoring
