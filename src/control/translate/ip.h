// Inside the room: addresses that Envoy will take. One that it does not would cost a proxy the
// whole resource, so what Kubernetes objects say is looked at before it is passed on.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace graymesh::translate {

// A proxy's, as istiod has it where it is not told of dual stacks: IPv6 if all of its addresses
// are.
enum class Family : std::uint8_t { v4, v6 };
const char* any_address(Family family);  // 0.0.0.0, ::
const char* localhost(Family family);    // 127.0.0.1, ::1
// Connections from here are the proxy's own: a redirect lets them pass. 127.0.0.6, ::6
const char* proxy_source(Family family);

bool is_ip(std::string_view text);

bool is_any_address(std::string_view text);

// 127.0.0.0/8 and ::1; false for names.
bool is_loopback(std::string_view text);

// "10.1.2.3/8" as "10.0.0.0/8", "10.1.2.3" as "10.1.2.3/32", so that equal ranges are equal texts.
// Empty if it is no range.
std::string normal_range(std::string_view text);

}  // namespace graymesh::translate
