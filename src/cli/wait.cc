// wait: until an object, as it is now, is with every proxy that it concerns.
#include "cli/wait.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <thread>

#include "base/json.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/platform.h"

namespace graymesh::cli {
namespace {

using nlohmann::json;
using Time = std::chrono::steady_clock;

constexpr std::chrono::seconds ask_max{20};  // of one request; then it is asked again
// Where too many wait already, graymeshd answers at once.
constexpr std::chrono::milliseconds ask_every{200};

std::string names(const json& list) {
  constexpr std::size_t names_max = 10;
  std::string all;
  for (std::size_t i = 0; i < std::min(list.size(), names_max); ++i)
    all += "\n  " + list[i].get<std::string>();
  if (list.size() > names_max) all += fmt::format("\n  and {} more", list.size() - names_max);
  return all;
}

void print(const json& page) {
  const json& receipt = page["receipt"];
  fmt::print("{}: {} of {} proxies, p50 {:.0f} ms, p99 {:.0f} ms, last {:.0f} ms{}\n",
             page["object"].get<std::string>(), receipt["acked"].get<std::size_t>(),
             receipt["proxies"].get<std::size_t>(), receipt["p50_ms"].get<double>(),
             receipt["p99_ms"].get<double>(), receipt["last_ms"].get<double>(),
             receipt["last"].get<std::string>().empty()
                 ? ""
                 : " (" + receipt["last"].get<std::string>() + ")");
}

int verdict(const json& page, bool over) {
  const auto state = page["state"].get<std::string>();
  if (state == "everywhere") return exit_ok;
  if (state == "refused") {
    fmt::print(stderr, "graymesh: {} is refused:{}\n", page["object"].get<std::string>(),
               names(page["errors"]));
    return exit_failed;
  }
  if (over) {
    fmt::print(stderr, "graymesh: time is over, and {} is not with these yet:{}\n",
               page["object"].get<std::string>(), names(page["receipt"]["missing"]));
  }
  return exit_waiting;
}

}  // namespace

int wait_for(const Common& common, const Awaited& object, std::chrono::seconds timeout,
             Output output) {
  const auto end = Time::now() + timeout;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::seconds>(end - Time::now());
    const auto patience = std::clamp(left, std::chrono::seconds(0), ask_max);
    const auto page =
        get(common.server,
            fmt::format("/api/v1/objects/{}/{}/{}/receipt?wait={}", percent_encoded(object.kind),
                        percent_encoded(object.namespace_.empty() ? "-" : object.namespace_),
                        percent_encoded(object.name), patience.count()));
    if (!page && page.error().code == Code::invalid_argument && object.one_of_many) return exit_ok;
    if (!page) return fail(page.error());
    const bool over = Time::now() >= end - std::chrono::seconds(1);
    const bool decided = (*page)["state"] != "waiting";
    if (!decided && !over) {
      std::this_thread::sleep_for(ask_every);
      continue;
    }
    if (output == Output::table)
      print(*page);
    else
      fmt::print("{}", to_text(*page, output));
    return verdict(*page, over);
  }
}

void add_wait_command(CLI::App& app, const Common& common, Chosen& chosen) {
  struct Options {
    std::string object, namespace_ = "default";
    int timeout = 30;
    Output output = Output::table;
  };
  auto* command = app.add_subcommand(
      "wait", "until an object, as it is now, is with every proxy that it concerns");
  auto options = std::make_shared<Options>();
  command->add_option("object", options->object, "KIND/NAME")->required();
  command
      ->add_option("-n,--namespace", options->namespace_, "its namespace; - for cluster-wide kinds")
      ->capture_default_str();
  command->add_option("--timeout", options->timeout, "seconds")
      ->check(CLI::Range(0, 86400))
      ->capture_default_str();
  add_output(command, options->output);
  command->footer(
      "Concerned is a proxy whose configuration has resources that were made from the object; of "
      "a\n"
      "Pod, a WorkloadEntry or an EndpointSlice, from the services whose endpoints it is.\n"
      "Exit codes: 0 it is with all of them, 1 it is refused (by its check, or by a proxy), 6 time "
      "is over.\nExample: graymesh wait vs/web -n fe-pre --timeout 10");
  command->callback([&common, &chosen, options] {
    chosen = [&common, options] {
      const auto slash = options->object.find('/');
      if (slash == std::string::npos) {
        fmt::print(stderr, "graymesh: object {}, must be KIND/NAME\n", options->object);
        return exit_usage;
      }
      return wait_for(common,
                      {.kind = options->object.substr(0, slash),
                       .namespace_ = options->namespace_ == "-" ? "" : options->namespace_,
                       .name = options->object.substr(slash + 1)},
                      std::chrono::seconds(options->timeout), options->output);
    };
  });
}

}  // namespace graymesh::cli
