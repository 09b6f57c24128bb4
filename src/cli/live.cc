// stat, top, graph: who calls whom now, how often, how well, how fast.
#include "cli/live.h"

#include <fmt/core.h>
#include <unistd.h>

#include <memory>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/platform.h"
#include "cli/table.h"

namespace graymesh::cli {
namespace {

using nlohmann::json;

enum class GraphOutput : std::uint8_t { as_text, as_json, as_yaml, as_dot };

struct Options {
  LiveAsk ask = {};
  Output output = Output::table;
  GraphOutput graph = GraphOutput::as_text;
  LiveSort sort = LiveSort::rate;
  unsigned every = 2;
};

constexpr unsigned seconds_default = 30, prometheus_seconds_default = 60;

int stat(const Common& common, const Options& options) {
  const auto page = live_page(common, options.ask, LivePage::services);
  if (!page) return fail(page.error());
  if (options.output != Output::table) {
    fmt::print("{}", to_text(*page, options.output));
    return exit_ok;
  }
  fmt::print("{}", stat_table(*page));
  fmt::print(stderr, "{}", live_notes(*page));
  return exit_ok;
}

int top(const Common& common, const Options& options) {
  if (options.output == Output::table && style_of(STDOUT_FILENO).terminal)
    return watch_top(common, options.ask, options.sort, options.every);
  auto page = live_page(common, options.ask, LivePage::edges);
  if (!page) return fail(page.error());
  sort_edges((*page)["items"], options.sort);
  if (options.output != Output::table) {
    fmt::print("{}", to_text(*page, options.output));
    return exit_ok;
  }
  fmt::print("{}", edges_table(*page));
  fmt::print(stderr, "{}", live_notes(*page));
  return exit_ok;
}

int graph(const Common& common, const Options& options) {
  const auto page = live_page(common, options.ask, LivePage::edges);
  if (!page) return fail(page.error());
  switch (options.graph) {
    case GraphOutput::as_json:
      fmt::print("{}", to_text(*page, Output::json));
      break;
    case GraphOutput::as_yaml:
      fmt::print("{}", to_text(*page, Output::yaml));
      break;
    case GraphOutput::as_dot:
      fmt::print("{}", graph_dot(*page));
      break;
    case GraphOutput::as_text:
      fmt::print("{}", graph_text(*page));
      fmt::print(stderr, "{}", live_notes(*page));
      break;
  }
  return exit_ok;
}

using Run = int (*)(const Common&, const Options&);

std::pair<CLI::App*, std::shared_ptr<Options>> add(CLI::App& app, const Common& common,
                                                   Chosen& chosen, const char* name,
                                                   const char* about, Run run) {
  auto* command = app.add_subcommand(name, about);
  auto options = std::make_shared<Options>();
  add_live_ask(command, options->ask);
  command->callback([&common, &chosen, options, run] {
    chosen = [&common, options, run] { return run(common, *options); };
  });
  return {command, options};
}

constexpr const char* where_from =
    "Figures come from the statistics of the proxies that call, which graymeshd asks when it is\n"
    "asked; latencies reach them up to 5 s late. With --lane: from what was logged of that lane.\n"
    "With --prometheus: from there, as it was at --time.\n";

}  // namespace

void add_live_ask(CLI::App* command, LiveAsk& ask) {
  command->add_option("-n,--namespace", ask.wanted.namespace_, "of the called service");
  command->add_option("--from", ask.wanted.from, "only calls of WORKLOAD or WORKLOAD/CANARYTAG");
  command->add_option("--lane", ask.lane, "only requests in this lane, wherever they are answered");
  command
      ->add_option("--seconds", ask.seconds, "of the last seconds; default 30, of a Prometheus 60")
      ->check(CLI::Range(1, 600));
  auto* prometheus =
      command->add_option("--prometheus", ask.prometheus, "where else figures come from")
          ->type_name("URL");
  command
      ->add_option("--time", ask.time, "as it was then: 2026-11-28T19:30:00Z, or 5m (so long ago)")
      ->needs(prometheus);
}

Result<json> live_page(const Common& common, const LiveAsk& ask, LivePage page) {
  if (!ask.prometheus.empty()) {
    LiveAsk whole = ask;
    if (whole.seconds == 0) whole.seconds = prometheus_seconds_default;
    const auto window = TRY(prometheus_window(whole));
    return page == LivePage::edges ? live::edges_page(window, ask.wanted)
                                   : live::services_page(window, ask.wanted);
  }
  return get(
      common.server,
      fmt::format("/api/v1/live/{}?seconds={}&namespace={}&service={}&from={}&lane={}",
                  page == LivePage::edges ? "edges" : "services",
                  ask.seconds == 0 ? seconds_default : ask.seconds,
                  percent_encoded(ask.wanted.namespace_), percent_encoded(ask.wanted.service),
                  percent_encoded(ask.wanted.from), percent_encoded(ask.lane)));
}

void add_live_commands(CLI::App& app, const Common& common, Chosen& chosen) {
  auto [stat_command, stat_options] =
      add(app, common, chosen, "stat",
          "what each version of a service is asked: rate, success, latency", stat);
  stat_command->add_option("service", stat_options->ask.wanted.service,
                           "SERVICE or SERVICE.NAMESPACE; without: all");
  add_output(stat_command, stat_options->output);
  stat_command->footer(std::string(where_from) +
                       "Examples: graymesh stat web\n"
                       "          graymesh stat -n fe-pre --lane feature-a\n"
                       "          graymesh stat web --prometheus http://127.0.0.1:9090 --time 2h");

  auto [top_command, top_options] =
      add(app, common, chosen, "top", "the busiest calls, as they change; in a pipe once", top);
  top_command->add_option("service", top_options->ask.wanted.service, "only calls of this service");
  top_command->add_option("--sort", top_options->sort, "rate, errors or latency")
      ->transform(
          CLI::CheckedTransformer(std::map<std::string, LiveSort>{{"rate", LiveSort::rate},
                                                                  {"errors", LiveSort::errors},
                                                                  {"latency", LiveSort::latency}},
                                  CLI::ignore_case));
  top_command->add_option("--every", top_options->every, "seconds between two looks")
      ->check(CLI::Range(1, 60))
      ->capture_default_str();
  add_output(top_command, top_options->output);
  top_command->footer(std::string("Keys: r, e, l sort by rate, errors, latency; q ends it.\n") +
                      where_from + "Example: graymesh top -n fe-pre --sort errors");

  auto [graph_command, graph_options] =
      add(app, common, chosen, "graph", "who calls whom, by version", graph);
  graph_command->add_option("service", graph_options->ask.wanted.service,
                            "only calls of this service");
  graph_command->add_option("-o,--output", graph_options->graph, "text, json, yaml or dot")
      ->transform(
          CLI::CheckedTransformer(std::map<std::string, GraphOutput>{{"text", GraphOutput::as_text},
                                                                     {"json", GraphOutput::as_json},
                                                                     {"yaml", GraphOutput::as_yaml},
                                                                     {"dot", GraphOutput::as_dot}},
                                  CLI::ignore_case));
  graph_command->footer(std::string(where_from) +
                        "Example: graymesh graph -n fe-pre -o dot | dot -Tsvg > mesh.svg");
  add_tap_command(app, common, chosen);
}

}  // namespace graymesh::cli
