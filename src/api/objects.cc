#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "api/pages.h"
#include "base/json.h"
#include "model/json.h"

namespace graymesh::api {
namespace {

using model::Kind;
using nlohmann::json;

constexpr std::array<NamedKind, 24> named_kinds = {{
    {Kind::namespace_, "Namespace", "ns"},
    {Kind::node, "Node", "no"},
    {Kind::pod, "Pod", "po"},
    {Kind::service, "Service", "svc"},
    {Kind::endpoint_slice, "EndpointSlice", "eps"},
    {Kind::virtual_service, "VirtualService", "vs"},
    {Kind::destination_rule, "DestinationRule", "dr"},
    {Kind::service_entry, "ServiceEntry", "se"},
    {Kind::workload_entry, "WorkloadEntry", "we"},
    {Kind::gateway, "Gateway", "gw"},
    {Kind::sidecar, "Sidecar", "sc"},
    {Kind::application, "Application", "app"},
    {Kind::gray_release, "GrayRelease", "gr"},
    {Kind::lane, "Lane", "lane"},
    {Kind::environment, "Environment", "env"},
    {Kind::unsupported, "AuthorizationPolicy", "ap"},
    {Kind::unsupported, "PeerAuthentication", "pa"},
    {Kind::unsupported, "RequestAuthentication", "ra"},
    {Kind::unsupported, "EnvoyFilter", ""},
    {Kind::unsupported, "ProxyConfig", ""},
    {Kind::unsupported, "WorkloadGroup", "wg"},
    {Kind::unsupported, "Telemetry", "telemetry"},
    {Kind::unsupported, "WasmPlugin", ""},
    {Kind::unsupported, "TrafficExtension", ""},
}};

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

// "VirtualService" is meant by virtualservice, virtualservices and vs; "WorkloadEntry" by
// workloadentries.
bool means(std::string_view word, const NamedKind& kind) {
  const std::string name = lower(kind.name);
  const std::string asked = lower(word);
  if (asked == name || (asked == kind.brief && !asked.empty()) || asked == name + "s") return true;
  return name.ends_with('y') && asked == name.substr(0, name.size() - 1) + "ies";
}

json problems(const std::vector<model::Problem>& list) {
  json out = json::array();
  for (const auto& problem : list) out.push_back(to_json(problem));
  return out;
}

json object(const model::Key& key, const source::Entry& entry,
            const std::vector<model::Problem>& across) {
  const auto [kind, own_name] = model::kind_and_name(key);
  json out = {{"kind", kind},
              {"namespace", key.namespace_},
              {"name", own_name},
              {"state", state_of(key, entry)},
              {"file", entry.position.file},
              {"line", entry.position.line},
              {"errors", problems(entry.errors)},
              {"warnings", json::array()},
              {"problems", json::array()}};
  if (entry.serving) {
    out["apiVersion"] = entry.serving->meta.api_version;
    out["kind"] = entry.serving->meta.api_kind;
    out["revision"] = fmt::format("{:016x}", entry.serving->meta.content);
    out["labels"] = entry.serving->meta.labels;
    out["warnings"] = problems(entry.serving->warnings);
    out["text"] = entry.serving->text;
    if (auto parsed = model::to_json(entry.serving->text)) {
      out["object"] = json::parse(*parsed, nullptr, false);
    }
  }
  const std::string name = to_string(key);
  for (const auto& problem : across) {
    if (problem.object == name) out["problems"].push_back(to_json(problem));
  }
  return out;
}

}  // namespace

model::Key NamedKind::key(std::string namespace_, std::string_view object) const {
  return {kind, std::move(namespace_),
          kind == Kind::unsupported ? fmt::format("{}/{}", name, object) : std::string(object)};
}

bool NamedKind::has(const model::Key& key) const {
  return key.kind == kind && (kind != Kind::unsupported || model::kind_and_name(key).first == name);
}

std::string_view state_of(const model::Key& key, const source::Entry& entry) {
  if (!entry.errors.empty()) return entry.serving ? "last-good" : "refused";
  return key.kind == Kind::unsupported ? "unsupported" : "serving";
}

Result<NamedKind> kind_named(std::string_view word) {
  std::string known;
  for (const auto& kind : named_kinds) {
    if (means(word, kind)) return kind;
    if (kind.kind == Kind::unsupported) continue;
    known += fmt::format("{}{} ({})", known.empty() ? "" : ", ", kind.name, kind.brief);
  }
  return Error{Code::not_found,
               fmt::format("kind {} is not known, must be one of {}", word, known)};
}

json to_json(const model::Problem& problem) {
  return {{"severity", problem.severity == model::Problem::Severity::error ? "error" : "warning"},
          {"file", problem.position.file},
          {"line", problem.position.line},
          {"object", problem.object},
          {"field", problem.field},
          {"value", problem.value},
          {"rule", problem.rule},
          {"message", to_string(problem)}};
}

json objects_page(const push::State& state, const ObjectQuery& query) {
  json items = json::array();
  const auto kind = kind_named(query.kind);
  const auto across = state.snapshot->problems();
  for (const auto& [key, entry] : state.objects->entries) {
    if (!query.kind.empty() && (!kind || !kind->has(key))) continue;
    if (!query.namespace_.empty() && key.namespace_ != query.namespace_) continue;
    if (!query.name.empty() && model::kind_and_name(key).second != query.name) continue;
    if (!query.state.empty() && state_of(key, entry) != query.state) continue;
    items.push_back(object(key, entry, across));
  }
  return {{"snapshot", state.snapshot->number()},
          {"items", std::move(items)},
          {"nameless", problems(state.objects->nameless)},
          {"passedOver", state.objects->passed_over},
          {"files", state.objects->files}};
}

}  // namespace graymesh::api
