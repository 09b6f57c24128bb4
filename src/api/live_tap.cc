// GET /api/v1/live/tap: requests as their callers' proxies log them (server-sent events).
#include <fmt/core.h>

#include <algorithm>

#include "api/answers.h"
#include "api/live.h"
#include "api/pages.h"

namespace graymesh::api {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

constexpr auto slice = 200ms;     // how soon a server that stops is noticed
constexpr auto renew_every = 5s;  // proxies that are new are told what is tapped
constexpr auto tell_left_every = 1s;
constexpr std::uint64_t per_second_default = 100;
constexpr std::size_t names_max = 20;  // of proxies that cannot be asked

std::string event(const char* kind, const json& what) {
  return fmt::format("event: {}\ndata: {}\n\n", kind,
                     what.dump(-1, ' ', false, json::error_handler_t::replace));
}

// "web-0" of "sidecar~127.1.2.3~web-0.fe-pre~fe-pre.svc.cluster.local", by "127.1.2.3".
std::pair<std::string, std::string> instance_of(const std::string& id) {
  const auto first = id.find('~');
  const auto second = id.find('~', first == id.npos ? first : first + 1);
  if (second == id.npos) return {};
  const std::string name = id.substr(second + 1, id.find('~', second + 1) - second - 1);
  return {id.substr(first + 1, second - first - 1), name.substr(0, name.rfind('.'))};
}

// "web-0.fe-pre" of it.
std::string name_of(const std::string& id) {
  const auto second = id.find('~', id.find('~') + 1);
  return second == id.npos ? id : id.substr(second + 1, id.find('~', second + 1) - second - 1);
}

json request_json(const gather::Tapped& tapped,
                  const std::map<std::string, std::string>& instances) {
  const live::Edge& edge = tapped.edge;
  const traffic::Request& request = tapped.request;
  const traffic::Details details = request.details.value_or(traffic::Details());
  const auto at = details.upstream.rfind(':');
  const auto instance = instances.find(details.upstream.substr(0, at));
  return {{"at", to_text(details.at)},
          {"lane", edge.lane},
          {"from",
           {{"namespace", edge.from.namespace_},
            {"workload", edge.from.workload},
            {"canarytag", edge.from.tag},
            {"version", edge.from.version},
            {"gateway", edge.from.gateway},
            {"instance", instance_of(tapped.proxy).second}}},
          {"to",
           {{"namespace", edge.to.namespace_},
            {"service", edge.to.service},
            {"port", edge.to.port},
            {"subset", edge.to.subset},
            {"canarytag", live::tag_of(edge.to)},
            {"stage", live::stage_of(edge.to)},
            {"instance", instance == instances.end() ? "" : instance->second},
            {"address", details.upstream}}},
          {"method", details.method},
          {"authority", details.authority},
          {"path", details.path},
          {"code", request.code},
          {"flags", details.flags},
          {"ms", request.ms},
          {"requestId", request.id},
          {"bytesReceived", details.received},
          {"bytesSent", details.sent}};
}

// "503", "5xx", or "0" where there was none.
bool is_code(std::string_view text) {
  if (text == "0") return true;
  if (text.size() != 3 || text[0] < '1' || text[0] > '5') return false;
  return text.ends_with("xx") || text.find_first_not_of("0123456789") == std::string_view::npos;
}

bool is_method(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return 'A' <= c && c <= 'Z'; });
}

Result<gather::TapWanted> wanted_of(const Call& call) {
  gather::TapWanted out{.lane = call.query("lane"),
                        .edge = {.namespace_ = call.query("namespace"),
                                 .service = call.query("service"),
                                 .from = call.query("from")},
                        .path = call.query("path"),
                        .method = call.query("method"),
                        .code = call.query("code")};
  if (!out.code.empty() && !is_code(out.code))
    return Error{Code::invalid_argument,
                 fmt::format("code is {}, must be one as 503 or 5xx, or 0", out.code)};
  if (!is_method(out.method))
    return Error{Code::invalid_argument,
                 fmt::format("method is {}, must be one as GET", out.method)};
  return out;
}

}  // namespace

struct Live::Stream {
  std::shared_ptr<gather::Tap> tap;
  std::map<std::string, std::string> instances = {};  // by address
  std::vector<std::string> out_of_reach = {};         // names of proxies
  std::chrono::steady_clock::time_point renewed{}, told{};
};

json Live::share_json(const Stream& stream) {
  const auto& all = stream.out_of_reach;
  const auto end = all.begin() + static_cast<std::ptrdiff_t>(std::min(all.size(), names_max));
  return {{"sharePercent", stream.tap->share / 1e4},
          {"outOfReach", all.size()},
          {"outOfReachNames", std::vector(all.begin(), end)}};
}

std::uint32_t Live::share_of(const gather::TapWanted& wanted) {
  if (!wanted.lane.empty() && wanted.lane != "-") return 0;  // logged in any case
  double per_second = 0;
  const live::Window window = parts_.gatherer.window(30s, 1s);
  for (const live::Row& row : window.rows) {
    // Who calls is told to log; what it calls is not known before.
    if (!row.edge.received() && live::is_wanted({.from = wanted.edge.from}, row.edge))
      per_second += row.counts.requests() / std::max(window.seconds(), 1.0);
  }
  return gather::share_for(per_second);
}

void Live::renew(Stream& stream) {
  const auto reached = parts_.taps->renew();
  stream.out_of_reach.clear();
  for (const auto& proxy : reached.out_of_reach) {
    if (stream.tap->share != 0 && gather::may_match(stream.tap->wanted, proxy))
      stream.out_of_reach.push_back(name_of(proxy.id));
  }
  std::ranges::sort(stream.out_of_reach);
  stream.instances.clear();
  for (const auto& proxy : parts_.gatherer.proxies())
    stream.instances.insert(instance_of(proxy.id));
  stream.renewed = std::chrono::steady_clock::now();
}

void Live::tap(const Call& call) {
  if (parts_.taps == nullptr)
    return send_error(call.response,
                      {Code::unimplemented,
                       "proxies tell nothing of requests: graymeshd runs without --store, or the "
                       "MeshConfig has GRAYMESH_LANE_LOG off"});
  const auto wanted = wanted_of(call);
  if (!wanted) return send_error(call.response, wanted.error());
  const auto per_second =
      number_of(call.request, "perSecond", {1, gather::Tap::per_second_max, per_second_default});
  if (!per_second) return send_error(call.response, per_second.error());
  const std::uint32_t share = share_of(*wanted);
  auto opened = parts_.taps->open(*wanted, *per_second);
  if (!opened) return send_error(call.response, opened.error());
  auto stream = std::make_shared<Stream>();
  stream->tap = *opened;
  stream->tap->share = share;
  renew(*stream);
  call.response.set_header("Cache-Control", "no-store");
  call.response.set_chunked_content_provider(
      "text/event-stream",
      [this, stream, begun = false](std::size_t, httplib::DataSink& sink) mutable {
        if (stopping_) return false;
        const auto now = std::chrono::steady_clock::now();
        if (now - stream->renewed >= renew_every) renew(*stream);
        std::string text;
        if (!std::exchange(begun, true)) text = event("begin", share_json(*stream));
        const auto told = stream->tap->take(text.empty() ? slice : 0ms);
        for (const auto& tapped : told.requests)
          text += event("request", request_json(tapped, stream->instances));
        if (now - stream->told >= tell_left_every) {
          json left = share_json(*stream);
          left.update({{"matched", told.matched}, {"overTheBound", told.over}});
          text += event("left", left);
          stream->told = now;
        }
        return text.empty() ? sink.is_writable() : sink.write(text.data(), text.size());
      },
      [this, stream](bool) { parts_.taps->close(stream->tap); });
}

}  // namespace graymesh::api
