// Three classes: `page` wakes somebody, `ticket` waits for the morning, `info` is shown and told to
// nobody. Namespaces that are declared quiet wake nobody: their pages become tickets.
#include "monitoring/alertmanager.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <string>

namespace graymesh::monitoring {
namespace {

// One route or inhibition in either spelling.
struct Words {
  bool camel = false;
  const char* operator()(const char* snake, const char* camel_case) const {
    return camel ? camel_case : snake;
  }
};

Json matchers(const Words& words, std::initializer_list<std::array<std::string, 3>> all) {
  Json out = Json::array();
  for (const auto& [name, how, value] : all) {
    if (words.camel)
      out.push_back({{"name", name}, {"matchType", how}, {"value", value}});
    else
      out.push_back(fmt::format("{}{}\"{}\"", name, how, value));
  }
  return out;
}

Json receiver(const Words& words, const std::string& name, const std::string& url) {
  Json out = {{"name", name}};
  if (!url.empty()) {
    out[words("webhook_configs", "webhookConfigs")] = {
        {{"url", url}, {words("send_resolved", "sendResolved"), true}}};
  }
  return out;
}

Json tree(const Words& words, const Description& description) {
  const auto to = [&](const char* name, Json match) {
    return Json{{"receiver", name}, {"matchers", std::move(match)}};
  };
  Json quiet = to("tickets", matchers(words, {{"severity", "=", "page"},
                                              {"namespace", "=~", description.quiet_namespaces}}));
  // Below a few seconds nobody is served better; the rest is for trying out.
  const auto wait = std::clamp<long>(static_cast<long>(10 * description.patience), 1, 10);
  const Json route = {{"receiver", "nobody"},
                      {words("group_by", "groupBy"), {"alertname", "namespace", "service"}},
                      {words("group_wait", "groupWait"), std::to_string(wait) + "s"},
                      {words("group_interval", "groupInterval"), std::to_string(6 * wait) + "s"},
                      {words("repeat_interval", "repeatInterval"), "4h"},
                      {"routes",
                       {std::move(quiet), to("pager", matchers(words, {{"severity", "=", "page"}})),
                        to("tickets", matchers(words, {{"severity", "=", "ticket"}}))}}};
  const auto inhibit = [&](std::initializer_list<std::array<std::string, 3>> source,
                           std::initializer_list<std::array<std::string, 3>> target, Json equal) {
    return Json{{words("source_matchers", "sourceMatch"), matchers(words, source)},
                {words("target_matchers", "targetMatch"), matchers(words, target)},
                {"equal", std::move(equal)}};
  };
  return {
      {"route", route},
      {words("inhibit_rules", "inhibitRules"),
       {
           // A service that nobody reaches also answers 503.
           inhibit({{"alertname", "=~", "ServiceUnavailable|ServiceHasNoInstance"}},
                   {{"alertname", "=~",
                     "ServiceAnswers503|ServiceErrors|GrayWorseThanBaseline|AvailabilityBurns.*"}},
                   {"namespace", "service"}),
           // What burns fast burns by every longer measure.
           inhibit({{"alertname", "=", "AvailabilityBurnsFast"}},
                   {{"alertname", "=~", "AvailabilityBurns(Medium|Slow|Steady)"}},
                   {"namespace", "service"}),
           inhibit({{"alertname", "=", "LatencyBurnsFast"}},
                   {{"alertname", "=~", "LatencyBurns(Medium|Slow|Steady)"}},
                   {"namespace", "service"}),
           // Without a control plane every proxy is cut off.
           inhibit({{"alertname", "=", "ControlPlaneDown"}},
                   {{"alertname", "=~", "ProxiesCutOff|ProxyMissing"}}, Json::array()),
       }},
      {"receivers",
       {receiver(words, "nobody", ""), receiver(words, "pager", description.pager),
        receiver(words, "tickets", description.tickets)}},
  };
}

}  // namespace

Json alertmanager(const Description& description) { return tree({.camel = false}, description); }

Json alertmanager_config(const Description& description) {
  return tree({.camel = true}, description);
}

}  // namespace graymesh::monitoring
