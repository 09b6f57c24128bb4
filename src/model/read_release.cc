// Application, GrayRelease, Lane, Environment.
#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <set>

#include "model/kinds.h"
#include "model/read_http.h"
#include "model/rules.h"
#include "model/scalars.h"

namespace graymesh::model {
namespace {

constexpr std::int64_t replicas_max = 1000;  // of one version; a slip of the finger otherwise

std::string_view check_tag(std::string_view text) {
  return is_dns_label(text) && text != "baseline" && text != "none"
             ? ""
             : "must be a DNS label (letters, digits, '-', at most 63) other than baseline and "
               "none: it becomes a subset, a label and a header's value";
}

std::string_view check_cookie_name(std::string_view text) { return check_header_name(text); }

// A VirtualService takes a name without a dot for one of its own namespace.
std::string_view check_public_host(std::string_view text) {
  if (const auto rule = check_wildcard_host(text); !rule.empty()) return rule;
  return text == "*" || text.find('.') != std::string_view::npos
             ? ""
             : "must be a full name with a dot: a short one means a service of the mesh";
}

std::string_view check_other_environment(std::string_view text) {
  return text.empty() ? "" : check_namespace(text);
}

std::string_view check_url(std::string_view text) {
  return text.starts_with("http://") ? "" : "must be an http:// URL";
}

// Kubernetes' quantities: 512, 64Ki, 256Mi, 2Gi, 500M.
std::optional<std::uint64_t> to_bytes(std::string_view text) {
  constexpr std::pair<std::string_view, std::uint64_t> units[] = {
      {"Ki", 1ull << 10}, {"Mi", 1ull << 20}, {"Gi", 1ull << 30},    {"Ti", 1ull << 40},
      {"k", 1000ull},     {"M", 1000'000ull}, {"G", 1000'000'000ull}};
  std::uint64_t unit = 1;
  for (const auto& [suffix, factor] : units) {
    if (!text.ends_with(suffix)) continue;
    text.remove_suffix(suffix.size());
    unit = factor;
    break;
  }
  const auto number = to_integer(text);
  if (!number || *number <= 0) return std::nullopt;
  if (static_cast<std::uint64_t>(*number) > (1ull << 50) / unit) return std::nullopt;
  return static_cast<std::uint64_t>(*number) * unit;
}

// "0.5", "2", "500m".
std::optional<double> to_cpus(std::string_view text) {
  double unit = 1;
  if (text.ends_with('m')) {
    text.remove_suffix(1);
    unit = 0.001;
  }
  const auto number = to_number(text);
  if (!number || *number * unit < 0.001 || *number * unit > 1024) return std::nullopt;
  return *number * unit;
}

void read_run(Fields& f, Run& out) {
  f.text("version", out.version, check_label_value);
  f.texts("command", out.command);
  f.text_map("environment", out.environment, check_not_empty);
  f.text("directory", out.directory, [](std::string_view text) -> std::string_view {
    return text.empty() || text.front() == '/' ? "" : "must be an absolute path";
  });
  f.visit("resources", [&](Fields& resources) {
    std::string memory, cpu;
    resources.word("memory", memory);
    resources.word("cpu", cpu);
    if (!memory.empty()) {
      const auto bytes = to_bytes(memory);
      if (bytes)
        out.memory_bytes = *bytes;
      else
        resources.error("memory", "must be an amount such as 256Mi");
    }
    if (!cpu.empty()) {
      const auto cpus = to_cpus(cpu);
      if (cpus)
        out.cpus = *cpus;
      else
        resources.error("cpu", "must be a number of CPUs such as 0.5 or 500m, at most 1024");
    }
  });
}

void read_probe(Fields& f, HealthProbe& out) {
  if (f.at_most_one({"http", "tcp", "command"}) == 0)
    f.error({}, "must have one of http, tcp and command");
  f.visit("http", [&](Fields& http) {
    out.kind = HealthProbe::Kind::http;
    http.text("path", out.path, [](std::string_view text) -> std::string_view {
      return text.starts_with('/') && text.find_first_of(" \r\n") == std::string_view::npos
                 ? ""
                 : "must begin with / and have no blanks";
    });
    http.number("port", out.port, port_range);
  });
  f.visit("tcp", [&](Fields& tcp) {
    out.kind = HealthProbe::Kind::tcp;
    tcp.number("port", out.port, port_range);
  });
  if (f.has("command")) out.kind = HealthProbe::Kind::command;
  f.texts("command", out.command);
  f.duration("initialDelay", out.initial_delay, DurationRule::any);
  f.duration("period", out.period);
  f.duration("timeout", out.timeout);
  f.number("failures", out.failures, {1, 1000});
  f.number("successes", out.successes, {1, 1000});
}

// Only at these does Envoy count how many requests were faster (milliseconds).
bool is_bucket(Duration threshold) {
  using namespace std::chrono_literals;
  constexpr Duration buckets[] = {1ms,   5ms,    10ms,   25ms,   50ms,     100ms,    250ms,
                                  500ms, 1000ms, 2500ms, 5000ms, 10'000ms, 30'000ms, 60'000ms};
  return std::ranges::find(buckets, threshold) != std::end(buckets);
}

void read_slo(Fields& f, Slo& out) {
  if (f.require("availability")) f.real("availability", out.availability, 50, 99.999);
  f.visit("latency", [&](Fields& latency) {
    if (latency.require("threshold")) latency.duration("threshold", out.threshold);
    latency.real("target", out.target, 50, 99.999);
    if (out.threshold && !is_bucket(*out.threshold))
      latency.error("threshold",
                    "must be a bound of Envoy's histogram: 1, 5, 10, 25, 50, 100, 250 or 500 ms, "
                    "1, 2.5, 5, 10, 30 or 60 s");
  });
}

void read_application_port(Fields& f, ApplicationPort& out) {
  out.position = f.position();
  if (f.require("name")) f.text("name", out.name, check_dns_label);
  if (f.require("port")) f.number("port", out.number, port_range);
  f.text("protocol", out.protocol, check_protocol);
}

void read_cookie_or_query(Fields& f, std::string_view name, NamedMatches& out) {
  f.entries(name, [&](const Element& value) {
    if (const auto rule = check_cookie_name(value.key); !rule.empty())
      f.reading().error(value, {}, rule);
    Fields fields(f.reading(), value);
    if (!value.is_mapping()) return;
    StringMatch& match = out[std::string(value.key)];
    read_string_match(fields, match);
    if (match.kind == StringMatch::Kind::regex) {
      if (const auto rule = check_regex(match.value); !rule.empty()) fields.error("regex", rule);
    }
    fields.close();
  });
}

void read_gray_match(Fields& f, GrayMatch& out) {
  read_cookie_or_query(f, "headers", out.headers);
  read_cookie_or_query(f, "cookies", out.cookies);
  read_cookie_or_query(f, "query", out.query);
  f.text("sourceApplication", out.source_application, check_host);
  // Both are one header, and a header can be looked at once.
  if (out.cookies.size() + out.headers.count("cookie") > 1)
    f.error("cookies", "must be one, and without a match of the header cookie");
  if (out.headers.empty() && out.cookies.empty() && out.query.empty() &&
      out.source_application.empty())
    f.error({},
            "must look at headers, cookies, query or sourceApplication; for a share of all "
            "requests use steps");
}

void read_step(Fields& f, GrayStep& out) {
  out.position = f.position();
  if (f.require("weight")) f.number("weight", out.weight, {0, 100});
  f.visit("pause", [&](Fields& pause) {
    if (pause.at_most_one({"duration", "approval", "verdict"}) == 0)
      pause.error({}, "must have one of duration, approval and verdict");
    pause.duration("duration", out.pause);
    pause.flag("approval", out.approval);
    pause.text("verdict", out.hook, check_url);
  });
  f.object("analysis", out.analysis, read_analysis);
  if (!out.analysis) return;
  if (!out.hook.empty())
    f.error("analysis", "must not stand beside pause.verdict: one of them judges the step");
  if (out.weight == 100)
    f.warn("analysis", "compares with the baseline, which a weight of 100 may leave no requests");
}

void read_gray_application(Fields& f, GrayApplication& out) {
  out.position = f.position();
  if (f.require("name")) f.text("name", out.name, check_dns_label);
  f.object("run", out.run, read_run);
  f.number("replicas", out.replicas, {1, replicas_max});
}

// Each name once; the entries are scalars of `field`.
template <typename T, typename NameOf>
void check_unique(Fields& f, std::string_view list, const std::vector<T>& entries, NameOf name_of) {
  std::set<std::string_view> names;
  for (const T& entry : entries) {
    if (!names.insert(name_of(entry)).second)
      f.error(list, fmt::format("must have each name once; {} is there again", name_of(entry)));
  }
}

void check_steps(Fields& f, const GrayRelease& out) {
  for (std::size_t i = 1; i < out.steps.size(); ++i) {
    if (out.steps[i].weight < out.steps[i - 1].weight)
      f.error("steps", fmt::format("must not fall: weight {} comes after {}", out.steps[i].weight,
                                   out.steps[i - 1].weight));
  }
}

void read_freeze(Fields& f, Environment::Freeze& out) {
  for (const auto& [name, to] : {std::pair{"from", &out.from}, std::pair{"to", &out.to}}) {
    std::string text;
    if (!f.require(name)) continue;
    f.text(name, text);
    const auto seconds = to_seconds(text);
    if (seconds)
      *to = *seconds;
    else
      f.error(name, "must be a time such as 2026-12-24T12:00:00Z");
  }
  f.text("reason", out.reason);
  if (out.to != 0 && out.to <= out.from) f.error("to", "must be after from");
}

}  // namespace

void read_application(Fields& f, Application& out) {
  f.text("team", out.team, check_label_value);
  if (f.require("ports")) f.list("ports", out.ports, read_application_port);
  if (f.has("ports") && out.ports.empty()) f.error("ports", "must have at least one port");
  check_unique(f, "ports", out.ports,
               [](const auto& port) -> std::string_view { return port.name; });
  f.texts("hosts", out.hosts, check_public_host);
  f.texts("gateways", out.gateways, check_gateway_name);
  f.flag("gateway", out.gateway);
  f.object("run", out.run, read_run);
  if (out.run.command.empty() && !out.gateway)
    f.error("run", "must have a command, or gateway be true");
  f.number("replicas", out.replicas, {1, replicas_max});
  f.object("readiness", out.readiness, read_probe);
  f.object("liveness", out.liveness, read_probe);
  f.object("startup", out.startup, read_probe);
  f.visit("stop", [&](Fields& stop) {
    stop.duration("drain", out.drain, DurationRule::zero_or_milliseconds);
    stop.duration("timeout", out.stop);
  });
  f.choice<Application::Repeat>("repeat", out.repeat,
                                {{"safe", Application::Repeat::safe},
                                 {"idempotent", Application::Repeat::idempotent},
                                 {"none", Application::Repeat::none}});
  f.object("slo", out.slo, read_slo);
  if (!out.hosts.empty() && out.gateways.empty())
    f.warn("hosts", "are served by no gateway: name some in gateways");
}

void read_gray_release(Fields& f, GrayRelease& out) {
  if (f.require("tag")) f.text("tag", out.tag, check_tag);
  if (f.require("applications")) f.list("applications", out.applications, read_gray_application);
  if (f.has("applications") && out.applications.empty())
    f.error("applications", "must have at least one application");
  check_unique(f, "applications", out.applications,
               [](const auto& app) -> std::string_view { return app.name; });
  f.list("match", out.match, read_gray_match);
  f.list("steps", out.steps, read_step);
  check_steps(f, out);
  f.text("stickyCookie", out.sticky_cookie, check_cookie_name);
  f.visit("laggards", [&](Fields& laggards) {
    using Policy = GrayRelease::Laggards;
    laggards.choice<Policy>(
        "policy", out.laggards,
        {{"hold", Policy::hold}, {"isolate", Policy::isolate}, {"goOn", Policy::go_on}});
    laggards.duration("after", out.laggards_after);
  });
  f.duration("readyWithin", out.ready_within);
  f.flag("promote", out.promote);
  f.text("promoteTo", out.promote_to, check_other_environment);
  if (!out.promote_to.empty() && out.promote_to == f.reading().namespace_)
    f.error("promoteTo", "must be another namespace");
}

void read_lane(Fields& f, Lane& out) {
  f.text("owner", out.owner);
  f.text("branch", out.branch);
  f.duration("timeToLive", out.time_to_live);
  f.duration("idle", out.idle);
  f.choice<bool>("mode", out.strict, {{"permissive", false}, {"strict", true}});
}

void read_environment(Fields& f, Environment& out) {
  f.visit("allow", [&](Fields& allow) {
    allow.flag("lanes", out.lanes);
    allow.flag("weights", out.weights);
  });
  f.visit("approval", [&](Fields& approval) {
    approval.number("required", out.approvals, {0, 10});
    approval.flag("fourEyes", out.four_eyes);
    approval.texts("by", out.approvers, check_not_empty);
  });
  f.visit("lanes", [&](Fields& lanes) {
    lanes.duration("timeToLive", out.lane_time_to_live);
    lanes.duration("idle", out.lane_idle);
    lanes.text("cookieDomain", out.cookie_domain, check_host);
  });
  f.visit("baseline", [&](Fields& baseline) {
    baseline.number("minimum", out.baseline_minimum, {0, replicas_max});
  });
  f.list("freezes", out.freezes, read_freeze);
  f.text("promoteTo", out.promote_to, check_other_environment);
}

}  // namespace graymesh::model
