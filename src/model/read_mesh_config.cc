// Istio's MeshConfig: what has effect here is read, what Istio knows besides is accepted with a
// warning, and what nobody knows is an error.
#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "base/hash.h"
#include "model/kinds.h"
#include "model/model.h"
#include "model/rules.h"
#include "model/rules_text.h"
#include "model/tree.h"

namespace graymesh::model {
namespace {

void read_lane_header(Fields& f, const Element& own, MeshConfig& out) {
  if (!own.is_scalar() || !check_header_name(own.text).empty()) {
    f.reading().error(own, {}, check_header_name(""));
    return;
  }
  out.lane_header = own.text;
  std::transform(out.lane_header.begin(), out.lane_header.end(), out.lane_header.begin(),
                 rules::to_lower);
}

// What a YAML 1.1 writer makes of a bare off and on (kubectl, Python's yaml) is no other word.
bool is_off(const Element& own) {
  return own.is_scalar() && (own.text == "off" || own.text == "false");
}
bool is_on(const Element& own) {
  return own.is_scalar() && (own.text == "on" || own.text == "true");
}

// "off", or the share of requests without a lane that is told too: "1%", "0.5%".
void read_lane_log(Fields& f, const Element& own, MeshConfig& out) {
  if (is_off(own)) {
    out.lane_log = false;
    return;
  }
  double percent = -1;
  const char* const end = own.text.data() + own.text.size();
  const auto [rest, fault] = std::from_chars(own.text.data(), end, percent);
  if (!own.is_scalar() || fault != std::errc() || std::string_view(rest, end) != "%" ||
      !(percent >= 0 && percent <= 100)) {
    f.reading().error(own, {}, "must be off, or 0% to 100%");
    return;
  }
  out.lane_log_others = static_cast<std::uint32_t>(std::lround(percent * 10'000));
}

void read_switch(Fields& f, const Element& own, bool& out) {
  if (is_on(own) || is_off(own))
    out = is_on(own);
  else
    f.reading().error(own, {}, "must be on or off");
}

// A map of environment variables, of which some are ours.
void read_proxy_metadata(Fields& f, MeshConfig& out) {
  const Element* metadata = f.find("proxyMetadata");
  if (metadata == nullptr) return;
  const auto find = [&](std::string_view name) {
    return metadata->is_mapping() ? metadata->find(name) : nullptr;
  };
  const Element* header = find("GRAYMESH_LANE_HEADER");
  const Element* log = find("GRAYMESH_LANE_LOG");
  const Element* metrics = find("GRAYMESH_REQUEST_METRICS");
  const Element* vhds = find("GRAYMESH_VHDS");
  std::size_t ours = 0;
  for (const Element* own : {header, log, metrics, vhds}) ours += own != nullptr ? 1 : 0;
  if (ours == 0 || metadata->size > ours) f.without_effect({"proxyMetadata"});
  if (header != nullptr) read_lane_header(f, *header, out);
  if (log != nullptr) read_lane_log(f, *log, out);
  if (metrics != nullptr) read_switch(f, *metrics, out.request_metrics);
  if (vhds != nullptr) read_switch(f, *vhds, out.vhds);
}

// A service as providers name it: "collector.tracing.svc.cluster.local", or "tracing/" before it.
std::string host_of_provider(std::string_view service) {
  const auto slash = service.find('/');
  return std::string(slash == std::string_view::npos ? service : service.substr(slash + 1));
}

void read_otlp_http(Fields& f, Tracing::Http& out) {
  f.text("path", out.path);
  if (!out.path.starts_with('/')) f.error("path", "must start with '/'");
  f.duration("timeout", out.timeout);
  f.list("headers", out.headers, [](Fields& header, std::pair<std::string, std::string>& to) {
    header.text("name", to.first, check_header_name);
    header.text("value", to.second);
    header.without_effect({"envName"});
    header.require("name");
  });
}

void read_otlp(Fields& f, Tracing& out) {
  std::string service;
  f.text("service", service);
  if (f.require("service")) {
    out.host = host_of_provider(service);
    if (!check_host(out.host).empty()) f.error("service", check_host(out.host));
  }
  f.number("port", out.port, port_range);
  (void)f.require("port");
  f.number("maxTagLength", out.max_tag_length);
  f.object("http", out.http, read_otlp_http);
  // The sidecar always reads its environment, where its name is.
  f.known({"resourceDetectors"});
  f.without_effect({"grpc", "dynatraceSampler"});
}

// All of Istio's kinds of providers; of these, one has effect.
struct Provider {
  std::string name;
  std::optional<Tracing> otlp;
};

void read_provider(Fields& f, Provider& out) {
  f.text("name", out.name);
  (void)f.require("name");
  f.object("opentelemetry", out.otlp, read_otlp);
  f.without_effect({"envoyExtAuthzHttp", "envoyExtAuthzGrpc", "zipkin", "lightstep", "datadog",
                    "stackdriver", "opencensus", "skywalking", "prometheus", "envoyFileAccessLog",
                    "envoyHttpAls", "envoyTcpAls", "envoyOtelAls", "sds"});
}

// Istio's defaultProviders.tracing: the first of them that is there, and can trace.
void read_tracing(Fields& f, MeshConfig& out) {
  std::vector<Provider> providers;
  std::vector<std::string> wanted;
  bool enabled = false;
  f.list("extensionProviders", providers, read_provider);
  f.visit("defaultProviders", [&](Fields& defaults) {
    defaults.texts("tracing", wanted);
    defaults.without_effect({"metrics", "accessLogging"});
  });
  f.flag("enableTracing", enabled);
  for (const std::string& name : wanted) {
    const auto found = std::ranges::find(providers, name, &Provider::name);
    if (found == providers.end()) {
      f.error("defaultProviders", fmt::format("{}: no such extensionProviders", name));
    } else if (found->otlp && !out.tracing) {
      out.tracing = found->otlp;
    }
  }
  if (enabled && !out.tracing) {
    f.warn("enableTracing",
           "has no effect without an opentelemetry provider in defaultProviders.tracing");
  }
}

void read_proxy_config(Fields& f, MeshConfig& out) {
  read_proxy_metadata(f, out);
  f.visit("tracing", [&](Fields& tracing) {
    std::optional<double> sampling;
    tracing.real("sampling", sampling, 0, 100);
    if (sampling && out.tracing) out.tracing->sampling = *sampling;
    if (sampling && !out.tracing) tracing.warn("sampling", "has no effect: no provider traces");
    tracing.without_effect({"zipkin", "lightstep", "datadog", "stackdriver", "openCensusAgent",
                            "customTags", "maxPathTagLength", "tlsSettings", "enableIstioTags"});
  });
  f.number("concurrency", out.concurrency, {0, std::numeric_limits<std::int32_t>::max()});
  f.without_effect({"configPath",
                    "binaryPath",
                    "serviceCluster",
                    "tracingServiceName",
                    "drainDuration",
                    "discoveryAddress",
                    "discoveryRefreshDelay",
                    "zipkinAddress",
                    "statsdUdpAddress",
                    "envoyMetricsServiceAddress",
                    "proxyAdminPort",
                    "availabilityZone",
                    "controlPlaneAuthPolicy",
                    "customConfigFile",
                    "statNameLength",
                    "proxyBootstrapTemplatePath",
                    "interceptionMode",
                    "sds",
                    "envoyAccessLogService",
                    "envoyMetricsService",
                    "runtimeValues",
                    "statusPort",
                    "extraStatTags",
                    "gatewayTopology",
                    "terminationDrainDuration",
                    "meshId",
                    "readinessProbe",
                    "proxyStatsMatcher",
                    "holdApplicationUntilProxyStarts",
                    "caCertificatesPem",
                    "image",
                    "privateKeyProvider",
                    "proxyHeaders",
                    "fileFlushInterval",
                    "fileFlushMinSizeKb",
                    "statsCompression",
                    "connectionSettings"});
}

void read_ports(Fields& f, MeshConfig& out) {
  f.number("proxyListenPort", out.proxy_listen_port, port_range);
  f.number("proxyInboundListenPort", out.proxy_inbound_listen_port, port_range);
  f.number("proxyHttpPort", out.proxy_http_port, {0, 65535});
}

void read_timeouts(Fields& f, MeshConfig& out) {
  std::optional<Duration> connect;
  f.duration("connectTimeout", connect);
  if (connect) out.connect_timeout = *connect;
  if (connect && (*connect < std::chrono::milliseconds(1) || *connect > std::chrono::hours(1)))
    f.error("connectTimeout", "must be 1ms to 1h");
  f.duration("protocolDetectionTimeout", out.protocol_detection_timeout,
             DurationRule::zero_or_milliseconds);
  f.object("tcpKeepalive", out.tcp_keepalive, read_tcp_keepalive);
}

void read_access_log(Fields& f, MeshConfig& out) {
  f.text("accessLogFile", out.access_log_file);
  f.text("accessLogFormat", out.access_log_format);
  f.choice<bool>("accessLogEncoding", out.access_log_json, {{"TEXT", false}, {"JSON", true}});
}

void read_export_defaults(Fields& f, MeshConfig& out) {
  constexpr Check scope = [](std::string_view text) -> std::string_view {
    return text == "." || text == "*" || text == "~" || is_dns_label(text)
               ? ""
               : "must be '.', '*' or a namespace";
  };
  f.texts("defaultServiceExportTo", out.default_service_export_to, scope);
  f.texts("defaultVirtualServiceExportTo", out.default_virtual_service_export_to, scope);
  f.texts("defaultDestinationRuleExportTo", out.default_destination_rule_export_to, scope);
}

void read_routing(Fields& f, MeshConfig& out) {
  using Upgrade = ConnectionPool::H2Upgrade;
  using Path = MeshConfig::Normalization;
  f.visit("outboundTrafficPolicy", [&](Fields& policy) {
    std::optional<OutboundTraffic> mode;
    read_outbound_traffic(policy, mode);
    out.outbound_traffic = mode.value_or(OutboundTraffic::allow_any);
    policy.without_effect({"tls"});
  });
  f.choice<Upgrade>("h2UpgradePolicy", out.h2_upgrade,
                    {{"DO_NOT_UPGRADE", Upgrade::do_not_upgrade}, {"UPGRADE", Upgrade::upgrade}});
  f.object("defaultHttpRetryPolicy", out.default_http_retry_policy, read_retries);
  f.object("localityLbSetting", out.locality_lb,
           [](Fields& fields, LocalityLb& locality) { read_locality_lb(fields, true, locality); });
  f.visit("pathNormalization", [&](Fields& path) {
    path.choice<Path>("normalization", out.path_normalization,
                      {{"DEFAULT", Path::default_},
                       {"NONE", Path::none},
                       {"BASE", Path::base},
                       {"MERGE_SLASHES", Path::merge_slashes},
                       {"DECODE_AND_MERGE_SLASHES", Path::decode_and_merge_slashes}});
  });
}

void read_fields(Fields& f, MeshConfig& out) {
  f.text("rootNamespace", out.root_namespace, check_namespace);
  read_ports(f, out);
  read_timeouts(f, out);
  read_access_log(f, out);
  read_routing(f, out);
  read_export_defaults(f, out);
  read_tracing(f, out);
  f.visit("defaultConfig", [&](Fields& proxy) { read_proxy_config(proxy, out); });
  f.without_effect({"hboneIdleTimeout",
                    "ingressService",
                    "ingressClass",
                    "ingressControllerMode",
                    "ingressSelector",
                    "enableEnvoyAccessLogService",
                    "disableEnvoyListenerLog",
                    "inboundTrafficPolicy",
                    "configSources",
                    "enableAutoMtls",
                    "trustDomain",
                    "trustDomainAliases",
                    "caCertificates",
                    "zoneAwareLbSetting",
                    "dnsRefreshRate",
                    "inboundClusterStatName",
                    "outboundClusterStatName",
                    "certificates",
                    "serviceSettings",
                    "serviceScopeConfigs",
                    "enablePrometheusMerge",
                    "verifyCertificateAtClient",
                    "ca",
                    "discoverySelectors",
                    "meshMTLS",
                    "tlsDefaults",
                    "defaultTrafficPolicy",
                    "defaultInboundHttpRetryPolicy",
                    "serviceEntryVisibility"});
}

class MeshConfigReader {
 public:
  explicit MeshConfigReader(const std::string& file) { reading_.file = file; }

  ReadMeshConfig run(std::string_view bytes) {
    const auto pieces = split(bytes, 2);
    if (pieces.size() > 1)
      fail(pieces[1].line, "must be one document");
    else if (!pieces.empty())
      read(bytes.substr(pieces[0].begin, pieces[0].end - pieces[0].begin), pieces[0].line, true);
    ReadMeshConfig result{.config = std::move(config_),
                          .errors = std::move(reading_.errors),
                          .warnings = std::move(reading_.warnings)};
    result.config.content = pieces.empty() ? 0 : hash64(bytes);
    return result;
  }

 private:
  void fail(int line, std::string rule) {
    reading_.errors.push_back({.severity = Problem::Severity::error,
                               .position = {reading_.file, line},
                               .object = "MeshConfig",
                               .field = {},
                               .value = {},
                               .rule = std::move(rule)});
  }

  void read(std::string_view text, int line, bool outer) {
    const Tree tree = parse(text, line);
    if (tree.fault) return fail(tree.fault->line, tree.fault->rule);
    if (tree.root == nullptr || tree.root->is_null()) return;
    reading_.root = tree.root;
    reading_.object = "MeshConfig";
    const Element* kind = tree.root->find("kind");
    if (outer && kind != nullptr && kind->text == "ConfigMap") return read_config_map(*tree.root);
    for (const Element* duplicate : tree.duplicates)
      reading_.error(*duplicate, {}, "must be given only once");
    Fields f(reading_, *tree.root);
    read_fields(f, config_);
    f.close();
  }

  void read_config_map(const Element& root) {
    const Element* data = root.find("data");
    const Element* mesh = data != nullptr ? data->find("mesh") : nullptr;
    if (mesh == nullptr || !mesh->is_scalar())
      return fail(root.line, "must have data.mesh in the ConfigMap, a text");
    // A block's text begins on the line after its `|`.
    const std::string inner(mesh->text);
    read(inner, mesh->value_line + (mesh->block ? 1 : 0), false);
  }

  Reading reading_;
  MeshConfig config_;
};

}  // namespace

ReadMeshConfig read_mesh_config(std::string_view bytes, const std::string& file) {
  return MeshConfigReader(file).run(bytes);
}

}  // namespace graymesh::model
