// history proxy, proxy diff, proxy blame: what a proxy ran, runs and shall run, and where that
// comes from.
#include "cli/proxy_history.h"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>
#include <memory>

#include "base/json.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/config_diff.h"
#include "cli/platform.h"

namespace graymesh::cli {
namespace {

using nlohmann::json;

std::string path_of(const std::string& proxy, const std::string& rest) {
  return fmt::format("/api/v1/proxies/{}/{}", percent_encoded(proxy), rest);
}

void print_faults(const json& page) {
  for (const auto& fault : page.value("faults", json::array()))
    fmt::print(stderr, "graymesh: {}\n", fault.get<std::string>());
}

std::string joined(const json& list) {
  std::string all;
  for (const auto& it : list) all += (all.empty() ? "" : ", ") + it.get<std::string>();
  return all;
}

std::string text_or_dash(const json& page, const char* key) {
  const auto found = page.find(key);
  return found != page.end() && found->is_string() && !found->get<std::string>().empty()
             ? found->get<std::string>()
             : "-";
}

void print_moment(const json& page) {
  fmt::print("{} ({}.{}) {} {}\n", text_or_dash(page, "id"), text_or_dash(page, "name"),
             text_or_dash(page, "namespace"),
             page["left"].is_null() ? "connected since" : "was gone since",
             text_or_dash(page, page["left"].is_null() ? "connected" : "left"));
  std::vector<Row> rows;
  for (const auto& type : page["types"]) {
    std::string state = !type["error"].get<std::string>().empty() ? "REFUSED"
                        : type.value("waiting", false)            ? "STALE"
                        : type.value("known", false)              ? "SYNCED"
                                                                  : "UNKNOWN";
    rows.push_back({text_or_dash(type, "type"), state, std::to_string(type["resources"].size()),
                    text_or_dash(type, "sent"), text_or_dash(type, "answered"),
                    text_or_dash(type, "error")});
  }
  fmt::print("{}", table({"TYPE", "STATE", "RESOURCES", "SENT", "ANSWERED", "ERROR"}, rows));
  rows.clear();
  for (const auto& type : page["types"]) {
    for (const auto& it : type["resources"])
      rows.push_back({text_or_dash(type, "type"), text_or_dash(it, "name"),
                      text_or_dash(it, "version"), text_or_dash(it, "since")});
    for (const auto& name : type["unknown"])
      rows.push_back({text_or_dash(type, "type"), name.get<std::string>(), "?", "-"});
  }
  fmt::print("\n{}", table({"TYPE", "RESOURCE", "VERSION", "SINCE"}, rows));
}

int ran(const Common& common, const ProxyQuestion& ask) {
  const auto page = get(common.server, path_of(ask.proxy, "history?at=" + percent_encoded(ask.at)));
  if (!page) return fail(page.error());
  if (ask.output == Output::table)
    print_moment(*page);
  else
    fmt::print("{}", to_text(*page, ask.output));
  print_faults(*page);
  return exit_ok;
}

std::string what_changed(const json& it) {
  constexpr std::size_t names_max = 4;
  std::string all;
  std::size_t count = 0;
  const auto add = [&](const std::string& name) {
    if (++count <= names_max) all += (all.empty() ? "" : ", ") + name;
  };
  for (const auto& changed : it["changed"]) add(changed["name"].get<std::string>());
  for (const auto& removed : it["removed"]) add("-" + removed.get<std::string>());
  if (count > names_max) all += fmt::format(" and {} more", count - names_max);
  const auto text = it.value("text", "");
  return all + (all.empty() || text.empty() ? "" : ": ") + text;
}

std::string next_of(const json& page) {
  const auto next = page.find("continue");
  return next != page.end() && next->is_string() ? next->get<std::string>() : "";
}

// All pages as one.
Result<json> happened(const Common& common, const ProxyQuestion& ask) {
  const auto query = fmt::format("history?from={}&to={}", percent_encoded(ask.between[0]),
                                 percent_encoded(ask.between[1]));
  json all = TRY(get(common.server, path_of(ask.proxy, query)));
  for (std::string next = next_of(all); !next.empty();) {
    json page =
        TRY(get(common.server, path_of(ask.proxy, query + "&continue=" + percent_encoded(next))));
    for (auto& it : page["items"]) all["items"].push_back(std::move(it));
    for (auto& it : page["faults"]) {
      if (std::ranges::find(all["faults"], it) == all["faults"].end())
        all["faults"].push_back(std::move(it));
    }
    next = next_of(page);
  }
  return all;
}

// What happened, and how what it ran differs.
int changed(const Common& common, const ProxyQuestion& ask) {
  const auto& [from, to] = std::pair(ask.between[0], ask.between[1]);
  const auto page = happened(common, ask);
  if (!page) return fail(page.error());
  const auto after = get(common.server, path_of(ask.proxy, "config?at=" + percent_encoded(to)));
  if (!after) return fail(after.error());
  auto before = get(common.server, path_of(ask.proxy, "config?at=" + percent_encoded(from)));
  if (!before && before.error().code != Code::not_found) return fail(before.error());
  const json diff = config_diff(before ? *before : json::object(), *after);
  if (ask.output != Output::table) {
    fmt::print(
        "{}",
        to_text({{"happened", (*page)["items"]}, {"changed", diff}, {"faults", (*page)["faults"]}},
                ask.output));
  } else {
    std::vector<Row> rows;
    for (const auto& it : (*page)["items"])
      rows.push_back({text_or_dash(it, "at"), text_or_dash(it, "what"), text_or_dash(it, "type"),
                      what_changed(it)});
    fmt::print("{}\n{}", table({"AT", "WHAT", "TYPE", "RESOURCES"}, rows),
               to_text(diff, ask.proxy + " at " + from, ask.proxy + " at " + to));
  }
  print_faults(*page);
  return exit_ok;
}

}  // namespace

int proxy_history(const Common& common, const ProxyQuestion& ask) {
  return ask.between.empty() ? ran(common, ask) : changed(common, ask);
}

int proxy_diff(const Common& common, const ProxyQuestion& ask, const std::string& envoy) {
  const auto acked = get(common.server, path_of(ask.proxy, "config"));
  if (!acked) return fail(acked.error());
  const auto other = envoy.empty() ? get(common.server, path_of(ask.proxy, "config?of=target"))
                                   : get(envoy, "/config_dump");
  if (!other) return fail(other.error());
  json diff = config_diff(*acked, *other);
  // Envoy tells its hosts as they are by now, with health and defaults, not what it was sent.
  if (!envoy.empty()) {
    for (auto it = diff.begin(); it != diff.end();)
      it = (*it)["type"] == "endpoint" ? diff.erase(it) : std::next(it);
  }
  if (ask.output == Output::table)
    fmt::print("{}", to_text(diff, ask.proxy + " has ACKed",
                             envoy.empty() ? "it shall have" : "its Envoy says at " + envoy));
  else
    fmt::print("{}", to_text(diff, ask.output));
  return diff.empty() ? exit_ok : exit_failed;
}

int proxy_blame(const Common& common, const ProxyQuestion& ask, const std::string& resource) {
  const auto page = get(common.server, path_of(ask.proxy, "history?at=" + percent_encoded(ask.at)));
  if (!page) return fail(page.error());
  json found = json::array();
  for (const auto& type : (*page)["types"]) {
    for (const auto& it : type["resources"]) {
      if (!resource.empty() && it["name"].get<std::string>().find(resource) == std::string::npos)
        continue;
      json one = it;
      one["type"] = type["type"];
      found.push_back(std::move(one));
    }
  }
  if (ask.output != Output::table) {
    fmt::print("{}", to_text(found, ask.output));
  } else {
    std::vector<Row> rows;
    for (const auto& it : found)
      rows.push_back({text_or_dash(it, "type"), text_or_dash(it, "name"),
                      text_or_dash(it, "version"), text_or_dash(it, "since"),
                      joined(it["origins"])});
    fmt::print("{}", table({"TYPE", "RESOURCE", "VERSION", "SINCE", "FROM"}, rows));
  }
  print_faults(*page);
  if (!found.empty()) return exit_ok;
  return fail({Code::not_found,
               fmt::format("{} has no resource with {} in its name", ask.proxy, resource)});
}

}  // namespace graymesh::cli
