#include "api/everywhere.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <thread>
#include <vector>

#include "api/makers.h"
#include "api/pages.h"

namespace graymesh::api {
namespace {

using nlohmann::json;

// ACKs come from a proxy within a millisecond or so; asking 1,100 streams takes half of one.
constexpr std::chrono::milliseconds look_every{10};

struct Concerned {
  std::string id;
  bool there = false;
  Clock::Wall at{};
};

// Layers are shared by many proxies: each is looked through once.
class Search {
 public:
  explicit Search(const Makers& makers) : makers_(makers) {}
  bool finds_any(const resource::Config& config) {
    return std::ranges::any_of(config.all(), [&](const auto& layer) { return in(layer); });
  }

 private:
  bool in(const resource::ResourceSetPtr& layer) {
    const auto [known, fresh] = known_.try_emplace(layer.get(), false);
    if (fresh) {
      kept_.push_back(layer);
      known->second = std::ranges::any_of(layer->all(), [&](const auto& resource) {
        return std::ranges::any_of(resource->origins(), [&](const std::string& origin) {
          return makers_.contains(origin);
        });
      });
    }
    return known->second;
  }
  const Makers& makers_;
  std::map<const resource::ResourceSet*, bool> known_;
  std::vector<resource::ResourceSetPtr> kept_;
};

std::vector<Concerned> concerned_by(const Makers& makers, const Parts& parts) {
  Search search(makers);
  std::map<std::string, Concerned> all;
  for (const auto& proxy : parts.xds.status()) {
    const auto config = parts.loop.config_for(proxy.node);
    if (config && search.finds_any(*config)) all[proxy.node.id] = {.id = proxy.node.id};
  }
  std::vector<Concerned> sorted;
  sorted.reserve(all.size());
  for (auto& [id, it] : all) sorted.push_back(std::move(it));
  return sorted;
}

double milliseconds(Clock::Wall from, Clock::Wall to) {
  return std::max(0.0, std::chrono::duration<double, std::milli>(to - from).count());
}

json receipt_of(const std::string& object, const std::vector<Concerned>& proxies,
                const std::vector<std::string>& refused, Clock::Wall since) {
  std::vector<std::pair<double, std::string>> took;
  json missing = json::array();
  for (const auto& it : proxies) {
    if (it.there)
      took.emplace_back(milliseconds(since, it.at), it.id);
    else
      missing.push_back(it.id);
  }
  std::ranges::sort(took);
  const auto at = [&](std::size_t percent) {
    return took.empty() ? 0.0 : took[(took.size() * percent + 99) / 100 - 1].first;
  };
  return {{"what", object},
          {"proxies", proxies.size()},
          {"acked", took.size()},
          {"p50_ms", at(50)},
          {"p99_ms", at(99)},
          {"last_ms", took.empty() ? 0.0 : took.back().first},
          {"last", took.empty() ? "" : took.back().second},
          {"missing", std::move(missing)},
          {"refused", refused}};
}

// Who refuses what is made from these now.
std::vector<std::string> refusers(const Makers& makers, const Parts& parts, json& errors) {
  std::vector<std::string> who;
  for (const auto& proxy : parts.xds.status()) {
    if (proxy.refusals.empty()) continue;
    const auto config = parts.loop.config_for(proxy.node);
    if (!config) continue;
    for (const auto& refusal : refusals_of(makers, proxy.refusals, *config)) {
      if (who.empty() || who.back() != proxy.node.id) who.push_back(proxy.node.id);
      errors.push_back(fmt::format("{} refuses {} {}: {}", proxy.node.id,
                                   resource::short_name(refusal.type), refusal.resource,
                                   refusal.error));
    }
  }
  return who;
}

void look(const Parts& parts, std::uint64_t snapshot, std::vector<Concerned>& proxies) {
  std::map<std::string, xds::Reach> reached;
  for (auto& it : parts.xds.reached()) {
    auto& newest = reached[it.node_id];
    if (newest.node_id.empty() || newest.snapshot < it.snapshot) newest = std::move(it);
  }
  // Who has left is no longer concerned; when it comes back it is sent the newest.
  std::erase_if(proxies, [&](const Concerned& it) { return !reached.contains(it.id); });
  for (auto& it : proxies) {
    const auto& now = reached[it.id];
    if (it.there || now.snapshot < snapshot) continue;
    it.there = true;
    it.at = now.at;
  }
}

json answer(std::string_view state, const std::string& object, std::uint64_t snapshot, json receipt,
            json errors) {
  return {{"state", state},
          {"object", object},
          {"snapshot", snapshot},
          {"receipt", std::move(receipt)},
          {"errors", std::move(errors)}};
}

}  // namespace

Result<json> everywhere(const Parts& parts, const model::Key& key,
                        std::chrono::milliseconds patience, const std::atomic<bool>& stopping) {
  const std::string object = model::to_string(key);
  const auto end = parts.clock.now() + patience;
  const auto over = [&] { return stopping || parts.clock.now() >= end; };
  push::StatePtr served;
  for (;;) {
    const auto objects = parts.folder.objects();
    const auto newest = objects->entries.find(key);
    const bool in_folder = newest != objects->entries.end();
    served = parts.loop.state();
    const auto found = served ? served->objects->entries.find(key) : newest;
    const bool serves = served && found != served->objects->entries.end();
    if (!in_folder && !serves)
      return Error{Code::not_found, fmt::format("{} is not there", object)};
    if (in_folder && !newest->second.errors.empty()) {
      json errors = json::array();
      for (const auto& problem : newest->second.errors) errors.push_back(to_string(problem));
      return answer("refused", object, 0, receipt_of(object, {}, {}, {}), std::move(errors));
    }
    if (serves && found->second.serving &&
        (!in_folder || found->second.serving->text == newest->second.serving->text)) {
      break;
    }
    if (over()) return answer("waiting", object, 0, receipt_of(object, {}, {}, {}), json::array());
    std::this_thread::sleep_for(look_every);
  }
  const std::uint64_t snapshot = served->snapshot->number();
  const auto makers =
      TRY(makers_of(key, *served->objects->entries.at(key).serving, *served->snapshot));
  auto proxies = concerned_by(makers, parts);
  for (;;) {
    look(parts, snapshot, proxies);
    const bool all = std::ranges::all_of(proxies, &Concerned::there);
    if (!all && !over()) {
      std::this_thread::sleep_for(look_every);
      continue;
    }
    json errors = json::array();
    const auto refused = refusers(makers, parts, errors);
    const char* state = !refused.empty() ? "refused" : all ? "everywhere" : "waiting";
    return answer(state, object, snapshot, receipt_of(object, proxies, refused, served->built),
                  std::move(errors));
  }
}

}  // namespace graymesh::api
