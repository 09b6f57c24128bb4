#include "cli/release_spec.h"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <charconv>

namespace graymesh::cli {
namespace {

using nlohmann::json;

Error invalid(std::string message) { return {Code::invalid_argument, std::move(message)}; }

// A `separator` after a backslash is part of the text.
std::vector<std::string> parts_of(const std::string& text, char separator) {
  std::vector<std::string> out(1);
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '\\' && at + 1 < text.size() && text[at + 1] == separator) {
      out.back().push_back(text[++at]);
    } else if (text[at] == separator) {
      out.emplace_back();
    } else {
      out.back().push_back(text[at]);
    }
  }
  return out;
}

// What to do with `=VALUE` of one `--set`: the fields below run, or below the application.
Status set_field(json& app, const std::string& field, const std::string& value) {
  constexpr std::string_view environment = "environment.";
  if (field == "command") {
    app["run"]["command"] = TRY(shell_words(value));
  } else if (field == "version" || field == "directory") {
    app["run"][field] = value;
  } else if (field == "replicas") {
    int count = 0;
    const auto [end, fault] = std::from_chars(value.data(), value.data() + value.size(), count);
    if (fault != std::errc() || end != value.data() + value.size())
      return invalid(fmt::format("--set replicas={}, must be a number", value));
    app["replicas"] = count;
  } else if (field.starts_with(environment) && field.size() > environment.size()) {
    app["run"]["environment"][field.substr(environment.size())] = value;
  } else {
    return invalid(fmt::format(
        "--set {}, must be command, version, directory, replicas or environment.NAME", field));
  }
  return {};
}

// "cart.command=..." is of cart alone, "command=..." of all.
Status set(json& apps, const std::string& text) {
  const auto equals = text.find('=');
  if (equals == std::string::npos) return invalid(fmt::format("--set {}, must be KEY=VALUE", text));
  const std::string key = text.substr(0, equals), value = text.substr(equals + 1);
  const auto dot = key.find('.');
  const std::string first = key.substr(0, dot);
  const auto named = [&](const json& app) { return app["name"] == first; };
  if (dot != std::string::npos && std::ranges::any_of(apps, named)) {
    return set_field(*std::ranges::find_if(apps, named), key.substr(dot + 1), value);
  }
  for (json& app : apps) TRY(set_field(app, key, value));
  return {};
}

Result<json> steps_of(const ReleaseWords& words) {
  if (words.weight >= 0 && !words.steps.empty())
    return invalid("--weight and --steps: must be one of them");
  if (!words.pause.empty() && !words.verdict.empty())
    return invalid("--pause and --verdict: must be one of them");
  std::vector<int> weights = words.steps;
  if (words.weight >= 0) weights.push_back(words.weight);
  const bool analysis = words.analysis || !words.prometheus.empty();
  if (weights.empty() && !(words.pause.empty() && words.verdict.empty() && !analysis))
    return invalid(
        "--pause, --verdict, --analysis and --prometheus are of steps: --steps or --weight must be "
        "there");
  json pause;
  if (words.pause == "approval") {
    pause["approval"] = true;
  } else if (!words.pause.empty()) {
    pause["duration"] = words.pause;
  }
  if (!words.verdict.empty()) pause["verdict"] = words.verdict;
  json out = json::array();
  for (const int weight : weights) {
    json step = {{"weight", weight}};
    if (!pause.is_null()) step["pause"] = pause;
    if (analysis) step["analysis"] = json::object();
    if (!words.prometheus.empty())
      step["analysis"] = {{"proxies", false}, {"prometheus", words.prometheus}};
    out.push_back(std::move(step));
  }
  return out;
}

}  // namespace

Result<std::vector<std::string>> shell_words(const std::string& text) {
  std::vector<std::string> out;
  bool inside = false;  // of a word
  char quote = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    const bool blank = c == ' ' || c == '\t' || c == '\n';
    if (quote == 0 && blank) {
      inside = false;
      continue;
    }
    if (!inside) out.emplace_back();
    inside = true;
    if (c == quote) {
      quote = 0;
    } else if (quote == 0 && (c == '\'' || c == '"')) {
      quote = c;
    } else if (c == '\\' && quote != '\'') {
      if (++at == text.size()) return invalid(fmt::format("{}: ends in a backslash", text));
      // POSIX 2.2.3: within double quotes it escapes only these.
      if (quote == '"' && std::string_view("$`\"\\\n").find(text[at]) == std::string_view::npos)
        out.back().push_back('\\');
      out.back().push_back(text[at]);
    } else {
      out.back().push_back(c);
    }
  }
  if (quote != 0) return invalid(fmt::format("{}: a quote is not closed", text));
  return out;
}

Result<json> match_of(const std::string& text) {
  json out = json::object();
  for (const std::string& part : parts_of(text, ',')) {
    const auto wrong = [&] {
      return invalid(
          fmt::format("--match {}, must be header:, cookie: or query: with NAME=VALUE, "
                      "NAME^=PREFIX or NAME~=REGEX, or app:NAME",
                      part));
    };
    const auto colon = part.find(':');
    if (colon == std::string::npos) return wrong();
    const std::string kind = part.substr(0, colon), rest = part.substr(colon + 1);
    if (kind == "app" && !rest.empty()) {
      out["sourceApplication"] = rest;
      continue;
    }
    const auto equals = rest.find('=');
    if (equals == std::string::npos || equals == 0) return wrong();
    const char before = rest[equals - 1];
    const bool plain = before != '^' && before != '~';
    const std::string name = rest.substr(0, plain ? equals : equals - 1);
    const char* field = kind == "header"   ? "headers"
                        : kind == "cookie" ? "cookies"
                        : kind == "query"  ? "query"
                                           : nullptr;
    if (field == nullptr || name.empty()) return wrong();
    const char* how = before == '^' ? "prefix" : before == '~' ? "regex" : "exact";
    out[field][name] = {{how, rest.substr(equals + 1)}};
  }
  return out;
}

Result<json> way_of(const ReleaseWords& words) {
  json match = json::array();
  for (const std::string& text : words.matches) match.push_back(TRY(match_of(text)));
  // What a lane has anyway; then its cookie, query and baggage lead to it as well.
  const json lane = {{"headers", {{"canarytag", {{"exact", words.tag}}}}}};
  if (match.size() == 1 && match[0] == lane) match.clear();
  json spec = json::object();
  if (!match.empty() || !words.matches.empty()) spec["match"] = std::move(match);
  json steps = TRY(steps_of(words));
  if (!steps.empty()) spec["steps"] = std::move(steps);
  if (!words.laggards.empty()) spec["laggards"]["policy"] = words.laggards;
  if (!words.ready_within.empty()) spec["readyWithin"] = words.ready_within;
  if (words.promote) spec["promote"] = true;
  if (!words.promote_to.empty()) spec["promoteTo"] = words.promote_to;
  return spec;
}

Result<json> gray_release(const ReleaseWords& words) {
  json apps = json::array();
  for (const std::string& name : parts_of(words.applications, ',')) {
    if (name.empty()) return invalid("an application's name is empty");
    apps.push_back({{"name", name}});
  }
  for (const std::string& text : words.sets) TRY(set(apps, text));
  json spec = TRY(way_of(words));
  if (spec.contains("match") && spec["match"].empty()) spec.erase("match");
  spec["tag"] = words.tag;
  spec["applications"] = std::move(apps);
  const std::string first = spec["applications"][0]["name"];
  std::string name = fmt::format("{}-{}", first, words.tag);  // which is in lower case
  std::ranges::transform(name, name.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return json{{"apiVersion", "graymesh.io/v1alpha1"},
              {"kind", "GrayRelease"},
              {"metadata", {{"name", std::move(name)}, {"namespace", words.namespace_}}},
              {"spec", std::move(spec)}};
}

}  // namespace graymesh::cli
