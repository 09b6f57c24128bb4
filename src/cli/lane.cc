// lane and env: lanes, and the policies of namespaces.
#include <fmt/core.h>

#include <algorithm>
#include <memory>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/none.h"
#include "cli/platform.h"
#include "cli/removal.h"

namespace graymesh::cli {
namespace {

using nlohmann::json;

struct Options {
  std::string name, namespace_, reason;
  std::string owner, branch, time_to_live, idle;
  std::string host, gateway, path;
  Removal removal;
  std::vector<std::string> files;
  bool strict = false, all_namespaces = false;
  Output output = Output::table;
};

int create(const Common& common, const Options& options) {
  json spec = {{"mode", options.strict ? "strict" : "permissive"}};
  const auto set = [&](const char* name, const std::string& value) {
    if (!value.empty()) spec[name] = value;
  };
  set("owner", options.owner);
  set("branch", options.branch);
  set("timeToLive", options.time_to_live);
  set("idle", options.idle);
  return apply_object(common,
                      {{"apiVersion", "graymesh.io/v1alpha1"},
                       {"kind", "Lane"},
                       {"metadata", {{"name", options.name}, {"namespace", options.namespace_}}},
                       {"spec", std::move(spec)}},
                      options.reason, options.output);
}

std::string list_path(const char* collection, const Options& options) {
  return fmt::format("/api/v1/{}?namespace={}", collection,
                     options.all_namespaces ? "" : percent_encoded(options.namespace_));
}

int list(const Common& common, const Options& options) {
  const auto items = all_items(common, list_path("lanes", options));
  if (!items) return fail(items.error());
  if (options.output != Output::table) {
    fmt::print("{}", to_text(*items, options.output));
    return exit_ok;
  }
  std::vector<Row> rows;
  for (const json& lane : *items) {
    std::string in_lane;
    for (const json& app : lane["status"].value("applications", json::array())) {
      if (text_at(app, "/answeredBy") == "lane")
        in_lane += (in_lane.empty() ? "" : ",") + text_at(app, "/name");
    }
    rows.push_back({text_at(lane, "/metadata/namespace"), text_at(lane, "/metadata/name"),
                    text_at(lane, "/spec/owner"), text_at(lane, "/spec/branch"),
                    text_at(lane, "/spec/mode"), in_lane, text_at(lane, "/status/created"),
                    text_at(lane, "/status/used")});
  }
  fmt::print("{}", table({"NAMESPACE", "LANE", "OWNER", "BRANCH", "MODE", "APPLICATIONS", "CREATED",
                          "USED"},
                         rows));
  if (rows.empty()) tell_none("lanes", options.namespace_, options.all_namespaces);
  return exit_ok;
}

// "cart (12, proven by request id), pay (3, likely)".
std::string lost_of(const json& app) {
  std::string out;
  const json traffic = app.value("traffic", json());
  if (!traffic.is_object()) return out;
  for (const json& loss : traffic.value("lost", json::array())) {
    const std::string to = text_at(loss, "/to");
    const std::string proof = text_at(loss, "/proof");
    out += fmt::format("{}{} ({}, {})", out.empty() ? "" : ", ", to.substr(0, to.find('.')),
                       text_at(loss, "/count"),
                       proof == "request id" ? "proven by request id" : proof);
  }
  return out;
}

// Not every artefact has a version's name.
std::string version_of(const json& app) {
  const std::string version = text_at(app, "/version");
  return version.empty() ? "revision " + text_at(app, "/revision") : version;
}

// Whose it is, and how long it lives.
void print_head(const json& lane) {
  const auto line = [](const char* name, const std::string& value) {
    if (!value.empty()) fmt::print("{:<9}{}\n", name, value);
  };
  line("Lane", fmt::format("{} in {}, {}", text_at(lane, "/metadata/name"),
                           text_at(lane, "/metadata/namespace"), text_at(lane, "/spec/mode")));
  line("Owner", text_at(lane, "/spec/owner"));
  line("Branch", text_at(lane, "/spec/branch"));
  const std::string life = text_at(lane, "/spec/timeToLive"), idle = text_at(lane, "/spec/idle");
  line("Created", text_at(lane, "/status/created") + (life.empty() ? "" : ", lives " + life));
  line("Used", text_at(lane, "/status/used") + (idle.empty() ? "" : ", goes after " + idle));
  fmt::print("\n");
}

int show(const Common& common, const Options& options) {
  const auto lane =
      get(common.server, fmt::format("/api/v1/lanes/{}/{}", percent_encoded(options.namespace_),
                                     percent_encoded(options.name)));
  if (!lane) return fail(lane.error());
  if (options.output != Output::table) {
    fmt::print("{}", to_text(*lane, options.output));
    return exit_ok;
  }
  print_head(*lane);
  std::vector<Row> rows;
  for (const json& app : (*lane)["status"].value("applications", json::array())) {
    const bool here = text_at(app, "/answeredBy") == "lane";
    rows.push_back({text_at(app, "/name"), here ? version_of(app) : text_at(app, "/answeredBy"),
                    fmt::format("{}/{}", text_at(app, "/ready"), text_at(app, "/instances")),
                    text_at(app, "/traffic/received"), text_at(app, "/carriedBy"), lost_of(app)});
  }
  fmt::print(
      "{}", table({"APPLICATION", "IN THE LANE", "READY", "RECEIVED", "CARRIED BY", "LOST TOWARDS"},
                  rows));
  const std::string last = text_at(*lane, "/status/lastRequest");
  const std::string from = text_at(*lane, "/status/measuredFrom");
  if (!from.empty())
    fmt::print("\nLast request: {}. Counted since {}.\n", last.empty() ? "none seen" : last, from);
  for (const json& problem : (*lane)["status"].value("problems", json::array()))
    fmt::print("{}\n", problem.get<std::string>());
  return exit_ok;
}

// An application of the namespace that is served at a host; one in the lane before others.
Result<json> application_with_host(const Common& common, const Options& options, const json& lane) {
  const json apps = TRY(
      all_items(common, "/api/v1/applications?namespace=" + percent_encoded(options.namespace_)));
  json other;
  for (const json& app : apps) {
    const json hosts = app["spec"].value("hosts", json::array());
    if (hosts.empty() || (!options.host.empty() &&
                          std::find(hosts.begin(), hosts.end(), json(options.host)) == hosts.end()))
      continue;
    for (const json& member : lane["status"].value("applications", json::array())) {
      if (text_at(member, "/answeredBy") == "lane" &&
          text_at(member, "/name") == text_at(app, "/metadata/name"))
        return app;
    }
    if (other.is_null()) other = app;
  }
  return other;
}

// "http://:8000" of the first Gateway of `app`; empty if that is not known.
Result<std::string> gateway_of(const Common& common, const json& app) {
  const json names = app["spec"].value("gateways", json::array());
  const json page = TRY(get(common.server, "/api/v1/objects?kind=Gateway"));
  for (const json& item : page.value("items", json::array())) {
    const std::string name = text_at(item, "/namespace") + "/" + text_at(item, "/name");
    if (std::find(names.begin(), names.end(), json(name)) == names.end()) continue;
    const json servers = item.value(json::json_pointer("/object/spec/servers"), json::array());
    for (const json& server : servers) {
      const std::string protocol = text_at(server, "/port/protocol");
      const std::string port = text_at(server, "/port/number");
      if (protocol != "HTTP" && protocol != "HTTPS") continue;
      const bool usual = port == (protocol == "HTTP" ? "80" : "443");
      return fmt::format("{}://{}", protocol == "HTTP" ? "http" : "https", usual ? "" : ":" + port);
    }
  }
  return std::string();
}

// SCHEME://HOST[:PORT]PATH with the lane in its query, before a fragment.
std::string link_of(const std::string& base, std::string path, const std::string& lane) {
  std::string fragment;
  if (const auto at = path.find('#'); at != std::string::npos) {
    fragment = path.substr(at);
    path.erase(at);
  }
  if (!path.starts_with('/')) path.insert(0, "/");
  return fmt::format("{}{}{}canarytag={}{}", base, path,
                     path.find('?') == std::string::npos ? "?" : "&", percent_encoded(lane),
                     fragment);
}

// Scheme and port are those of the gateway.
int link(const Common& common, const Options& options) {
  std::string host = options.host, gateway = options.gateway;
  const auto lane =
      get(common.server, fmt::format("/api/v1/lanes/{}/{}", percent_encoded(options.namespace_),
                                     percent_encoded(options.name)));
  if (!lane) return fail(lane.error());
  if (host.empty() || gateway.empty()) {
    const auto app = application_with_host(common, options, *lane);
    if (!app) return fail(app.error());
    if (app->is_null() && !host.empty() && gateway.empty())
      return fail({Code::not_found,
                   fmt::format("no application of {} has the host {}: --gateway says where it is "
                               "reached",
                               options.namespace_, host)});
    const bool in_gateway =
        gateway.find("://") != std::string::npos && gateway.find("://:") == std::string::npos;
    if (app->is_null() && host.empty() && !in_gateway)
      return fail(
          {Code::not_found,
           fmt::format("no application of {} has a host: name one by --host", options.namespace_)});
    if (host.empty() && !in_gateway) host = (*app)["spec"]["hosts"][0].get<std::string>();
    if (gateway.empty() && !app->is_null()) {
      auto found = gateway_of(common, *app);
      if (!found) return fail(found.error());
      gateway = *std::move(found);
    }
  }
  std::string scheme = "http", authority = gateway;
  if (const auto end = authority.find("://"); end != std::string::npos) {
    scheme = authority.substr(0, end);
    authority.erase(0, end + 3);
  }
  authority = authority.substr(0, authority.find('/'));
  const auto colon = authority.rfind(':');
  const std::string port = colon == std::string::npos || host.find(':') != std::string::npos
                               ? ""
                               : authority.substr(colon);
  fmt::print("{}\n", link_of(scheme + "://" + (host.empty() ? authority : host + port),
                             options.path, options.name));
  return exit_ok;
}

int list_environments(const Common& common, const Options& options) {
  const auto items = all_items(common, "/api/v1/environments?");
  if (!items) return fail(items.error());
  if (options.output != Output::table) {
    fmt::print("{}", to_text(*items, options.output));
    return exit_ok;
  }
  std::vector<Row> rows;
  for (const json& one : *items) {
    rows.push_back({text_at(one, "/metadata/namespace"), text_at(one, "/metadata/name"),
                    text_at(one, "/spec/approval/required"), text_at(one, "/spec/baseline/minimum"),
                    text_at(one, "/spec/lanes/timeToLive"), text_at(one, "/spec/promoteTo")});
  }
  fmt::print("{}", table({"NAMESPACE", "ENVIRONMENT", "APPROVALS", "BASELINE MINIMUM", "LANES LIVE",
                          "PROMOTES TO"},
                         rows));
  return exit_ok;
}

// A namespace has one.
int show_environment(const Common& common, const Options& options) {
  const auto items =
      all_items(common, "/api/v1/environments?namespace=" + percent_encoded(options.namespace_));
  if (!items) return fail(items.error());
  if (items->empty()) {
    return fail(
        {Code::not_found, fmt::format("namespace {} has no Environment", options.namespace_)});
  }
  fmt::print("{}",
             to_text((*items)[0], options.output == Output::json ? Output::json : Output::yaml));
  return exit_ok;
}

using Run = int (*)(const Common&, const Options&);

std::pair<CLI::App*, std::shared_ptr<Options>> add(CLI::App* top, const Common& common,
                                                   Chosen& chosen, const char* name,
                                                   const char* about, Run run) {
  auto* command = top->add_subcommand(name, about);
  auto options = std::make_shared<Options>();
  add_namespace(command, options->namespace_);
  command->callback([&common, &chosen, options, run] {
    chosen = [&common, options, run] { return run(common, *options); };
  });
  return {command, options};
}

void add_environment_commands(CLI::App& app, const Common& common, Chosen& chosen) {
  auto* env = app.add_subcommand("env", "environments: the policy of a namespace");
  env->require_subcommand(1);
  auto [apply, applied] =
      add(env, common, chosen, "apply", "declares Environments of a file",
          [](const Common& at, const Options& options) {
            return apply_objects(at, options.files, options.namespace_, options.reason);
          });
  apply->add_option("-f,--filename", applied->files, "file, folder, or - for standard input")
      ->required();
  apply->add_option("--reason", applied->reason, "for the history");
  apply->footer("Example: graymesh env apply -f fe-online.yaml");
  auto [list_command, listed] =
      add(env, common, chosen, "list", "all environments", list_environments);
  add_output(list_command, listed->output);
  list_command->footer("Example: graymesh env list");
  auto [show_command, shown] =
      add(env, common, chosen, "show", "the environment of a namespace", show_environment);
  add_output(show_command, shown->output);
  show_command->footer("Example: graymesh env show -n fe-online");
}

}  // namespace

void add_lane_commands(CLI::App& app, const Common& common, Chosen& chosen) {
  auto* lane = app.add_subcommand("lane", "lanes: one canarytag across many applications");
  lane->require_subcommand(1);

  auto [make, made] = add(lane, common, chosen, "create", "makes a lane, or changes it", create);
  make->add_option("name", made->name, "the lane; the canarytag of its requests")->required();
  make->add_option("--owner", made->owner, "who answers for it");
  make->add_option("--branch", made->branch, "of the sources");
  make->add_option("--ttl", made->time_to_live, "how long it lives: 72h");
  make->add_option("--idle", made->idle, "goes when it was not used for so long");
  make->add_flag("--strict", made->strict, "503 where an application is not in the lane");
  make->add_option("--reason", made->reason, "for the history");
  add_output(make, made->output);
  make->footer("Example: graymesh lane create feature-a --owner ann --branch feature/a --ttl 72h");

  auto [list_command, listed] = add(lane, common, chosen, "list", "lanes and who is in them", list);
  list_command->add_flag("-A,--all-namespaces", listed->all_namespaces, "of all namespaces");
  add_output(list_command, listed->output);
  list_command->footer("Example: graymesh lane list -n fe-pre -o json");

  auto [show_command, shown] =
      add(lane, common, chosen, "show",
          "for each application: what answers in the lane, and what carries the lane on", show);
  show_command->add_option("name", shown->name, "the lane")->required();
  add_output(show_command, shown->output);
  show_command->footer("Example: graymesh lane show feature-a -n fe-pre");

  auto [link_command, linked] =
      add(lane, common, chosen, "link", "prints a URL that puts a browser into the lane", link);
  link_command->add_option("name", linked->name, "the lane")->required();
  link_command->add_option("--host", linked->host, "of the application; default: the first one");
  link_command
      ->add_option("--gateway", linked->gateway,
                   "where it is reached; default: the port of the application's Gateway")
      ->type_name("URL");
  link_command->add_option("--path", linked->path, "the page, with its query: /cart?item=5");
  link_command->footer(
      "A cookie keeps the browser there; ?canarytag=none takes it out again.\n"
      "Examples: graymesh lane link feature-a\n"
      "          graymesh lane link feature-a --host web.shop.example --gateway https://:8443 "
      "--path "
      "/cart");

  auto [remove_command, removed] =
      add(lane, common, chosen, "delete", "takes a lane back, with all of its releases",
          [](const Common& at, const Options& options) {
            return remove_named(at, "lanes", options.namespace_, options.name, options.removal);
          });
  remove_command->add_option("name", removed->name, "the lane")->required();
  add_removal(remove_command, removed->removal);
  remove_command->footer(
      "Example: graymesh lane delete feature-a --reason merged --wait --ignore-not-found");

  add_environment_commands(app, common, chosen);
}

}  // namespace graymesh::cli
