#include <algorithm>
#include <charconv>

#include "live/live.h"

namespace graymesh::live {
namespace {

constexpr std::string_view baselines[] = {"baseline", "base", "stable",
                                          "normal",   "prod", "default"};

}  // namespace

std::optional<Target> target_of(std::string_view cluster) {
  constexpr std::string_view begin = "outbound|";
  if (!cluster.starts_with(begin)) return std::nullopt;
  cluster.remove_prefix(begin.size());
  Target out;
  const auto [end, fault] =
      std::from_chars(cluster.data(), cluster.data() + cluster.size(), out.port);
  if (fault != std::errc() || end == cluster.data() + cluster.size() || *end != '|')
    return std::nullopt;
  cluster.remove_prefix(static_cast<std::size_t>(end - cluster.data()) + 1);
  const auto bar = cluster.find('|');
  if (bar == std::string_view::npos) return std::nullopt;
  out.subset = cluster.substr(0, bar);
  const std::string_view host = cluster.substr(bar + 1);
  if (host.empty()) return std::nullopt;
  const auto dot = host.find('.');
  const auto svc = dot == std::string_view::npos ? dot : host.find(".svc", dot + 1);
  // A label that is `svc`, behind service and namespace.
  const bool of_mesh = svc != std::string_view::npos && host.find('.', dot + 1) == svc &&
                       (svc + 4 == host.size() || host[svc + 4] == '.');
  out.service = of_mesh ? host.substr(0, dot) : host;
  if (of_mesh) out.namespace_ = host.substr(dot + 1, svc - dot - 1);
  return out;
}

std::string_view stage_of(const Target& target) {
  if (target.subset.empty()) return "";
  return std::ranges::find(baselines, target.subset) == std::end(baselines) ? "gray" : "normal";
}

std::string tag_of(const Target& target) { return stage_of(target) == "gray" ? target.subset : ""; }

}  // namespace graymesh::live
