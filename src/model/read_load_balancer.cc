// LoadBalancerSettings: simple, consistent hash, locality, warm-up.
#include <fmt/core.h>

#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "model/kinds.h"
#include "model/rules.h"

namespace graymesh::model {
namespace {

constexpr double any_real = std::numeric_limits<double>::max();
constexpr std::uint64_t maglev_table_max = 5'000'011;  // Envoy's bound

bool is_prime(std::uint64_t number) {
  if (number < 4) return number > 1;
  if (number % 2 == 0) return false;
  for (std::uint64_t factor = 3; factor * factor <= number; factor += 2) {
    if (number % factor == 0) return false;
  }
  return true;
}

void read_cookie(Fields& f, HttpCookie& out) {
  if (f.require("name")) f.text("name", out.name, check_not_empty);
  f.text("path", out.path);
  f.duration("ttl", out.ttl, DurationRule::any);
  std::set<std::string> names;
  f.list("attributes", out.attributes,
         [&](Fields& attribute, std::pair<std::string, std::string>& pair) {
           if (attribute.require("name")) attribute.text("name", pair.first, check_filled_line);
           attribute.text("value", pair.second, check_one_line);
           if (!names.insert(pair.first).second)
             attribute.error("name", "must be unique among the attributes");
         });
}

void read_hash_key(Fields& f, ConsistentHash& out) {
  const int keys =
      f.at_most_one({"httpHeaderName", "httpCookie", "useSourceIp", "httpQueryParameterName"});
  if (keys == 0)
    f.error({},
            "must have one of httpHeaderName, httpCookie, useSourceIp or httpQueryParameterName");
  if (f.has("httpHeaderName"))
    f.text("httpHeaderName", out.key.emplace<ConsistentHash::Header>().name, check_filled_line);
  if (f.has("httpCookie")) f.object("httpCookie", out.key.emplace<HttpCookie>(), read_cookie);
  if (f.has("httpQueryParameterName"))
    f.text("httpQueryParameterName", out.key.emplace<ConsistentHash::QueryParameter>().name,
           check_not_empty);
  bool source_ip = false;
  f.flag("useSourceIp", source_ip);
}

void read_consistent_hash(Fields& f, ConsistentHash& out) {
  read_hash_key(f, out);
  f.at_most_one({"ringHash", "maglev"});
  f.number("minimumRingSize", out.minimum_ring_size);
  if (out.minimum_ring_size) {
    f.warn("minimumRingSize", "is deprecated, use ringHash.minimumRingSize");
    if (f.has("ringHash") || f.has("maglev"))
      f.error("minimumRingSize", "must not stand beside ringHash or maglev");
  }
  f.visit("ringHash", [&](Fields& ring) { ring.number("minimumRingSize", out.minimum_ring_size); });
  f.visit("maglev", [&](Fields& maglev) {
    out.maglev_table_size = 0;
    if (!maglev.require("tableSize")) return;
    maglev.number("tableSize", out.maglev_table_size);
    const std::uint64_t size = *out.maglev_table_size;
    if (size >= maglev_table_max || !is_prime(size))
      maglev.error("tableSize", fmt::format("must be a prime number below {}", maglev_table_max));
  });
}

// "region/zone/*" and the like must not cover each other.
bool covers(std::string_view a, std::string_view b) {
  while (a.ends_with('*')) a.remove_suffix(1);
  while (a.ends_with('/')) a.remove_suffix(1);
  return a.empty() || (b.starts_with(a) && (b.size() == a.size() || b[a.size()] == '/'));
}

void check_apart(Fields& f, const std::vector<const Element*>& localities) {
  // Shares of at least 1 in 100 have no more; each is compared with each.
  constexpr std::size_t localities_max = 1000;
  if (localities.size() > localities_max)
    return f.error({}, fmt::format("must have at most {} localities", localities_max));
  for (std::size_t i = 0; i < localities.size(); ++i) {
    const auto name = [](const Element* node) {
      return node->key == "from" ? node->text : node->key;
    };
    const std::string_view locality = name(localities[i]);
    if (const auto rule = check_locality(locality); !rule.empty())
      f.reading().error(*localities[i], {}, rule);
    for (std::size_t j = 0; j < i; ++j) {
      const std::string_view earlier = name(localities[j]);
      if (covers(locality, earlier) || covers(earlier, locality)) {
        f.reading().error(*localities[i], {}, fmt::format("must not overlap with {}", earlier));
        break;
      }
    }
  }
}

void read_distribute(Fields& f, LocalityLb::Distribute& out) {
  if (f.require("from")) f.text("from", out.from);
  std::uint64_t total = 0;
  std::vector<const Element*> localities;
  f.entries("to", [&](const Element& value) {
    localities.push_back(&value);
    const auto weight = f.read_integer(value, {1, 100});
    out.to[std::string(value.key)] = static_cast<std::uint32_t>(weight.value_or(0));
    total += static_cast<std::uint64_t>(weight.value_or(0));
  });
  if (total != 100)
    f.error("to", fmt::format("must have weights that add up to 100, not {}", total));
  check_apart(f, localities);
}

std::string_view check_region(std::string_view text) {
  if (text.find('/') != std::string_view::npos) return "must be a region alone, without '/'";
  return text.find('*') == std::string_view::npos ? "" : "must be a region, without '*'";
}

void read_failover(Fields& f, LocalityLb::Failover& out) {
  f.text("from", out.from, check_region);
  f.text("to", out.to, check_region);
  if (out.from == out.to) f.error("to", "must be another region than from");
}

bool is_topology(std::string_view label) {
  return label == "topology.kubernetes.io/region" || label == "topology.kubernetes.io/zone" ||
         label == "topology.istio.io/subzone";
}

}  // namespace

void read_locality_lb(Fields& f, bool ejects, LocalityLb& out) {
  f.list("distribute", out.distribute, read_distribute);
  f.list("failover", out.failover, read_failover);
  f.texts("failoverPriority", out.failover_priority);
  f.flag("enabled", out.enabled);
  if (!out.distribute.empty() && !out.failover.empty())
    f.error({}, "must not have distribute and failover together");
  if (!out.failover.empty() &&
      std::any_of(out.failover_priority.begin(), out.failover_priority.end(), is_topology)) {
    f.error("failoverPriority", "must not name a topology label beside failover");
  }
  if ((!out.failover.empty() || !out.failover_priority.empty()) && !ejects)
    f.warn({}, "has failover, which needs outlierDetection to work");
  std::vector<const Element*> sources;
  if (const Element* list = f.find("distribute"); list != nullptr && list->is_sequence()) {
    for (const Element* item = list->first; item != nullptr; item = item->next) {
      if (const Element* from = item->find("from"); from != nullptr && from->is_scalar())
        sources.push_back(from);
    }
  }
  check_apart(f, sources);
}

void read_load_balancer(Fields& f, bool ejects, LoadBalancer& out) {
  using Simple = LoadBalancer::Simple;
  f.at_most_one({"simple", "consistentHash", "backendUtilization"});
  f.choice<Simple>("simple", out.simple,
                   {{"UNSPECIFIED", Simple::unspecified},
                    {"LEAST_CONN", Simple::least_request},
                    {"RANDOM", Simple::random},
                    {"PASSTHROUGH", Simple::passthrough},
                    {"ROUND_ROBIN", Simple::round_robin},
                    {"LEAST_REQUEST", Simple::least_request}});
  f.object("consistentHash", out.consistent_hash, read_consistent_hash);
  f.object("localityLbSetting", out.locality, [&](Fields& fields, LocalityLb& locality) {
    read_locality_lb(fields, ejects, locality);
  });
  f.at_most_one({"localityLbSetting", "zoneAwareLbSetting"});
  f.without_effect({"zoneAwareLbSetting", "backendUtilization"});
  f.object("warmup", out.warmup, [](Fields& fields, Warmup& warmup) {
    std::optional<Duration> duration;
    if (fields.require("duration")) fields.duration("duration", duration);
    warmup.duration = duration.value_or(Duration::zero());
    fields.real("minimumPercent", warmup.minimum_percent, 0, 100);
    fields.real("aggression", warmup.aggression, 0, any_real);
    if (warmup.aggression && *warmup.aggression <= 0) fields.error("aggression", "must be above 0");
  });
  std::optional<Duration> old_warmup;
  f.duration("warmupDurationSecs", old_warmup, DurationRule::any);
  if (old_warmup && !out.warmup)
    out.warmup = Warmup{.duration = *old_warmup, .minimum_percent = {}, .aggression = {}};
}

}  // namespace graymesh::model
