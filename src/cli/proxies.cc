// proxy status, proxy config: what each proxy runs.
#include <fmt/core.h>

#include <map>
#include <memory>

#include "base/json.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/config_table.h"
#include "cli/proxy_history.h"
#include "cli/table.h"

namespace graymesh::cli {
namespace {

using nlohmann::json;

const std::map<std::string, Output> outputs = {
    {"table", Output::table}, {"json", Output::json}, {"yaml", Output::yaml}};

std::string text_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

Row row_of(const json& proxy) {
  Row row = {fmt::format("{}.{}", text_of(proxy, "name"), text_of(proxy, "namespace")),
             text_of(proxy, "kind"), text_of(proxy, "protocol")};
  for (const char* name : {"CDS", "EDS", "LDS", "RDS", "VHDS"}) {
    std::string cell = "-";
    for (const auto& type : proxy.value("types", json::array())) {
      if (text_of(type, "type") == name) cell = text_of(type, "state");
    }
    row.push_back(cell);
  }
  row.push_back(std::to_string(proxy.value("snapshot", 0)));
  row.push_back(text_of(proxy, "connected"));
  std::size_t bytes = 0;
  for (const auto& type : proxy.value("types", json::array()))
    bytes += type.value("bytes", std::size_t{0});
  row.push_back(std::to_string(bytes));
  row.push_back(text_of(proxy, "userAgent"));
  return row;
}

bool is_named(const json& proxy, const std::string& name) {
  return name.empty() || text_of(proxy, "id") == name ||
         fmt::format("{}.{}", text_of(proxy, "name"), text_of(proxy, "namespace")) == name;
}

void print_refusals(const json& proxy) {
  for (const auto& refusal : proxy.value("refusals", json::array())) {
    std::string origins;
    for (const auto& origin : refusal.value("origins", json::array())) {
      origins += (origins.empty() ? "" : ", ") + origin.get<std::string>();
    }
    fmt::print("refused by {}.{}: {} {}{}: {}\n", text_of(proxy, "name"),
               text_of(proxy, "namespace"), text_of(refusal, "type"), text_of(refusal, "resource"),
               origins.empty() ? "" : fmt::format(" (from {})", origins),
               text_of(refusal, "error"));
  }
}

// Each type of one proxy: how it stands, since when, and what went over the wire.
void print_types(const json& proxy) {
  std::vector<Row> rows;
  for (const auto& type : proxy.value("types", json::array())) {
    rows.push_back({text_of(type, "type"), text_of(type, "state"), text_of(type, "since"),
                    std::to_string(type.value("resources", 0)),
                    std::to_string(type.value("sent", 0)), std::to_string(type.value("acked", 0)),
                    std::to_string(type.value("nacked", 0)),
                    std::to_string(type.value("bytes", std::size_t{0}))});
  }
  fmt::print(
      "\n{}",
      table({"TYPE", "STATE", "SINCE", "RESOURCES", "SENT", "ACKED", "NACKED", "BYTES"}, rows));
}

// Who was here, as the record has it.
void print_gone(const json& gone) {
  if (gone.empty()) return;
  std::vector<Row> rows;
  for (const auto& proxy : gone) {
    rows.push_back({fmt::format("{}.{}", text_of(proxy, "name"), text_of(proxy, "namespace")),
                    text_of(proxy, "address"), text_of(proxy, "connected"),
                    text_of(proxy, "left")});
  }
  fmt::print("\n{}", table({"GONE", "ADDRESS", "CONNECTED", "LEFT"}, rows));
}

void print_waits(const json& proxy) {
  const std::string waits = text_of(proxy, "waits");
  if (waits.empty()) return;
  fmt::print("{}.{} waits {}\n", text_of(proxy, "name"), text_of(proxy, "namespace"),
             waits == "admission" ? "to be let in: others that came cold are before it"
                                  : "for its turn: as much as may be is on the way to others");
}

// "sidecar~127.1.2.3~web-0.fe-pre~..." is web-0.fe-pre, and itself.
bool is_of(const std::string& id, const std::string& name) {
  return id == name || id.find("~" + name + "~") != std::string::npos;
}

int status(const Common& common, const std::string& name, Output output) {
  auto page = get(common.server, "/api/v1/proxies");
  if (!page) return fail(page.error());
  json items = json::array();
  json dropped = json::array();
  for (auto& one : page->value("dropped", json::array())) {
    if (name.empty() || is_of(text_of(one, "id"), name)) dropped.push_back(std::move(one));
  }
  for (auto& proxy : (*page)["items"]) {
    if (is_named(proxy, name)) items.push_back(std::move(proxy));
  }
  json gone = json::array();
  for (auto& proxy : (*page)["gone"]) {
    if (is_named(proxy, name)) gone.push_back(std::move(proxy));
  }
  if (output != Output::table) {
    for (auto& proxy : gone) items.push_back(std::move(proxy));
    fmt::print("{}", to_text(items, output));
  } else {
    std::vector<Row> rows;
    for (const auto& proxy : items) rows.push_back(row_of(proxy));
    fmt::print("{}", table({"NAME", "KIND", "XDS", "CDS", "EDS", "LDS", "RDS", "VHDS", "SNAPSHOT",
                            "CONNECTED", "BYTES", "PROXY"},
                           rows));
    if (!name.empty() && items.size() == 1) print_types(items.front());
    for (const auto& proxy : items) print_refusals(proxy);
    print_gone(gone);
    for (const auto& proxy : items) print_waits(proxy);
    for (const auto& one : dropped) {
      fmt::print("ended at {}: {}: {}\n", text_of(one, "at"), text_of(one, "id"),
                 text_of(one, "text"));
    }
  }
  if (items.empty() && gone.empty() && !name.empty())
    return fail({Code::not_found, fmt::format("proxy {} is not connected", name)});
  return exit_ok;
}

int config(const Common& common, const std::string& type, const std::string& name, Output output) {
  const std::string query = type == "all" ? "" : "?type=" + percent_encoded(type);
  auto page =
      get(common.server, fmt::format("/api/v1/proxies/{}/config{}", percent_encoded(name), query));
  if (!page) return fail(page.error());
  fmt::print("{}", output == Output::table ? config_tables(*page) : to_text(*page, output));
  return exit_ok;
}

struct Options {
  std::string name, type;
  Output output = Output::table;
};

template <typename Asked>
void add_output(CLI::App* command, Asked& options) {
  command->add_option("-o,--output", options.output, "table, json or yaml")
      ->transform(CLI::CheckedTransformer(outputs))
      ->type_name("FORMAT");
}

void add_status(CLI::App& proxy, const Common& common, Chosen& chosen) {
  auto* status_command =
      proxy.add_subcommand("status", "one line a proxy: how each type of xDS stands");
  auto status_options = std::make_shared<Options>();
  status_command->add_option("name", status_options->name,
                             "one proxy: NAME.NAMESPACE, or its node id");
  add_output(status_command, *status_options);
  status_command->footer(
      "SYNCED all ACKed, STALE sent and not yet ACKed, NOT SENT asked for but there is nothing,\n"
      "REFUSED the newest answer was a NACK (the old configuration stays), NOT SUBSCRIBED never "
      "asked for.\n"
      "Example: graymesh proxy status web-0.fe-pre");
  status_command->callback([&common, &chosen, status_options] {
    chosen = [&common, status_options] {
      return status(common, status_options->name, status_options->output);
    };
  });
}

void add_diff(CLI::App& proxy, const Common& common, Chosen& chosen) {
  auto* diff_command = proxy.add_subcommand(
      "diff", "what a proxy has ACKed against what it shall have, field by field");
  auto diff = std::make_shared<ProxyQuestion>();
  auto envoy = std::make_shared<std::string>();
  diff_command->add_option("name", diff->proxy, "the proxy: NAME.NAMESPACE, or its node id")
      ->required();
  diff_command->add_option("--envoy", *envoy, "against what its Envoy says at this admin address")
      ->type_name("HOST:PORT");
  add_output(diff_command, *diff);
  diff_command->footer(
      "Exit code 0 if they are the same, 1 if not. What Envoy says has no endpoints in it.\n"
      "Example: graymesh proxy diff web-0.fe-pre --envoy 127.1.2.3:15000");
  diff_command->callback([&common, &chosen, diff, envoy] {
    chosen = [&common, diff, envoy] { return proxy_diff(common, *diff, *envoy); };
  });
}

void add_blame(CLI::App& proxy, const Common& common, Chosen& chosen) {
  auto* blame_command = proxy.add_subcommand(
      "blame", "from which objects the resources of a proxy were made, and since when it has them");
  auto blame = std::make_shared<ProxyQuestion>();
  auto resource = std::make_shared<std::string>();
  blame_command->add_option("name", blame->proxy, "the proxy: NAME.NAMESPACE, or its node id")
      ->required();
  blame_command->add_option("resource", *resource, "only those with this in their names");
  blame_command->add_option("--at", blame->at, "as it was then: a time, or 5m (so long ago)")
      ->capture_default_str();
  add_output(blame_command, *blame);
  blame_command->footer("Example: graymesh proxy blame web-0.fe-pre 'outbound|80||cart'");
  blame_command->callback([&common, &chosen, blame, resource] {
    chosen = [&common, blame, resource] { return proxy_blame(common, *blame, *resource); };
  });
}

void add_config(CLI::App& proxy, const Common& common, Chosen& chosen) {
  auto* config_command =
      proxy.add_subcommand("config", "what a proxy has ACKed, as tables or whole");
  auto config_options = std::make_shared<Options>();
  config_command
      ->add_option("type", config_options->type, "cluster, endpoint, listener, route or all")
      ->required()
      ->transform(
          CLI::CheckedTransformer(std::map<std::string, std::string>{{"cluster", "cluster"},
                                                                     {"clusters", "cluster"},
                                                                     {"endpoint", "endpoint"},
                                                                     {"endpoints", "endpoint"},
                                                                     {"listener", "listener"},
                                                                     {"listeners", "listener"},
                                                                     {"route", "route"},
                                                                     {"routes", "route"},
                                                                     {"all", "all"}}))
      ->type_name("TYPE");
  config_command
      ->add_option("name", config_options->name, "the proxy: NAME.NAMESPACE, or its node id")
      ->required();
  add_output(config_command, *config_options);
  config_command->footer("Example: graymesh proxy config route web-0.fe-pre");
  config_command->callback([&common, &chosen, config_options] {
    chosen = [&common, config_options] {
      return config(common, config_options->type, config_options->name, config_options->output);
    };
  });
}

}  // namespace

void add_proxy_commands(CLI::App& app, const Common& common, Chosen& chosen) {
  auto* proxy = app.add_subcommand("proxy", "the proxies: what each was sent, ACKed and refused");
  proxy->require_subcommand(1);
  add_status(*proxy, common, chosen);
  add_diff(*proxy, common, chosen);
  add_blame(*proxy, common, chosen);
  add_config(*proxy, common, chosen);
}

}  // namespace graymesh::cli
