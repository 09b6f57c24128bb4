#include "api/monitoring.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <tuple>

#include "base/file.h"
#include "base/json.h"

namespace graymesh::api {
namespace {

using nlohmann::json;
using State = xds::TypeStatus::State;

constexpr std::uint16_t stats_port = 15090;  // Istio's

struct Sample {
  metrics::Labels labels;
  double value = 0;
};

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    out += c == '\n' ? std::string("\\n") : std::string(1, c);
  }
  return out;
}

// A family that is made anew for each page: a Registry's instruments live as long as it does, and
// these come and go.
std::string gauges_text(std::string_view name, std::string_view help,
                        const std::vector<Sample>& samples) {
  std::string out = fmt::format("# HELP {} {}\n# TYPE {} gauge\n", name, help, name);
  for (const auto& [labels, value] : samples) {
    std::string inside;
    for (const auto& [label, text] : labels)
      inside += fmt::format("{}{}=\"{}\"", inside.empty() ? "" : ",", label, escaped(text));
    out += inside.empty() ? fmt::format("{} {}\n", name, value)
                          : fmt::format("{}{{{}}} {}\n", name, inside, value);
  }
  return out;
}

double seconds(Clock::Wall::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

double since_1970(Clock::Wall time) { return seconds(time.time_since_epoch()); }

// The worst state of its types: one number for a proxy.
std::string_view state_of(const xds::ProxyStatus& proxy) {
  bool stale = false, waiting = true;
  for (const auto& type : proxy.types) {
    if (type.state == State::refused) return "refused";
    stale = stale || type.state == State::stale;
    waiting = waiting && type.state != State::synced;
  }
  return stale ? "stale" : waiting ? "waiting" : "synced";
}

// How long its oldest response has waited for an answer.
double lag(const xds::ProxyStatus& proxy, Clock::Wall now) {
  double most = 0;
  for (const auto& type : proxy.types) {
    if (type.state == State::stale) most = std::max(most, seconds(now - type.since));
  }
  return most;
}

std::string label(const resource::Node& node, std::string_view name) {
  const auto found = node.labels.find(name);
  return found == node.labels.end() ? "" : found->second;
}

// Of a phase that the engine ends by itself as soon as it can; else somebody or some time is
// awaited, and to stand still is no fault.
bool moves_by_itself(const release::Release& release) {
  return !release.held && !ended(release.phase) && release.phase != release::Phase::gray &&
         release.phase != release::Phase::step;
}

std::vector<const release::Release*> active(const release::View& view) {
  std::vector<const release::Release*> out;
  for (const auto& [id, release] : view.world->releases) {
    if (!ended(release.phase)) out.push_back(&release);
  }
  return out;
}

std::string team_of(const release::World& world, const release::Name& application) {
  const auto found = world.applications.find(application);
  return found == world.applications.end() ? "" : found->second.spec().team;
}

// The words by which the CLI knows it: "web/feature-a".
std::string words_for(const release::Release& release) {
  return release.members.empty() ? release.spec.tag
                                 : release.members.front().application + "/" + release.spec.tag;
}

// `workload`: what is known of its instance; null: nothing.
json target_of(const resource::Node& node, const snapshot::Endpoint* workload) {
  const bool v6 = node.address.find(':') != std::string::npos;
  const std::string address = v6 ? "[" + node.address + "]" : node.address;
  const bool placed = workload != nullptr && workload->locality != snapshot::Locality{};
  json labels = {
      {"pod", node.name},
      {"proxy", node.kind == resource::Node::Kind::router ? "router" : "sidecar"},
      {"source_namespace", node.namespace_},
      {"source_workload", node.workload},
      {"source_app", label(node, "app")},
      {"source_stage", label(node, "stage")},
      {"source_canarytag", label(node, "canarytag")},
      {"source_version", label(node, "version")},
      {"source_cluster", node.cluster_id},
      {"source_region", placed ? workload->locality.region : node.region},
      {"source_zone", placed ? workload->locality.zone : node.zone},
  };
  for (auto it = labels.begin(); it != labels.end();)
    it = it->get_ref<const std::string&>().empty() ? labels.erase(it) : std::next(it);
  json target = {{"targets", {fmt::format("{}:{}", address, stats_port)}}};
  target["labels"] = std::move(labels);
  return target;
}

// When the machine started, in seconds since 1970: "btime 1796028000" of /proc/stat.
std::optional<double> boot_time() {
  constexpr std::string_view name = "\nbtime ";
  const auto text = read_file("/proc/stat");
  const auto at = text ? text->find(name) : std::string::npos;
  long long seconds = 0;
  if (at == std::string::npos) return std::nullopt;
  const char* begin = text->data() + at + name.size();
  const auto [end, fault] = std::from_chars(begin, text->data() + text->size(), seconds);
  return fault == std::errc() ? std::optional(static_cast<double>(seconds)) : std::nullopt;
}

}  // namespace

std::string proxy_series(const std::vector<xds::ProxyStatus>& proxies, Clock::Wall now) {
  std::map<std::string_view, double> states = {
      {"synced", 0}, {"stale", 0}, {"refused", 0}, {"waiting", 0}};
  std::vector<std::tuple<double, std::string, std::string>> laggards;  // lag, namespace, proxy
  std::map<std::string_view, double> refusals;
  for (const auto type : resource::all_types) refusals[resource::short_name(type)] = 0;
  for (const auto& proxy : proxies) {
    ++states[state_of(proxy)];
    for (const auto& refusal : proxy.refusals) ++refusals[resource::short_name(refusal.type)];
    if (const double late = lag(proxy, now); late > 0)
      laggards.emplace_back(late, proxy.node.namespace_, proxy.node.name);
  }
  std::ranges::sort(laggards, std::greater<>());
  const double worst = laggards.empty() ? 0 : std::get<0>(laggards.front());
  if (laggards.size() > laggards_max) laggards.resize(laggards_max);
  std::vector<Sample> by_state, late, refused;
  for (const auto& [name, count] : states)
    by_state.push_back({{{"state", std::string(name)}}, count});
  for (const auto& [name, count] : refusals)
    refused.push_back({{{"type", std::string(name)}}, count});
  for (const auto& [late_for, namespace_, proxy] : laggards)
    late.push_back({{{"source_namespace", namespace_}, {"pod", proxy}}, late_for});
  return gauges_text("graymesh_proxies", "Connected proxies by the worst state of their types.",
                     by_state) +
         gauges_text("graymesh_proxy_refusals", "Resources that proxies refuse now.", refused) +
         gauges_text("graymesh_proxy_stale_seconds_max",
                     "Longest time that a proxy has not answered what it was sent.",
                     {{{}, worst}}) +
         gauges_text("graymesh_proxy_stale_seconds",
                     "How long it has not answered what it was sent; the worst 50.", late);
}

std::string service_series(const push::State& state) {
  std::vector<Sample> samples;
  for (const auto& service : state.snapshot->services()) {
    if (service->resolution != snapshot::Resolution::endpoints || !service->kubernetes) continue;
    std::set<std::string> all, healthy;  // of several ports an instance is one
    for (const auto& port : state.snapshot->endpoints(*service)->by_port) {
      for (const auto& endpoint : port) {
        all.insert(endpoint.address);
        if (endpoint.health == snapshot::Health::healthy) healthy.insert(endpoint.address);
      }
    }
    const metrics::Labels labels = {{"namespace", service->namespace_}, {"service", service->name}};
    auto with = [&](const char* health) {
      auto out = labels;
      out.emplace_back("health", health);
      return out;
    };
    samples.push_back({with("healthy"), static_cast<double>(healthy.size())});
    if (all.size() > healthy.size())
      samples.push_back({with("other"), static_cast<double>(all.size() - healthy.size())});
  }
  return gauges_text("graymesh_service_endpoints",
                     "Instances of a service, as the control plane tells proxies.", samples);
}

std::string release_series(const release::View& view,
                           const std::vector<xds::ProxyStatus>& proxies) {
  std::vector<Sample> applications, infos, phases, waiting, instances;
  for (const auto& [name, application] : view.world->applications) {
    applications.push_back({{{"namespace", name.namespace_},
                             {"service", name.name},
                             {"owner", application.spec().team}},
                            1});
  }
  for (const auto* release : active(view)) {
    const std::string words = words_for(*release), phase(name_of(release->phase));
    for (const auto& member : release->members) {
      const release::Name application{release->name.namespace_, member.application};
      infos.push_back({{{"namespace", release->name.namespace_},
                        {"service", member.application},
                        {"canarytag", release->spec.tag},
                        {"lane", release->spec.tag},
                        {"release", words},
                        {"phase", phase},
                        {"owner", team_of(*view.world, application)},
                        {"started_by", release->started_by.name}},
                       1});
    }
    phases.push_back({{{"namespace", release->name.namespace_},
                       {"release", words},
                       {"phase", phase},
                       {"waits", moves_by_itself(*release) ? "mesh" : "people"}},
                      since_1970(release->since)});
    const auto progress = view.progress.find(release->id);
    const bool waits = progress != view.progress.end() && progress->second.waiting;
    waiting.push_back({{{"namespace", release->name.namespace_}, {"release", words}},
                       waits ? progress->second.proxies - progress->second.acked : 0.0});
  }
  std::set<std::string> connected;
  for (const auto& proxy : proxies) connected.insert(proxy.node.address);
  std::map<std::pair<std::string, std::string>, double> by_phase;
  double missing = 0;
  for (const auto& instance : view.instances) {
    ++by_phase[{instance.namespace_, std::string(workload::name_of(instance.phase))}];
    if (instance.phase == workload::Instance::Phase::ready && !connected.contains(instance.address))
      ++missing;
  }
  for (const auto& [key, count] : by_phase)
    instances.push_back({{{"namespace", key.first}, {"phase", key.second}}, count});
  return gauges_text("graymesh_application_info", "Applications and their owners.", applications) +
         gauges_text("graymesh_release_info", "Releases that are not over, by application.",
                     infos) +
         gauges_text("graymesh_release_phase_started_seconds",
                     "When the release came into its phase; waits: mesh, or people and time.",
                     phases) +
         gauges_text("graymesh_release_proxies_missing",
                     "Proxies that the release's change has not reached yet.", waiting) +
         gauges_text("graymesh_instances", "Instances of the release platform.", instances) +
         gauges_text("graymesh_proxies_missing", "Ready instances whose proxies are not connected.",
                     {{{}, missing}});
}

std::string lane_series(const release::View& view, const traffic::Table& traffic) {
  std::vector<Sample> requests, lost;
  for (const auto& [name, lane] : view.world->lanes) {
    const traffic::Report report = traffic.report({name.namespace_, name.name});
    std::map<std::string, double> received;
    std::map<std::pair<std::string, std::string>, double> gone;
    for (const auto& [who, passed] : report.passed) {
      received[who.application] += static_cast<double>(passed.received);
      for (const auto& [to, count] : passed.lost)
        gone[{who.application, to}] += static_cast<double>(count);
    }
    for (const auto& [application, count] : received)
      requests.push_back(
          {{{"namespace", name.namespace_}, {"lane", name.name}, {"service", application}}, count});
    for (const auto& [from, count] : gone)
      lost.push_back({{{"namespace", name.namespace_},
                       {"lane", name.name},
                       {"service", from.first},
                       {"to", from.second}},
                      count});
  }
  return gauges_text("graymesh_lane_requests",
                     "Requests of a lane that an application received, of the last 1 to 2 hours.",
                     requests) +
         gauges_text("graymesh_lane_lost_requests",
                     "Calls that lost the lane they came in, of the last 1 to 2 hours.", lost);
}

std::string process_series() {
  const auto stat = read_file("/proc/self/stat");
  const auto statm = read_file("/proc/self/statm");
  if (!stat || !statm) return {};
  // Behind the name in parentheses: state, and from the 12th on utime, stime in ticks.
  std::vector<double> fields;
  const auto numbers = [&fields](std::string_view text) {
    fields.clear();
    while (!text.empty()) {
      const auto blank = text.find(' ');
      const auto word = text.substr(0, blank);
      long long number = 0;
      std::from_chars(word.data(), word.data() + word.size(), number);
      fields.push_back(static_cast<double>(number));
      text = blank == std::string_view::npos ? std::string_view{} : text.substr(blank + 1);
    }
  };
  std::string out;
  numbers(std::string_view(*stat).substr(stat->rfind(')') + 2));
  if (fields.size() > 12) {
    const double cpu = (fields[11] + fields[12]) / static_cast<double>(::sysconf(_SC_CLK_TCK));
    out += fmt::format(
        "# HELP process_cpu_seconds_total CPU time of graymeshd.\n"
        "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total {}\n",
        cpu);
  }
  if (const auto booted = boot_time(); booted && fields.size() > 19) {
    const double since_boot = fields[19] / static_cast<double>(::sysconf(_SC_CLK_TCK));
    out += gauges_text("process_start_time_seconds", "When graymeshd started, since 1970.",
                       {{{}, *booted + since_boot}});
  }
  numbers(*statm);
  if (fields.size() > 1) {
    out += gauges_text("process_resident_memory_bytes", "Resident memory of graymeshd.",
                       {{{}, fields[1] * static_cast<double>(::sysconf(_SC_PAGESIZE))}});
  }
  return out;
}

json Sidecars::targets(const std::vector<xds::ProxyStatus>& connected,
                       const snapshot::Snapshot* snapshot) {
  const auto workload_at = [snapshot](const std::string& address) {
    return snapshot != nullptr ? snapshot->workload(address) : nullptr;
  };
  const std::lock_guard lock(mutex_);
  std::set<std::string> now;
  for (const auto& proxy : connected) {
    if (proxy.node.kind == resource::Node::Kind::other) continue;
    now.insert(proxy.node.address);
    seen_.insert_or_assign(proxy.node.address, proxy.node);  // two streams of a proxy are one
  }
  std::erase_if(seen_, [&](const auto& one) {
    return !now.contains(one.first) && workload_at(one.first) == nullptr;
  });
  json out = json::array();
  for (const auto& [address, node] : seen_) out.push_back(target_of(node, workload_at(address)));
  return out;
}

}  // namespace graymesh::api
