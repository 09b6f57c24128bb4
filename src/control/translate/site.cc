// docs/translation.md 13.6: what a gateway does for browsers on the routes of the release platform.
// A redirect that an application makes to an address of the mesh, which no browser reaches, leads
// to the host that the browser knows; one to another site of the environment takes the lane along;
// and a link into a lane is shown to the application without the parameter that made it one.
//
// A route asks for it by the response header x-graymesh-site, which it sets and the filter takes
// away again:
//
//   SCHEME://AUTHORITY NAMESPACE PORTS LANE DOMAIN NAME=HOST...
//   https://pre.example:8443 fe-pre 8080,9090 feature-a example web=pre.example login=sso.test
//
// where `-` is no lane and no domain of the lane's cookie, and the first NAME is the application's.
#include "control/translate/site.h"

#include "control/translate/wire.h"
#include "envoy/config/route/v3/route_components.pb.h"
#include "envoy/extensions/filters/http/lua/v3/lua.pb.h"
#include "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h"

namespace graymesh::translate {
namespace {

constexpr const char* filter_name = "envoy.filters.http.lua";
constexpr const char* site_header = "x-graymesh-site";
constexpr const char* lane_parameter = "canarytag";

constexpr const char* redirects = R"lua(
local function covered(domain, host)
  return domain ~= "-" and (host == domain or host:sub(-#domain - 1) == "." .. domain)
end

local function has(list, word)
  for one in list:gmatch("[^,]+") do
    if one == word then return true end
  end
  return false
end

-- The host that browsers know of what the mesh calls `host`.
local function public(host, site)
  local name, rest = host:match("^([%w-]+)(.*)$")
  local namespace = "." .. site.namespace
  if name == nil then return nil end
  if rest ~= "" and rest ~= namespace and rest ~= namespace .. ".svc" and
     rest ~= namespace .. ".svc.cluster.local" then return nil end
  return site.names[name]
end

local function mended(location, site)
  local scheme, authority, rest = location:match("^([hH][tT][tT][pP][sS]?)://([^/?#]+)(.*)$")
  if scheme == nil then
    authority, rest = location:match("^//([^/?#]+)(.*)$")
    scheme = site.scheme
  end
  if authority == nil or authority:find("[@%[]") then return nil end
  local host, port = authority:match("^([^:]+):?(%d*)$")
  if host == nil then return nil end
  host = host:lower()
  local at = host
  if host == site.host then
    local own = port == site.port or port == ""
    if (own and scheme:lower() ~= "http") or (own and site.scheme == "http") or
       (not own and not has(site.ports, port)) then return nil end
  elseif host:match("^127%.%d+%.%d+%.%d+$") and has(site.ports, port) then
    at = site.host
  else
    at = public(host, site)
    if at == nil and not site.hosts[host] then return nil end
  end
  if at == nil then
    at = host
  elseif at == site.own then
    at = site.host
  end
  local target = scheme .. "://" .. authority
  if at ~= host or at == site.host then
    target = site.scheme .. "://" .. at .. (site.port ~= "" and ":" .. site.port or "")
  end
  if site.lane ~= "-" and at ~= site.host and
     not (covered(site.domain, at) and covered(site.domain, site.host)) and
     not rest:find("[?&]canarytag=") then
    local path, fragment = rest:match("^([^#]*)(.*)$")
    if path == "" then path = "/" end
    rest = path .. (path:find("?", 1, true) and "&" or "?") .. "canarytag=" .. site.lane .. fragment
  end
  return target .. rest
end

function envoy_on_response(handle)
  local headers = handle:headers()
  local text = headers:get("x-graymesh-site")
  if text == nil then return end
  headers:remove("x-graymesh-site")
  local location = headers:get("location")
  if location == nil then return end
  local scheme, host, port, namespace, ports, lane, domain, names =
    text:match("^(%a+)://([^%s:]+):?(%d*) (%S+) (%S+) (%S+) (%S+) ?(.*)$")
  if scheme == nil then return end
  local site = {scheme = scheme, host = host:lower(), port = port, namespace = namespace, ports = ports,
                lane = lane, domain = domain, names = {}, hosts = {}}
  for name, at in names:gmatch("([^%s=]+)=(%S+)") do
    site.names[name] = site.names[name] or at
    site.hosts[at] = true
    if site.own == nil then site.own = at end
  end
  local new = mended(location, site)
  if new ~= nil and new ~= location then headers:replace("location", new) end
end
)lua";

constexpr const char* links = R"lua(
-- The application is not shown how it was reached.
function envoy_on_request(handle)
  local headers = handle:headers()
  local path, query = headers:get(":path"):match("^([^?]*)%?(.*)$")
  if path == nil then return end
  local kept = {}
  for one in query:gmatch("[^&]+") do
    if one:match("^([^=]*)") ~= "canarytag" then kept[#kept + 1] = one end
  end
  local left = table.concat(kept, "&")
  headers:replace(":path", left == "" and path or path .. "?" .. left)
end
)lua";

}  // namespace

void set_site_filter(
    envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter& out) {
  envoy::extensions::filters::http::lua::v3::Lua lua;
  lua.mutable_clear_route_cache()->set_value(false);  // the lane is decided
  auto& codes = *lua.mutable_source_codes();
  codes["redirects"].set_inline_string(redirects);
  codes["links"].set_inline_string(std::string(redirects) + links);
  out.set_name(filter_name);
  out.set_disabled(true);  // but where a route wakes it
  pack(lua, *out.mutable_typed_config());
}

void wake_site_filter(const model::Headers& headers, envoy::config::route::v3::Route& out) {
  if (!headers.response.set.contains(site_header)) return;
  envoy::extensions::filters::http::lua::v3::LuaPerRoute lua;
  lua.set_name("redirects");
  for (const auto& parameter : out.match().query_parameters()) {
    if (parameter.name() == lane_parameter) lua.set_name("links");
  }
  envoy::config::route::v3::FilterConfig config;
  pack(lua, *config.mutable_config());
  pack(config, (*out.mutable_typed_per_filter_config())[filter_name]);
}

}  // namespace graymesh::translate
