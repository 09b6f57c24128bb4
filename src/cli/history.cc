// history and figures: who did what, and how it goes.
#include <fmt/core.h>

#include <memory>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/platform.h"
#include "cli/proxy_history.h"

namespace graymesh::cli {
namespace {

using nlohmann::json;

struct Options {
  std::string namespace_, object, who;
  std::uint64_t limit = 50, before = 0, days = 30;
  Output output = Output::table;
};

int history(const Common& common, const Options& options) {
  const auto page =
      get(common.server,
          fmt::format("/api/v1/history?namespace={}&object={}&who={}&limit={}&before={}",
                      percent_encoded(options.namespace_), percent_encoded(options.object),
                      percent_encoded(options.who), options.limit, options.before));
  if (!page) return fail(page.error());
  if (options.output != Output::table) {
    fmt::print("{}", to_text((*page)["items"], options.output));
    return exit_ok;
  }
  std::vector<Row> rows;
  for (const json& act : (*page)["items"]) {
    rows.push_back({text_at(act, "/id"), text_at(act, "/at"), text_at(act, "/who"),
                    text_at(act, "/from"), text_at(act, "/verb"), text_at(act, "/namespace"),
                    text_at(act, "/object"), text_at(act, "/reason"), text_at(act, "/detail")});
  }
  fmt::print(
      "{}",
      table({"ID", "AT", "WHO", "FROM", "VERB", "NAMESPACE", "OBJECT", "REASON", "DETAIL"}, rows));
  return exit_ok;
}

std::string number(const json& figures, const char* name, double factor, const char* unit) {
  const auto found = figures.find(name);
  if (found == figures.end() || !found->is_number()) return "-";
  return fmt::format("{:.1f}{}", found->get<double>() * factor, unit);
}

Row row_of(const std::string& of, const std::string& name, const json& figures) {
  return {of,
          name,
          text_at(figures, "/releases"),
          number(figures, "releasesPerDay", 1, ""),
          number(figures, "grayShare", 100, "%"),
          number(figures, "rollbackRate", 100, "%"),
          number(figures, "leadTimeMedianSeconds", 1, " s"),
          number(figures, "rollbackMedianSeconds", 1, " s")};
}

int figures(const Common& common, const Options& options) {
  const auto page = get(common.server, fmt::format("/api/v1/figures?days={}", options.days));
  if (!page) return fail(page.error());
  if (options.output != Output::table) {
    fmt::print("{}", to_text(*page, options.output));
    return exit_ok;
  }
  std::vector<Row> rows = {row_of("all", "", (*page)["all"])};
  for (const auto& [name, one] : (*page)["namespaces"].items())
    rows.push_back(row_of("namespace", name, one));
  for (const auto& [name, one] : (*page)["teams"].items())
    rows.push_back(row_of("team", name, one));
  fmt::print("{}", table({"OF", "NAME", "RELEASES", "A DAY", "GRAY", "ROLLED BACK", "LEAD TIME",
                          "TIME TO ROLL BACK"},
                         rows));
  return exit_ok;
}

}  // namespace

// history proxy: beside what people did, what came of it.
void add_proxy_history(CLI::App& history, const Common& common, Chosen& chosen) {
  auto* command = history.add_subcommand(
      "proxy", "what a proxy ran at a time, or what changed between two times");
  auto ask = std::make_shared<ProxyQuestion>();
  command->add_option("name", ask->proxy, "the proxy: NAME.NAMESPACE, or its node id")->required();
  auto* at = command->add_option("--at", ask->at, "2026-11-28T19:30:00.250Z, or 5m (so long ago)")
                 ->capture_default_str();
  command->add_option("--between", ask->between, "two times")->expected(2)->excludes(at);
  add_output(command, ask->output);
  command->footer(
      "graymeshd has to run with --record. What a proxy ran is what it had ACKed.\n"
      "Examples: graymesh history proxy web-0.fe-pre --at 2h\n"
      "          graymesh history proxy web-0.fe-pre --between 10m now");
  command->callback(
      [&common, &chosen, ask] { chosen = [&common, ask] { return proxy_history(common, *ask); }; });
}

void add_history_commands(CLI::App& app, const Common& common, Chosen& chosen) {
  auto* command = app.add_subcommand("history", "who did what, when, why and from where");
  auto options = std::make_shared<Options>();
  command->add_option("-n,--namespace", options->namespace_, "only of this namespace");
  command->add_option("--object", options->object, "release/12, lane/feature-a, application/web");
  command->add_option("--who", options->who, "only of this one; engine for the platform itself");
  command->add_option("--limit", options->limit, "so many, newest first")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_option("--before", options->before, "older than this id: the next page");
  add_output(command, options->output);
  command->footer("Example: graymesh history -n fe-online --who ann");
  // Its subcommand is parsed before it, and has chosen already.
  command->callback([&common, &chosen, options] {
    if (!chosen) chosen = [&common, options] { return history(common, *options); };
  });
  add_proxy_history(*command, common, chosen);

  auto* figures_command = app.add_subcommand(
      "figures", "releases a day, share that is gray, lead time, rollbacks; by namespace and team");
  auto of = std::make_shared<Options>();
  figures_command->add_option("--days", of->days, "of the last days")
      ->check(CLI::Range(1, 366))
      ->capture_default_str();
  add_output(figures_command, of->output);
  figures_command->footer("Example: graymesh figures --days 7");
  figures_command->callback(
      [&common, &chosen, of] { chosen = [&common, of] { return figures(common, *of); }; });
}

}  // namespace graymesh::cli
