// tap: requests as they come.
#include <fmt/core.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <memory>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/durations.h"
#include "cli/live.h"
#include "cli/platform.h"
#include "cli/table.h"

namespace graymesh::cli {
namespace {

using nlohmann::json;
using Steady = std::chrono::steady_clock;

struct Options {
  std::string namespace_, service, from, lane, path, method, code, for_;
  std::uint64_t max = 0, per_second = 100;
  Output output = Output::table;
};

// Control characters of others are not for this terminal.
std::string shown(std::string text) {
  for (char& c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) c = '?';
  }
  return text;
}

std::string party(const json& one, const char* name) {
  const std::string tag = text_at(one, "/canarytag"), space = text_at(one, "/namespace");
  return fmt::format("{}{}{}", text_at(one, name), space.empty() ? "" : "." + space,
                     tag.empty() ? "" : "[" + tag + "]");
}

std::string line_of(const json& request) {
  const std::string at = text_at(request, "/at"), lane = text_at(request, "/lane");
  const std::string flags = text_at(request, "/flags");
  std::string to = party(request["to"], "/service");
  if (text_at(request, "/to/service").empty()) to = "nobody";
  const std::string instance = text_at(request, "/to/instance");
  return shown(
      fmt::format("{}  {} -> {}{}  {} {}  {}  {:.1f}ms{}{}", at.size() > 12 ? at.substr(11) : at,
                  party(request["from"], "/workload"), to,
                  instance.empty() ? "" : " (" + instance + ")", text_at(request, "/method"),
                  text_at(request, "/path"), text_at(request, "/code"), request.value("ms", 0.0),
                  lane.empty() ? "" : "  lane " + lane, flags.empty() ? "" : "  " + flags));
}

class Listener {
 public:
  Listener(const Options& options, std::optional<std::chrono::seconds> limit)
      : options_(options), end_(limit ? Steady::now() + *limit : Steady::time_point::max()) {}

  bool take(const std::string& event, const std::string& data) {
    const json told = json::parse(data, nullptr, false);
    if (!told.is_object()) return true;
    if (event == "begin") begin(told);
    if (event == "request" && !request(told)) return false;
    if (event == "left") {
      left_ = told;
      tell_unreachable(told);
    }
    return Steady::now() < end_;
  }

  void sum_up() const {
    const auto matched = left_.value("matched", std::uint64_t{0});
    const auto over = left_.value("overTheBound", std::uint64_t{0});
    if (shown_ == 0) fmt::print(stderr, "graymesh: no such request came\n");
    if (over > 0)
      fmt::print(stderr,
                 "graymesh: {} of {} requests were not shown: more than {} a second "
                 "(--per-second)\n",
                 over, matched, options_.per_second);
  }

 private:
  void begin(const json& told) {
    const double share = told.value("sharePercent", 0.0);
    if (options_.lane.empty() || options_.lane == "-") {
      if (share < 100)
        fmt::print(stderr,
                   "graymesh: of requests in no lane {:.3g}% are told, as there are many; in lanes "
                   "all\n",
                   share);
      tell_unreachable(told);
    }
    fmt::print(stderr, "graymesh: tapping\n");
  }

  // Whenever they are others than before.
  void tell_unreachable(const json& told) {
    const json names = told.value("outOfReachNames", json::array());
    if (names == unreachable_ || !names.is_array()) return;
    unreachable_ = names;
    const auto all = told.value("outOfReach", std::uint64_t{0});
    if (all == 0) {
      fmt::print(stderr, "graymesh: all proxies can be asked again\n");
      return;
    }
    std::string list;
    for (const json& name : names)
      if (name.is_string()) list += (list.empty() ? "" : ", ") + name.get<std::string>();
    fmt::print(stderr,
               "graymesh: {} {} cannot be asked to tell more ({}{}): of {} calls only those in "
               "lanes, and a share of the others\n",
               all, all == 1 ? "proxy" : "proxies", shown(list), all > names.size() ? ", ..." : "",
               all == 1 ? "its" : "their");
  }

  bool request(const json& told) {
    if (options_.output == Output::table)
      fmt::print("{}\n", line_of(told));
    else if (options_.output == Output::yaml)
      fmt::print("---\n{}", to_text(told, options_.output));
    else
      fmt::print("{}\n", told.dump(-1, ' ', false, json::error_handler_t::replace));
    std::fflush(stdout);
    return ++shown_ != options_.max;
  }

  const Options& options_;
  const Steady::time_point end_;
  std::uint64_t shown_ = 0;
  json left_ = json::object();
  json unreachable_ = json::array();
};

int tap(const Common& common, const Options& options) {
  std::optional<std::chrono::seconds> limit;
  if (!options.for_.empty()) {
    const auto seconds = seconds_of(options.for_);
    if (!seconds) return fail(seconds.error());
    limit = *seconds;
  }
  Listener listener(options, limit);
  const Status ended =
      watch(common.server,
            fmt::format("/api/v1/live/tap?namespace={}&service={}&from={}&lane={}&path={}&method={}"
                        "&code={}&perSecond={}",
                        percent_encoded(options.namespace_), percent_encoded(options.service),
                        percent_encoded(options.from), percent_encoded(options.lane),
                        percent_encoded(options.path), percent_encoded(options.method),
                        percent_encoded(options.code), options.per_second),
            [&](const std::string& event, const std::string& data) {
              return listener.take(event, data);
            });
  listener.sum_up();
  return ended ? exit_ok : fail(ended.error());
}

}  // namespace

void add_tap_command(CLI::App& app, const Common& common, Chosen& chosen) {
  auto* command = app.add_subcommand("tap", "requests as they come, as their callers see them");
  auto options = std::make_shared<Options>();
  command->add_option("-n,--namespace", options->namespace_, "of the called service");
  command->add_option("--service", options->service, "only calls of SERVICE or SERVICE.NAMESPACE");
  command->add_option("--from", options->from, "only of WORKLOAD or WORKLOAD/CANARYTAG");
  command->add_option("--lane", options->lane, "only in this lane; -: in none");
  command->add_option("--path", options->path, "only of paths that begin so");
  command->add_option("--method", options->method, "GET, POST, ...");
  command->add_option("--code", options->code, "503, 5xx; 0: the caller went away");
  command->add_option("--per-second", options->per_second, "at most so many are shown")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_option("--max", options->max, "ends after so many");
  command->add_option("--for", options->for_, "ends after a time: 30s");
  add_output(command, options->output);
  command->footer(
      "Each call once, some second after it ended. Requests in lanes are logged in any case. "
      "While\n"
      "somebody taps others, proxies log these as well, 15 us of CPU each; of all of them "
      "together\n"
      "some 500 a second for each who taps, else a share. Behind the last one they stop.\n"
      "Examples: graymesh tap --lane feature-a\n"
      "          graymesh tap --service web --code 5xx --max 10 -o json");
  command->callback([&common, &chosen, options] {
    chosen = [&common, options] { return tap(common, *options); };
  });
}

}  // namespace graymesh::cli
