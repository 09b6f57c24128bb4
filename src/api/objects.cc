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

struct KindWord {
  Kind kind;
  std::string_view brief;  // kubectl's and istioctl's short name
};

constexpr std::array<KindWord, 15> kind_words = {{{Kind::namespace_, "ns"},
                                                  {Kind::node, "no"},
                                                  {Kind::pod, "po"},
                                                  {Kind::service, "svc"},
                                                  {Kind::endpoint_slice, "eps"},
                                                  {Kind::virtual_service, "vs"},
                                                  {Kind::destination_rule, "dr"},
                                                  {Kind::service_entry, "se"},
                                                  {Kind::workload_entry, "we"},
                                                  {Kind::gateway, "gw"},
                                                  {Kind::sidecar, "sc"},
                                                  {Kind::application, "app"},
                                                  {Kind::gray_release, "gr"},
                                                  {Kind::lane, "lane"},
                                                  {Kind::environment, "env"}}};

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

// "VirtualService" is meant by virtualservice, virtualservices and vs; "WorkloadEntry" by
// workloadentries.
bool means(std::string_view word, const KindWord& kind) {
  const std::string name = lower(name_of(kind.kind));
  const std::string asked = lower(word);
  if (asked == name || asked == kind.brief || asked == name + "s") return true;
  return name.ends_with('y') && asked == name.substr(0, name.size() - 1) + "ies";
}

std::string_view state_of(const source::Entry& entry) {
  if (entry.errors.empty()) return "serving";
  return entry.serving ? "last-good" : "refused";
}

json problems(const std::vector<model::Problem>& list) {
  json out = json::array();
  for (const auto& problem : list) out.push_back(to_json(problem));
  return out;
}

json object(const model::Key& key, const source::Entry& entry,
            const std::vector<model::Problem>& across) {
  json out = {{"kind", name_of(key.kind)},
              {"namespace", key.namespace_},
              {"name", key.name},
              {"state", state_of(entry)},
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

Result<Kind> kind_named(std::string_view word) {
  std::string known;
  for (const auto& kind : kind_words) {
    if (means(word, kind)) return kind.kind;
    known += fmt::format("{}{} ({})", known.empty() ? "" : ", ", name_of(kind.kind), kind.brief);
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
    if (!query.kind.empty() && (!kind || key.kind != *kind)) continue;
    if (!query.namespace_.empty() && key.namespace_ != query.namespace_) continue;
    if (!query.name.empty() && key.name != query.name) continue;
    if (!query.state.empty() && state_of(entry) != query.state) continue;
    items.push_back(object(key, entry, across));
  }
  return {{"snapshot", state.snapshot->number()},
          {"items", std::move(items)},
          {"nameless", problems(state.objects->nameless)},
          {"passedOver", state.objects->passed_over},
          {"files", state.objects->files}};
}

}  // namespace graymesh::api
