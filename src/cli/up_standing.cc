#include "cli/up_standing.h"

#include <fmt/core.h>

#include <algorithm>

#include "cli/platform.h"
#include "cli/table.h"
#include "cli/up_mesh.h"

namespace graymesh::cli {
namespace {

using nlohmann::json;

// As often as an instance may die before it counts as one that never comes.
constexpr std::size_t deaths_max = 3;

std::size_t number_at(const json& object, const std::string& pointer) {
  const json::json_pointer at(pointer);
  return object.contains(at) && object[at].is_number_unsigned() ? object[at].get<std::size_t>() : 0;
}

bool is_named(const json& one, const json& other) {
  return one.value("metadata", json()).value("name", "") ==
             other.value("metadata", json()).value("name", "") &&
         text_at(one, "/metadata/namespace") == text_at(other, "/metadata/namespace");
}

std::string name_of(const json& object) {
  const std::string namespace_ = text_at(object, "/metadata/namespace");
  return text_at(object, "/kind") + " " + (namespace_.empty() ? "" : namespace_ + "/") +
         text_at(object, "/metadata/name");
}

class Looker {
 public:
  Looker(const std::vector<json>& wanted, const UpPages& pages) : wanted_(wanted), pages_(pages) {}

  UpStanding look() {
    for (const json& object : wanted_) {
      taken(object);
      const std::string kind = text_at(object, "/kind");
      if (kind == "Application") application(object);
      if (kind == "GrayRelease") release(object);
    }
    proxies();
    out_.up = out_.waits_for.empty() && out_.hopeless.empty() &&
              std::all_of(out_.applications.begin(), out_.applications.end(),
                          [](const UpApplication& one) { return one.up; });
    return std::move(out_);
  }

 private:
  void hopeless(std::string why) {
    if (out_.hopeless.empty()) out_.hopeless = std::move(why);
  }

  // graymeshd serves it as it was given.
  void taken(const json& object) {
    for (const json& item : pages_.objects) {
      if (text_at(item, "/kind") != text_at(object, "/kind") ||
          text_at(item, "/name") != text_at(object, "/metadata/name") ||
          text_at(item, "/namespace") != text_at(object, "/metadata/namespace"))
        continue;
      for (const json& problem : item.value("problems", json::array()))
        out_.problems.push_back(
            fmt::format("{}: {}{}{}", name_of(object), text_at(problem, "/field"),
                        text_at(problem, "/field").empty() ? "" : ": ", text_at(problem, "/rule")));
      if (item.value("object", json()) == object) return;
    }
    out_.waits_for.push_back(fmt::format("{} to be taken over", name_of(object)));
  }

  void application(const json& object) {
    UpApplication one{.namespace_ = text_at(object, "/metadata/namespace"),
                      .name = text_at(object, "/metadata/name"),
                      .version = {},
                      .replicas = std::max<std::size_t>(number_at(object, "/spec/replicas"), 1),
                      .gateway = object["spec"].value("gateway", false),
                      .waits_for = "not taken over yet",
                      .urls = addresses_of(object, wanted_)};
    for (const json& app : pages_.applications) {
      if (!is_named(app, object)) continue;
      one.version = text_at(app, "/status/baseline/version");
      one.ready = number_at(app, "/status/baseline/ready");
      one.replicas = number_at(app, "/status/baseline/replicas");
      const bool same = app.value("spec", json()) == object["spec"];
      const bool settled = app.value(json::json_pointer("/status/settled"), false);
      const json next = app.value(json::json_pointer("/status/next"), json());
      if (next.is_object()) {
        one.waits_for = fmt::format("the new baseline: {} of {} instances are ready",
                                    number_at(next, "/ready"), number_at(next, "/replicas"));
      } else if (same && settled) {
        one.up = one.ready >= one.replicas;
        one.waits_for =
            one.up ? "" : fmt::format("{} of {} instances are ready", one.ready, one.replicas);
      }
    }
    instances(one);
    out_.applications.push_back(std::move(one));
  }

  // Why instances are not ready.
  void instances(UpApplication& one) {
    for (const json& instance : pages_.instances) {
      if (text_at(instance, "/application") != one.name || !text_at(instance, "/tag").empty() ||
          text_at(instance, "/namespace") != one.namespace_ || instance.value("ready", false))
        continue;
      const std::string message = text_at(instance, "/message");
      if (text_at(instance, "/phase") == "crashing" &&
          number_at(instance, "/restarts") >= deaths_max) {
        hopeless(fmt::format("{} does not start: {}", text_at(instance, "/name"), message));
      }
      if (!one.up && !message.empty() && one.waits_for.find('(') == std::string::npos)
        one.waits_for += fmt::format(" ({}: {})", text_at(instance, "/name"), message);
    }
  }

  // The newest of its name that a file declares.
  void release(const json& object) {
    const json* found = nullptr;
    for (const json& release : pages_.releases) {
      if (text_at(release, "/namespace") == text_at(object, "/metadata/namespace") &&
          text_at(release, "/name") == text_at(object, "/metadata/name") &&
          release.value("declared", false) &&
          (found == nullptr || number_at(release, "/id") > number_at(*found, "/id")))
        found = &release;
    }
    const std::string name = name_of(object);
    if (found == nullptr) {
      out_.waits_for.push_back(fmt::format("{} to be started", name));
      return;
    }
    const std::string phase = text_at(*found, "/phase");
    if (phase == "rolled-back" || phase == "superseded" || phase.starts_with("back-")) {
      out_.problems.push_back(
          fmt::format("{}: release {} is {}: {}; a release in a file starts once for each text",
                      name, text_at(*found, "/id"), phase, text_at(*found, "/reason")));
    } else if (phase == "starting" || phase == "subset" || phase == "routes") {
      out_.waits_for.push_back(fmt::format("{}: {}", name, text_at(*found, "/progress/waitsFor")));
    }
  }

  void proxies() {
    std::size_t instances = 0, synced = 0;
    for (const json& instance : pages_.instances) {
      const std::string phase = text_at(instance, "/phase");
      if (phase != "ready") continue;
      ++instances;
      for (const json& proxy : pages_.proxies) {
        if (proxy.value("address", "") != text_at(instance, "/address")) continue;
        bool well = true;
        for (const json& type : proxy.value("types", json::array())) {
          const std::string state = type.value("state", "");
          well = well && state != "STALE" && state != "REFUSED";
          if (state == "REFUSED")
            hopeless(fmt::format("the proxy of {} refuses its configuration: graymesh proxy status",
                                 text_at(instance, "/name")));
        }
        synced += well ? 1 : 0;
      }
    }
    if (synced < instances)
      out_.waits_for.push_back(fmt::format("{} of {} proxies are in sync", synced, instances));
  }

  const std::vector<json>& wanted_;
  const UpPages& pages_;
  UpStanding out_;
};

}  // namespace

UpStanding standing(const std::vector<json>& wanted, const UpPages& pages) {
  return Looker(wanted, pages).look();
}

std::string up_table(const UpStanding& standing) {
  std::vector<Row> rows;
  for (const UpApplication& one : standing.applications) {
    std::string at = one.gateway ? "the way in" : one.waits_for;
    if (one.up && !one.urls.empty()) at = one.urls.front();
    if (one.up && !one.gateway && one.urls.empty())
      at = fmt::format("in the mesh as {}.{}", one.name, one.namespace_);
    rows.push_back(
        {one.namespace_, one.name, one.version, fmt::format("{}/{}", one.ready, one.replicas), at});
    for (std::size_t i = 1; one.up && i < one.urls.size(); ++i)
      rows.push_back({"", "", "", "", one.urls[i]});
  }
  return table({"NAMESPACE", "APPLICATION", "VERSION", "READY", "ANSWERS AT"}, rows);
}

json up_json(const UpStanding& standing) {
  json applications = json::array();
  for (const UpApplication& one : standing.applications) {
    json urls = json::array();
    for (const std::string& url : one.urls) {
      const auto blank = url.find(' ');
      const auto quote = url.find("Host: ");
      json entry = {{"url", url.substr(0, blank)}};
      if (quote != std::string::npos) entry["host"] = url.substr(quote + 6, url.size() - quote - 7);
      urls.push_back(std::move(entry));
    }
    applications.push_back({{"namespace", one.namespace_},
                            {"name", one.name},
                            {"version", one.version},
                            {"ready", one.ready},
                            {"replicas", one.replicas},
                            {"gateway", one.gateway},
                            {"up", one.up},
                            {"waitsFor", one.waits_for},
                            {"answersAt", std::move(urls)}});
  }
  return {{"up", standing.up},
          {"applications", std::move(applications)},
          {"problems", standing.problems},
          {"waitsFor", standing.waits_for}};
}

}  // namespace graymesh::cli
