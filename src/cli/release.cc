// release: start, list, show, watch, and the acts of people.
#include <fmt/core.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <ctime>
#include <memory>
#include <thread>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/durations.h"
#include "cli/none.h"
#include "cli/platform.h"
#include "cli/release_line.h"
#include "cli/release_screen.h"
#include "cli/release_spec.h"
#include "cli/release_watch.h"
#include "cli/screen.h"

namespace graymesh::cli {
namespace {

using nlohmann::json;
using Steady = std::chrono::steady_clock;

struct Options {
  std::string release;  // "web/feature-a", "12"
  std::string namespace_;
  std::string reason, key, file;
  std::string timeout = "5m";
  ReleaseWords words = {};
  std::string application, tag;  // of a list
  std::string to;                // of a promotion: another environment
  bool wait = false, dry_run = false, all_namespaces = false, active = false;
  Output output = Output::table;
};

bool is_number(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

// The release that "web/feature-a" means: the newest of them; or by id.
Result<json> find(const Common& common, const Options& options) {
  if (is_number(options.release)) return get(common.server, "/api/v1/releases/" + options.release);
  const auto slash = options.release.find('/');
  if (slash == std::string::npos) {
    return Error{Code::invalid_argument,
                 fmt::format("{}, must be APPLICATION/TAG or a number", options.release)};
  }
  json page = TRY(
      get(common.server, fmt::format("/api/v1/releases?limit=1&namespace={}&application={}&tag={}",
                                     percent_encoded(options.namespace_),
                                     percent_encoded(options.release.substr(0, slash)),
                                     percent_encoded(options.release.substr(slash + 1)))));
  if (page["items"].empty()) {
    return Error{Code::not_found, fmt::format("release {} is not there in namespace {}",
                                              options.release, options.namespace_)};
  }
  return page["items"][0];
}

int print(const Common& common, const json& release, Output output) {
  if (output != Output::table) {
    fmt::print("{}", to_text(release, output));
    return exit_ok;
  }
  const auto instances = instances_beside(common, release);
  if (!instances) return fail(instances.error());
  // All of it, however high the window is.
  Style style = style_of(STDOUT_FILENO);
  style.height = 0;
  fmt::print("{}", screen_of(release, *instances, style, std::time(nullptr)));
  return exit_ok;
}

// Tells its way on standard error, line by line, and ends with the receipt on standard output.
// graymeshd may restart meanwhile: it goes on where it was, and so does this.
int follow(const Common& common, const Options& options, const std::string& id,
           const std::string& until, std::chrono::seconds timeout) {
  const auto end = Steady::now() + timeout;
  std::string told;
  json release;
  for (;;) {
    auto page = get(common.server, fmt::format("/api/v1/releases/{}?wait=1&until={}", id, until));
    const bool late = Steady::now() >= end;
    if (!page) {
      if (page.error().code != Code::unavailable || late) return fail(page.error());
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
      continue;
    }
    release = *std::move(page);
    if (std::string line = line_of(release); line != told) {
      fmt::print(stderr, "{}\n", line);
      told = std::move(line);
    }
    const std::string phase = text_at(release, "/phase");
    const bool lost = is_over(release) || (phase.starts_with("back-") && until != "rolled-back");
    if (release.value("reached", false) || lost || late) break;
    // Where too many wait already, graymeshd answers at once.
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  if (options.output == Output::yaml) {
    fmt::print("{}", to_text(release, Output::yaml));
  } else {
    fmt::print("{}\n", receipt_line(release));
  }
  std::fflush(stdout);
  if (is_so(release)) return exit_ok;
  const bool on_its_way = !release.value("reached", false) && !is_over(release) &&
                          !text_at(release, "/phase").starts_with("back-");
  fmt::print(stderr, "graymesh: {} is not {}: {}\n", name_of_release(release),
             until == "rolled-back" ? "rolled back with every proxy's ACK" : until,
             line_of(release));
  return on_its_way ? exit_waiting : exit_failed;
}

int start_one(const Common& common, const Options& options, const json& object) {
  const auto timeout = seconds_of(options.timeout);
  if (!timeout) return fail(timeout.error());
  if (options.dry_run) {
    const auto plan = post_once(common.server, "/api/v1/releases?dryRun=true", object.dump(), "");
    if (!plan) return fail(plan.error());
    if (options.output != Output::table) {
      fmt::print("{}", to_text(*plan, options.output));
    } else if ((*plan)["holds"] == true) {
      fmt::print("the plan holds at every step\n");
    }
    for (const auto& problem : (*plan)["problems"])
      fmt::print(stderr, "graymesh: {}\n", problem.get<std::string>());
    return (*plan)["holds"] == true ? exit_ok : exit_failed;
  }
  const auto page = post_once(
      common.server, fmt::format("/api/v1/releases?reason={}", percent_encoded(options.reason)),
      object.dump(), options.key);
  if (!page) return fail(page.error());
  if (options.wait) return follow(common, options, text_at(*page, "/id"), "started", *timeout);
  if (options.output == Output::table) {
    fmt::print("{}\n", line_of(*page));
  } else {
    fmt::print("{}", to_text(*page, options.output));
  }
  return exit_ok;
}

int start(const Common& common, Options& options) {
  if (!options.file.empty()) {
    const auto objects = read_objects({options.file}, options.namespace_);
    if (!objects) return fail(objects.error());
    for (const json& object : *objects) {
      if (const int code = start_one(common, options, object); code != exit_ok) return code;
    }
    return exit_ok;
  }
  if (options.words.applications.empty() || options.words.tag.empty())
    return fail({Code::invalid_argument, "must have APPLICATION and --tag, or -f"});
  options.words.namespace_ = options.namespace_;
  const auto object = gray_release(options.words);
  return object ? start_one(common, options, *object) : fail(object.error());
}

// What a promotion to another environment says beside where to.
Result<json> body_of(const Options& options, const json& release) {
  json body = {{"reason", options.reason}};
  ReleaseWords words = options.words;
  words.tag = text_at(release, "/tag");
  json spec = TRY(way_of(words));
  if (options.to.empty() && !spec.empty()) {
    return Error{Code::invalid_argument,
                 "--match, --weight, --steps, --promote, --promote-to, --laggards and "
                 "--ready-within are of a promotion to another environment: --to must be there"};
  }
  if (options.to.empty()) return body;
  body["to"] = options.to;
  if (!spec.empty()) body["spec"] = std::move(spec);
  return body;
}

int act(const Common& common, const Options& options, const std::string& verb) {
  const auto timeout = seconds_of(options.timeout);
  if (!timeout) return fail(timeout.error());
  const auto found = find(common, options);
  if (!found) return fail(found.error());
  const auto body = body_of(options, *found);
  if (!body) return fail(body.error());
  const auto page =
      post_once(common.server, fmt::format("/api/v1/releases/{}/{}", text_at(*found, "/id"), verb),
                body->dump(), options.key);
  if (!page) return fail(page.error());
  // Of a promotion to another environment: the release there.
  const std::string id = text_at(*page, "/id");
  if (options.wait) {
    const bool starts = !options.to.empty() && !options.words.promote;
    const char* until = verb == "rollback" ? "rolled-back" : starts ? "started" : "promoted";
    return follow(common, options, id, until, *timeout);
  }
  if (options.output == Output::table) {
    fmt::print("{}\n", line_of(*page));
  } else {
    fmt::print("{}", to_text(*page, options.output));
  }
  return exit_ok;
}

int list(const Common& common, const Options& options) {
  std::string path = "/api/v1/releases?";
  const auto ask = [&](const char* key, const std::string& value) {
    if (!value.empty()) path += fmt::format("{}={}&", key, percent_encoded(value));
  };
  if (!options.all_namespaces) ask("namespace", options.namespace_);
  ask("application", options.application);
  ask("tag", options.tag);
  if (options.active) ask("active", "true");
  const auto items = all_items(common, path);
  if (!items) return fail(items.error());
  if (options.output != Output::table) {
    fmt::print("{}", to_text(*items, options.output));
    return exit_ok;
  }
  std::vector<Row> rows;
  for (const json& release : *items) {
    const std::string waits = text_at(release, "/progress/waitsFor");
    rows.push_back({text_at(release, "/id"), text_at(release, "/namespace"),
                    name_of_release(release), text_at(release, "/phase"),
                    text_at(release, "/weight") + "%", text_at(release, "/startedBy"),
                    text_at(release, "/started"),
                    waits.empty() ? text_at(release, "/reason") : waits});
  }
  fmt::print(
      "{}",
      table({"ID", "NAMESPACE", "RELEASE", "PHASE", "WEIGHT", "BY", "STARTED", "WAITS FOR"}, rows));
  if (rows.empty()) {
    const std::string of = options.application + (options.tag.empty() ? "" : "/" + options.tag);
    tell_none((options.active ? "active releases" : "releases") + (of.empty() ? "" : " of " + of),
              options.namespace_, options.all_namespaces);
  }
  return exit_ok;
}

int show(const Common& common, const Options& options) {
  const auto found = find(common, options);
  if (!found) return fail(found.error());
  return print(common, *found, options.output);
}

int watch_one(const Common& common, const Options& options) {
  const auto found = find(common, options);
  return found ? watch_release(common, *found, options.output) : fail(found.error());
}

// How it is released: who meets it, in which steps.
void add_way(CLI::App* command, ReleaseWords& words) {
  command
      ->add_option("--match", words.matches,
                   "who meets it: header:N=V, cookie:N=V, query:N=V (^= prefix, ~= regex), "
                   "app:NAME; a comma is AND, another --match is OR; default: the lane")
      ->type_name("MATCH");
  command->add_option("--weight", words.weight, "percent of the rest")->check(CLI::Range(0, 100));
  command->add_option("--steps", words.steps, "weights one after the other: 1,10,50,100")
      ->delimiter(',')
      ->check(CLI::Range(0, 100));
  command->add_option("--pause", words.pause, "after each step: a time such as 10m, or approval");
  command
      ->add_option("--verdict", words.verdict,
                   "asked after each step: 200 healthy, 409 unhealthy, 202 not yet")
      ->type_name("URL");
  command->add_flag("--analysis", words.analysis,
                    "each step goes on when it is as good as the baseline, and back when worse");
  command
      ->add_option("--prometheus", words.prometheus,
                   "an analysis that asks this Prometheus for success rate and latency, instead of "
                   "the proxies")
      ->type_name("URL");
  command->add_flag("--promote", words.promote, "promotes by itself after the last step");
  command
      ->add_option("--promote-to", words.promote_to,
                   "another environment, where it is released by itself when it was promoted")
      ->type_name("NAMESPACE");
  command->add_option("--laggards", words.laggards, "when proxies do not ACK")
      ->check(CLI::IsMember({"hold", "isolate", "goOn"}));
  command->add_option("--ready-within", words.ready_within, "else it goes back (5m)");
}

void add_start(CLI::App* release, const Common& common, Chosen& chosen) {
  auto* command = release->add_subcommand("start", "starts a gray version beside the baseline");
  auto options = std::make_shared<Options>();
  ReleaseWords& words = options->words;
  command->add_option("applications", words.applications, "web, or web,cart: all or nothing");
  command->add_option("--tag", words.tag, "canarytag of its instances");
  command
      ->add_option("--set", words.sets,
                   "what differs: command=, version=, replicas=, directory=, environment.NAME=; "
                   "APP.command= for one of several")
      ->type_name("KEY=VALUE");
  add_way(command, words);
  command->add_option("-f,--filename", options->file,
                      "a GrayRelease instead; - for standard input");
  command->add_option("--reason", options->reason, "for the history");
  command->add_option("--idempotency-key", options->key, "sent twice with it, started once");
  command->add_flag("--dry-run", options->dry_run, "only checks the plan, at every step");
  command->add_flag("--wait", options->wait, "until it is gray; ends with the receipt");
  command->add_option("--timeout", options->timeout, "of --wait")->capture_default_str();
  add_namespace(command, options->namespace_);
  add_output(command, options->output);
  command->footer(
      "Examples: graymesh release start web --tag feature-a --set command='./web --v2' --wait\n"
      "          graymesh release start web,cart --tag v2 --set web.version=2.0 --steps "
      "1,10,50,100 "
      "--pause 10m\n"
      "          graymesh release start web --tag beta --match header:user^=beta,cookie:ring=1 "
      "--match app:admin");
  command->callback([&common, &chosen, options] {
    chosen = [&common, options] { return start(common, *options); };
  });
}

void add_act(CLI::App* release, const Common& common, Chosen& chosen, const std::string& verb,
             const std::string& about) {
  auto* command = release->add_subcommand(verb, about);
  auto options = std::make_shared<Options>();
  command->add_option("release", options->release, "APPLICATION/TAG, or its number")->required();
  command->add_option("--reason", options->reason, "for the history");
  command->add_option("--idempotency-key", options->key, "sent twice with it, done once");
  if (verb == "promote" || verb == "rollback") {
    command->add_flag("--wait", options->wait, "until it is so; ends with the receipt");
    command->add_option("--timeout", options->timeout, "of --wait")->capture_default_str();
  }
  if (verb == "promote") {
    command
        ->add_option("--to", options->to,
                     "another environment, which releases the same artefact as what is proved here")
        ->type_name("NAMESPACE");
    add_way(command, options->words);
  }
  add_namespace(command, options->namespace_);
  add_output(command, options->output);
  const bool waits = verb == "promote" || verb == "rollback";
  std::string examples = fmt::format(
      "{}Example: graymesh release {} web/feature-a{}",
      waits ? "With --wait the exit code is 0 only when it is so and no proxy is missing.\n" : "",
      verb, waits ? " --wait -o json" : " --reason 'as agreed'");
  if (verb == "promote")
    examples +=
        "\n         graymesh release promote web/feature-a -n fe-pre --to fe-online --steps "
        "1,10,50,100 --pause 10m --wait\nWhat is not given is as it was released here.";
  command->footer(examples);
  command->callback([&common, &chosen, options, verb] {
    chosen = [&common, options, verb] { return act(common, *options, verb); };
  });
}

void add_looks(CLI::App* release, const Common& common, Chosen& chosen) {
  auto* list_command = release->add_subcommand("list", "releases, newest first");
  auto filter = std::make_shared<Options>();
  add_namespace(list_command, filter->namespace_);
  add_output(list_command, filter->output);
  list_command->add_flag("-A,--all-namespaces", filter->all_namespaces, "of all namespaces");
  list_command->add_flag("--active", filter->active, "only those that are not over");
  list_command->add_option("--application", filter->application, "only of this application");
  list_command->add_option("--tag", filter->tag, "only of this tag");
  list_command->footer("Example: graymesh release list -n fe-pre --active");
  list_command->callback(
      [&common, &chosen, filter] { chosen = [&common, filter] { return list(common, *filter); }; });
  const auto add = [&](const char* name, const char* about, const char* footer, auto run) {
    auto* command = release->add_subcommand(name, about);
    auto options = std::make_shared<Options>();
    command->add_option("release", options->release, "APPLICATION/TAG, or its number")->required();
    add_namespace(command, options->namespace_);
    add_output(command, options->output);
    command->footer(footer);
    command->callback([&common, &chosen, options, run] {
      chosen = [&common, options, run] { return run(common, *options); };
    });
  };
  add("show", "one release: phases with their ACKs, traffic, instances",
      "Example: graymesh release show web/feature-a -n fe-pre", show);
  add("watch", "the same, live, until it is over; plain lines in a pipe",
      "Examples: graymesh release watch web/feature-a\n"
      "          graymesh release watch 12 -o json | jq -r .phase",
      watch_one);
}

}  // namespace

void add_release_commands(CLI::App& app, const Common& common, Chosen& chosen) {
  auto* release = app.add_subcommand("release", "gray releases: start, watch, promote, roll back");
  release->require_subcommand(1);
  add_start(release, common, chosen);
  add_looks(release, common, chosen);
  add_act(release, common, chosen, "approve", "approves the step, or the promotion, that waits");
  add_act(release, common, chosen, "promote",
          "the gray version becomes the baseline, or with --to goes on to another environment");
  add_act(release, common, chosen, "pause", "holds it where it is");
  add_act(release, common, chosen, "resume", "lets it go on");
  add_act(release, common, chosen, "rollback",
          "takes it back, before everything else; also when it was promoted");
}

}  // namespace graymesh::cli
