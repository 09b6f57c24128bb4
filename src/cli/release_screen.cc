#include "cli/release_screen.h"

#include <fmt/core.h>

#include <algorithm>
#include <vector>

#include "cli/platform.h"
#include "cli/table.h"

namespace graymesh::cli {
namespace {

using nlohmann::json;

constexpr std::size_t bar_width = 20;

std::string bar(std::uint64_t part, std::uint64_t whole) {
  const std::size_t full =
      whole == 0 ? 0 : std::min<std::size_t>(bar_width, bar_width * part / whole);
  return "[" + std::string(full, '#') + std::string(bar_width - full, '.') + "]";
}

std::uint64_t number_at(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_number() ? found->get<std::uint64_t>() : 0;
}

// The phases with a receipt, in the order of a release's life.
std::vector<std::string> phases_with_receipts(const json& release) {
  std::vector<std::string> order = {"subset", "routes"};
  for (std::size_t step = 1; step <= release.value("steps", json::array()).size(); ++step)
    order.push_back(fmt::format("step-{}", step));
  for (const char* name : {"switching", "promote", "unsubsetting", "rollback", "back-subset"})
    order.emplace_back(name);
  std::erase_if(order, [&](const std::string& name) {
    return !release.value("receipts", json::object()).contains(name);
  });
  return order;
}

// Where it is, with the receipt's own name for it.
std::string phase_of(const json& release) {
  const std::string phase = release.value("phase", "");
  if (phase == "step") return fmt::format("step-{}", number_at(release, "step") + 1);
  if (phase == "unrouting") return "promote";
  return phase == "back-routes" || phase == "back-switching" ? "rollback" : phase;
}

std::string progress_line(const json& release) {
  const json progress = release.value("progress", json());
  const std::string phase = phase_of(release);
  std::string out = fmt::format("{:>14} ", phase);
  if (progress.is_object() && progress.value("waiting", false)) {
    out +=
        fmt::format("{} {}/{}", bar(number_at(progress, "acked"), number_at(progress, "proxies")),
                    number_at(progress, "acked"), number_at(progress, "proxies"));
  }
  const std::string waits = text_at(progress, "/waitsFor");
  return out + (waits.empty() ? "" : "  waits for: " + waits) + "\n";
}

}  // namespace

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
  if (!waits.empty()) out += "; waits for " + waits;
  if (!reason.empty()) out += "; " + reason;
  return out;
}

std::string screen_of(const json& release) {
  std::string out = fmt::format("release {}  {}  in {}  by {}\n\n", number_at(release, "id"),
                                name_of_release(release), text_at(release, "/namespace"),
                                text_at(release, "/startedBy"));
  for (const std::string& name : phases_with_receipts(release)) {
    if (name == phase_of(release) && release.value("progress", json()).value("waiting", false))
      continue;  // shown below, as it comes in
    const json& receipt = release["receipts"][name];
    out += fmt::format("{:>14} {} {}/{}  p99 {:.0f} ms\n", name,
                       bar(number_at(receipt, "acked"), number_at(receipt, "proxies")),
                       number_at(receipt, "acked"), number_at(receipt, "proxies"),
                       receipt.value("p99_ms", 0.0));
  }
  out += is_over(release)
             ? fmt::format("{:>14}  {}\n", phase_of(release), text_at(release, "/reason"))
             : progress_line(release);
  const json missing = release.value(json::json_pointer("/progress/missing"), json::array());
  for (const auto& proxy : missing)
    out += fmt::format("{:>14} missing: {}\n", "", proxy.get<std::string>());
  out += fmt::format("\n{:>14} {} {}%\n\n", "traffic", bar(number_at(release, "weight"), 100),
                     number_at(release, "weight"));
  std::vector<Row> rows;
  for (const auto& app : release.value("applications", json::array())) {
    for (const auto& instance : app.value("instances", json::array())) {
      rows.push_back({text_at(instance, "/name"), text_at(instance, "/address"),
                      text_at(instance, "/phase"), text_at(instance, "/restarts"),
                      text_at(instance, "/message")});
    }
  }
  return out + table({"INSTANCE", "ADDRESS", "PHASE", "RESTARTS", "MESSAGE"}, rows);
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
