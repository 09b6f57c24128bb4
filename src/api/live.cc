#include "api/live.h"

#include "api/answers.h"

namespace graymesh::api {
namespace {

using namespace std::chrono_literals;

// For a look at all proxies that begins with the question; at 10 of them it takes some 20 ms.
constexpr auto patience = 3s;
constexpr std::uint64_t seconds_max = 600;
constexpr std::uint64_t seconds_default = 30;

}  // namespace

Result<live::Window> Live::window(const Call& call) {
  const auto seconds = TRY(number_of(call.request, "seconds", {1, seconds_max, seconds_default}));
  const std::chrono::seconds last(seconds);
  const std::string lane = call.query("lane");
  if (lane.empty()) return parts_.gatherer.window(last, patience);
  if (parts_.calls == nullptr)
    return Error{Code::unimplemented,
                 "lane: proxies tell nothing of requests: graymeshd runs without --store, or the "
                 "MeshConfig has GRAYMESH_LANE_LOG off"};
  live::Window out = parts_.calls->window(lane, last);
  out.versions = gather::versions_of(parts_.gatherer.proxies());
  return out;
}

void Live::show(const Call& call, Page page) {
  const auto found = window(call);
  if (!found) return send_error(call.response, found.error());
  live::Wanted wanted{.namespace_ = call.query("namespace"),
                      .service = call.query("service"),
                      .from = call.query("from")};
  if (wanted.service.empty()) wanted.service = call.query("workload");
  send_json(call.response, page(*found, wanted));
}

void Live::add_to(Routes& routes, Live* self) {
  routes.add("GET", "/api/v1/live/edges",
             [self](const Call& call) { self->show(call, live::edges_page); });
  routes.add("GET", "/api/v1/live/services",
             [self](const Call& call) { self->show(call, live::services_page); });
  routes.add("GET", "/api/v1/live/workloads",
             [self](const Call& call) { self->show(call, live::workloads_page); });
  routes.add("GET", "/api/v1/live/tap", [self](const Call& call) { self->tap(call); });
}

}  // namespace graymesh::api
