#include "cli/release_line.h"

#include <fmt/core.h>

#include "cli/platform.h"

namespace graymesh::cli {

using nlohmann::json;

std::uint64_t number_at(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_number() ? found->get<std::uint64_t>() : 0;
}

std::string phase_of(const json& release) {
  const std::string phase = release.value("phase", "");
  if (phase == "step") return fmt::format("step-{}", number_at(release, "step") + 1);
  if (phase == "unrouting") return "promote";
  return phase == "back-routes" || phase == "back-switching" ? "rollback" : phase;
}

std::string name_of_release(const json& release) {
  std::string names;
  for (const auto& app : release.value("applications", json::array()))
    names += (names.empty() ? "" : ",") + text_at(app, "/name");
  return names + "/" + text_at(release, "/tag");
}

bool is_over(const json& release) { return !text_at(release, "/over").empty(); }

std::string line_of(const json& release) {
  const json progress = release.value("progress", json());
  std::string out =
      fmt::format("release {} {}: {}, weight {}%", number_at(release, "id"),
                  name_of_release(release), phase_of(release), number_at(release, "weight"));
  if (progress.is_object() && progress.value("waiting", false)) {
    out += fmt::format(", {} of {} proxies ACKed", number_at(progress, "acked"),
                       number_at(progress, "proxies"));
  }
  const std::string waits = text_at(progress, "/waitsFor"), reason = text_at(release, "/reason");
  const bool held = release.value("held", false), waiting = text_at(progress, "/waiting") == "true";
  if (held) out += ", paused";
  // Of ACKs it is said already.
  if (!waits.empty() && !held && !waiting) out += "; waits for " + waits;
  if (!reason.empty()) out += "; " + reason;
  return out;
}

std::string receipt_line(const json& release) {
  // Where there is no receipt yet: what is known so far.
  json receipt = release.value("receipt", json());
  if (!receipt.is_object()) {
    const json progress = release.value("progress", json());
    receipt = {{"proxies", number_at(progress.is_object() ? progress : json::object(), "proxies")},
               {"acked", number_at(progress.is_object() ? progress : json::object(), "acked")},
               {"missing",
                progress.is_object() ? progress.value("missing", json::array()) : json::array()}};
  }
  nlohmann::ordered_json out;
  for (const char* name :
       {"proxies", "acked", "p50_ms", "p99_ms", "last", "missing", "last_ms", "what", "refused"})
    out[name] = receipt.contains(name) ? nlohmann::ordered_json::parse(receipt[name].dump(
                                             -1, ' ', false, json::error_handler_t::replace))
                                       : nlohmann::ordered_json();
  out["release"] = number_at(release, "id");
  out["name"] = name_of_release(release);
  out["phase"] = text_at(release, "/phase");
  out["reached"] = release.value("reached", false);
  out["reason"] = text_at(release, "/reason");
  return out.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

bool is_so(const json& release) {
  const json receipt = release.value("receipt", json());
  return release.value("reached", false) && receipt.is_object() &&
         receipt.value("missing", json::array()).empty();
}

}  // namespace graymesh::cli
