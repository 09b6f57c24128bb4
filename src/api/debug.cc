
#include "api/pages.h"
#include "base/json.h"
#include "model/json.h"

namespace graymesh::api {
namespace {

using nlohmann::json;

std::string_view name_of(snapshot::Protocol protocol) {
  using P = snapshot::Protocol;
  switch (protocol) {
    case P::automatic:
      return "auto";
    case P::http:
      return "HTTP";
    case P::http_proxy:
      return "HTTP_PROXY";
    case P::http2:
      return "HTTP2";
    case P::grpc:
      return "GRPC";
    case P::grpc_web:
      return "GRPC-Web";
    case P::https:
      return "HTTPS";
    case P::tls:
      return "TLS";
    case P::tcp:
      return "TCP";
    case P::mongo:
      return "Mongo";
    case P::mysql:
      return "MySQL";
    case P::redis:
      return "Redis";
    case P::udp:
      return "UDP";
  }
  return {};
}

std::string_view name_of(snapshot::Resolution resolution) {
  using R = snapshot::Resolution;
  switch (resolution) {
    case R::endpoints:
      return "ClientSideLB";
    case R::dns:
      return "DNSLB";
    case R::dns_round_robin:
      return "DNSRoundRobinLB";
    case R::passthrough:
      return "Passthrough";
  }
  return {};
}

std::string_view name_of(snapshot::Health health) {
  using H = snapshot::Health;
  switch (health) {
    case H::healthy:
      return "HEALTHY";
    case H::unhealthy:
      return "UNHEALTHY";
    case H::draining:
      return "DRAINING";
  }
  return {};
}

json endpoint(const snapshot::Endpoint& e) {
  return {{"address", e.address},
          {"port", e.port},
          {"labels", e.labels},
          {"namespace", e.namespace_},
          {"workload", e.workload},
          {"serviceAccount", e.service_account},
          {"weight", e.weight},
          {"health", name_of(e.health)},
          {"locality",
           {{"region", e.locality.region},
            {"zone", e.locality.zone},
            {"subzone", e.locality.sub_zone}}}};
}

}  // namespace

json configz_page(const push::State& state) {
  json out = json::array();
  for (const auto& [key, entry] : state.objects->entries) {
    const auto [kind, name] = model::kind_and_name(key);
    json one = {{"kind", kind}, {"namespace", key.namespace_}, {"name", name}};
    if (entry.serving) {
      if (auto text = model::to_json(entry.serving->text)) one = json::parse(*text, nullptr, false);
    }
    json errors = json::array();
    for (const auto& problem : entry.errors) errors.push_back(model::to_string(problem));
    json warnings = json::array();
    if (entry.serving) {
      for (const auto& problem : entry.serving->warnings)
        warnings.push_back(model::to_string(problem));
    }
    // Ours, beside the object itself: how its newest text stands.
    one["graymesh"] = {{"state", state_of(key, entry)},
                       {"file", entry.position.file},
                       {"line", entry.position.line},
                       {"errors", std::move(errors)},
                       {"warnings", std::move(warnings)}};
    out.push_back(std::move(one));
  }
  return out;
}

json registryz_page(const push::State& state) {
  json out = json::array();
  for (const auto& service : state.snapshot->services()) {
    json ports = json::array();
    for (const auto& port : service->ports) {
      ports.push_back(
          {{"name", port.name}, {"port", port.number}, {"protocol", name_of(port.protocol)}});
    }
    out.push_back({{"hostname", service->host},
                   {"name", service->name},
                   {"namespace", service->namespace_},
                   {"addresses", service->addresses},
                   {"ports", std::move(ports)},
                   {"resolution", name_of(service->resolution)},
                   {"meshExternal", service->external},
                   {"origin", to_string(service->origin)}});
  }
  return out;
}

json endpointz_page(const push::State& state) {
  json out = json::array();
  for (const auto& service : state.snapshot->services()) {
    const auto endpoints = state.snapshot->endpoints(*service);
    for (std::size_t at = 0; at < service->ports.size(); ++at) {
      json list = json::array();
      if (at < endpoints->by_port.size()) {
        for (const auto& e : endpoints->by_port[at]) list.push_back(endpoint(e));
      }
      out.push_back({{"service", service->host},
                     {"port", service->ports[at].number},
                     {"portName", service->ports[at].name},
                     {"endpoints", std::move(list)}});
    }
  }
  return out;
}

}  // namespace graymesh::api
