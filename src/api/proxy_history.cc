// What the record says of one proxy, as JSON.
#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <ctime>

#include "api/pages.h"
#include "base/hash.h"
#include "base/json.h"

namespace graymesh::api {
namespace {

using nlohmann::json;
using record::Happening;

std::string_view name_of(Happening::Kind kind) {
  switch (kind) {
    case Happening::Kind::connected:
      return "connected";
    case Happening::Kind::returned:
      return "returned";
    case Happening::Kind::sent:
      return "sent";
    case Happening::Kind::acked:
      return "ACK";
    case Happening::Kind::refused:
      return "NACK";
    case Happening::Kind::dropped:
      return "dropped";
    case Happening::Kind::left:
      return "left";
    case Happening::Kind::gap:
      return "gap";
  }
  return {};
}

json text_or_null(const std::optional<Clock::Wall>& time) {
  return time ? json(to_text(*time)) : json();
}

// Since 1970, until the year 2255: soon after that a clock of nanoseconds overflows.
constexpr std::int64_t seconds_max = 9'000'000'000;

// "90s", "5m", "2h", "3d" before now.
std::optional<Clock::Wall> ago(const std::string& text, Clock::Wall now) {
  std::int64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc() || count < 0 || count > 1'000'000'000) return std::nullopt;
  const std::string unit(end, text.data() + text.size());
  const std::int64_t seconds = unit == "s"   ? 1
                               : unit == "m" ? 60
                               : unit == "h" ? 3600
                               : unit == "d" ? 86400
                                             : 0;
  const auto since_1970 = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch());
  if (seconds == 0 || count * seconds > since_1970.count()) return std::nullopt;
  return now - std::chrono::seconds(count * seconds);
}

}  // namespace

Result<Clock::Wall> time_named(const std::string& text, Clock::Wall now) {
  if (text.empty() || text == "now") return record::newest;
  if (const auto time = ago(text, now)) return *time;
  const Error wrong{Code::invalid_argument,
                    fmt::format("time {}, must be as 2026-11-28T19:30:00.250Z, or 90s, 5m, 2h, 3d "
                                "(so long ago), or now",
                                text)};
  std::tm utc{};
  const char* rest = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &utc);
  if (rest == nullptr) return wrong;
  std::int64_t milliseconds = 0;
  if (*rest == '.') {
    std::int64_t unit = 100;
    for (++rest; std::isdigit(static_cast<unsigned char>(*rest)) != 0; ++rest, unit /= 10)
      milliseconds += unit * (*rest - '0');
  }
  const std::int64_t seconds = ::timegm(&utc);
  if (std::string_view(rest) != "Z" || seconds < 0 || seconds > seconds_max) return wrong;
  return Clock::Wall(std::chrono::seconds(seconds)) + std::chrono::milliseconds(milliseconds);
}

json moment_page(const record::Moment& moment, const std::vector<std::string>& faults) {
  json types = json::array();
  for (const auto type : resource::all_types) {
    const auto& it = moment.types[static_cast<std::size_t>(type)];
    json resources = json::array();
    for (const auto& [name, item] : it.items) {
      resources.push_back({{"name", name},
                           {"version", to_hex(item.version)},
                           {"since", text_or_null(item.since)},
                           {"origins", item.origins}});
    }
    types.push_back({{"type", resource::short_name(type)},
                     {"known", it.known},
                     {"waiting", it.waiting},
                     {"sent", text_or_null(it.sent)},
                     {"answered", text_or_null(it.answered)},
                     {"error", it.error},
                     {"unknown", it.unknown},
                     {"resources", std::move(resources)}});
  }
  return {{"id", moment.node_id},
          {"name", moment.name},
          {"namespace", moment.namespace_},
          {"address", moment.address},
          {"peer", moment.peer},
          {"userAgent", moment.user_agent},
          {"protocol", moment.delta ? "delta" : "sotw"},
          {"connected", text_or_null(moment.connected)},
          {"left", text_or_null(moment.left)},
          {"types", std::move(types)},
          {"faults", faults}};
}

json happenings_page(const record::Happenings& page, const std::vector<std::string>& faults) {
  json items = json::array();
  for (const auto& it : page.items) {
    json changed = json::array();
    for (const auto& [name, version] : it.changed)
      changed.push_back({{"name", name}, {"version", to_hex(version)}});
    items.push_back({{"at", to_text(it.at)},
                     {"what", name_of(it.kind)},
                     {"type", it.type ? json(resource::short_name(*it.type)) : json()},
                     {"changed", std::move(changed)},
                     {"removed", it.removed},
                     {"bytes", it.bytes},
                     {"text", it.text}});
  }
  return {{"items", std::move(items)},
          {"continue", page.next.empty() ? json() : json(page.next)},
          {"faults", faults}};
}

json gone_json(const std::vector<record::Sighting>& seen,
               const std::vector<xds::ProxyStatus>& connected) {
  json items = json::array();
  for (const auto& it : seen) {
    const bool here = std::ranges::any_of(
        connected, [&](const auto& proxy) { return proxy.node.id == it.node_id; });
    if (here || !it.left) continue;
    items.push_back({{"id", it.node_id},
                     {"name", it.name},
                     {"namespace", it.namespace_},
                     {"address", it.address},
                     {"connected", to_text(it.connected)},
                     {"left", text_or_null(it.left)}});
  }
  return items;
}

}  // namespace graymesh::api
