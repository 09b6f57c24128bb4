// One HTTP route of a VirtualService, and the rules about what may stand together in it.
#include <fmt/core.h>

#include "model/kinds.h"
#include "model/read_http.h"
#include "model/rules.h"

namespace graymesh::model {
namespace {

void read_http_destination(Fields& f, WeightedDestination& out) {
  f.require("destination");
  f.object("destination", out.destination, read_destination);
  f.number("weight", out.weight, {0, std::numeric_limits<std::int32_t>::max()});
  f.object("headers", out.headers, read_headers);
}

void read_mirror(Fields& f, Mirror& out) {
  f.require("destination");
  f.object("destination", out.destination, read_destination);
  f.object("percentage", out.percent, read_percent);
}

// `mirror` with `mirrorPercentage` is the old way to write one of `mirrors`.
void read_mirrors(Fields& f, std::vector<Mirror>& out) {
  f.at_most_one({"mirror", "mirrors"});
  f.list("mirrors", out, read_mirror);
  std::optional<double> percent;
  if (f.has("mirrorPercent")) {
    std::uint32_t whole = 0;
    f.number("mirrorPercent", whole, {0, 100});
    f.warn("mirrorPercent", "is deprecated, use mirrorPercentage");
    percent = whole;
  }
  f.object("mirrorPercentage", percent, read_percent);
  if (!f.has("mirror")) return;
  Mirror& mirror = out.emplace_back();
  f.object("mirror", mirror.destination, read_destination);
  mirror.percent = percent;
}

void read_delegate(Fields& f, Delegate& out) {
  f.require("name");
  f.text("name", out.name, check_object_name);
  f.text("namespace", out.namespace_,
         [](std::string_view text) { return text.empty() ? "" : check_namespace(text); });
}

void check_together(Fields& f, bool delegate, const HttpRoute& route) {
  if (f.has("delegate")) {
    if (delegate) f.error("delegate", "must not be in a delegate (a VirtualService without hosts)");
    for (const std::string_view name : {"route", "redirect", "directResponse"}) {
      if (f.has(name)) f.error(name, "must not stand beside delegate");
    }
    return;
  }
  const int actions = f.at_most_one({"route", "redirect", "directResponse"});
  if (actions == 0 ||
      (actions == 1 && f.has("route") && route.route.empty() && f.find("route")->size == 0)) {
    f.error({}, "must have one of route, redirect, directResponse or delegate");
  }
  for (const std::string_view action : {"redirect", "directResponse"}) {
    if (!f.has(action)) continue;
    for (const std::string_view name : {"fault", "rewrite"}) {
      if (f.has(name)) f.error(name, fmt::format("must not stand beside {}", action));
    }
  }
}

// Istio: the authority can be set in one place only.
void check_authority(Fields& f, const HttpRoute& route) {
  int count = route.rewrite && !route.rewrite->authority.empty() ? 1 : 0;
  for (const auto* headers : {&route.headers.request.set, &route.headers.request.add}) {
    for (const auto& [name, value] : *headers) count += is_authority(name) ? 1 : 0;
  }
  if (count > 1)
    f.error({},
            "must not set the authority more than once, by rewrite.authority and headers.request");
}

}  // namespace

void read_destination(Fields& f, Destination& out) {
  if (f.require("host")) f.text("host", out.host, check_destination_host);
  f.text("subset", out.subset,
         [](std::string_view text) { return text.empty() ? "" : check_dns_label(text); });
  f.object("port", out.port, read_port_selector);
}

void read_port_selector(Fields& f, std::uint32_t& out) {
  if (f.require("number")) f.number("number", out, port_range);
}

void read_percent(Fields& f, double& out) {
  out = 0;
  f.real("value", out, 0, 100);
}

void check_total(Fields& f, const std::vector<WeightedDestination>& route) {
  std::uint64_t total = 0;
  for (const auto& destination : route) total += destination.weight;
  if (route.size() > 1 && total == 0) f.error("route", "must have a weight above 0");
  if (total > std::numeric_limits<std::uint32_t>::max())
    f.error("route", "must have weights that add up to at most 4294967295");
}

void read_retries(Fields& f, Retries& out) {
  f.number("attempts", out.attempts, {0, std::numeric_limits<std::int32_t>::max()});
  f.duration("perTryTimeout", out.per_try_timeout);
  f.text("retryOn", out.retry_on, check_retry_on);
  f.flag("retryRemoteLocalities", out.retry_remote_localities);
  f.flag("retryIgnorePreviousHosts", out.retry_ignore_previous_hosts);
  f.duration("backoff", out.backoff);
  if (out.attempts == 0 &&
      (out.per_try_timeout || !out.retry_on.empty() || out.retry_remote_localities)) {
    f.error({}, "must have attempts above 0 if it says how to retry");
  }
}

void read_http_route(Fields& f, bool delegate, HttpRoute& out) {
  out.position = f.position();
  f.text("name", out.name);
  f.list("match", out.match, read_http_match);
  f.list("route", out.route, read_http_destination);
  f.object("redirect", out.redirect,
           [&](Fields& fields, Redirect& redirect) { read_redirect(fields, out.match, redirect); });
  f.object("directResponse", out.direct_response, read_direct_response);
  f.object("delegate", out.delegate, read_delegate);
  f.object("rewrite", out.rewrite, read_rewrite);
  f.duration("timeout", out.timeout, DurationRule::zero_or_milliseconds);
  f.object("retries", out.retries, read_retries);
  f.object("fault", out.fault, read_fault);
  read_mirrors(f, out.mirrors);
  f.object("corsPolicy", out.cors, read_cors);
  f.object("headers", out.headers, read_headers);
  check_together(f, delegate, out);
  check_authority(f, out);
  check_total(f, out.route);
}

}  // namespace graymesh::model
