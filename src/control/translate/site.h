// Inside the room: what a gateway does for browsers (docs/translation.md 13.6).
#pragma once

#include "control/snapshot/snapshot.h"

namespace envoy::config::route::v3 {
class Route;
}  // namespace envoy::config::route::v3
namespace envoy::extensions::filters::network::http_connection_manager::v3 {
class HttpFilter;
}  // namespace envoy::extensions::filters::network::http_connection_manager::v3

namespace graymesh::translate {

// What mends redirects, asleep until a route wakes it.
void set_site_filter(
    envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter& out);

// Wakes it on a route that asks for it by a response header.
void wake_site_filter(const model::Headers& headers, envoy::config::route::v3::Route& out);

}  // namespace graymesh::translate
