// What stat, top and graph share: which figures are wanted, where they come from, and how they
// look.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "cli/command.h"
#include "cli/screen.h"
#include "live/live.h"

namespace graymesh::cli {

struct LiveAsk {
  live::Wanted wanted = {};
  std::string lane = {};
  unsigned seconds = 0;  // 0: 30, or of a Prometheus 60
  std::string prometheus = {}, time = {};
};

void add_live_ask(CLI::App* command, LiveAsk& ask);

enum class LivePage : std::uint8_t { edges, services };

// The page as the API gives it; of a Prometheus the same.
Result<nlohmann::json> live_page(const Common& common, const LiveAsk& ask, LivePage page);

// live_prometheus.cc: the callers' own statistics as Prometheus keeps them (docs/monitoring.md).
Result<live::Window> prometheus_window(const LiveAsk& ask);

// live_text.cc -----------------------------------------------------------------------------------

enum class LiveSort : std::uint8_t { rate, errors, latency };

void sort_edges(nlohmann::json& items, LiveSort by);

std::string stat_table(const nlohmann::json& page);
std::string edges_table(const nlohmann::json& page);
std::string graph_text(const nlohmann::json& page);
std::string graph_dot(const nlohmann::json& page);
// The whole screen of `top`, cut to fit. `fault`: why `page` is of before; empty if it is not.
std::string top_screen(const nlohmann::json& page, LiveSort by, const Style& style,
                       const std::string& fault);
// "over the last 30 s", who was not heard, what had no room; a line each.
std::string live_notes(const nlohmann::json& page);

// live_top.cc: until it is interrupted.
int watch_top(const Common& common, const LiveAsk& ask, LiveSort by, unsigned every);

// live.cc: stat, top, graph, and tap.
void add_live_commands(CLI::App& app, const Common& common, Chosen& chosen);
void add_tap_command(CLI::App& app, const Common& common, Chosen& chosen);  // live_tap.cc

}  // namespace graymesh::cli
