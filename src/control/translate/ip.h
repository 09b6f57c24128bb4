// Inside the room: addresses that Envoy will take. One that it does not would cost a proxy the
// whole resource, so what Kubernetes objects say is looked at before it is passed on.
#pragma once

#include <string>
#include <string_view>

namespace graymesh::translate {

bool is_ip(std::string_view text);

// 127.0.0.0/8 and ::1; false for names.
bool is_loopback(std::string_view text);

// "10.1.2.3/8" as "10.0.0.0/8", "10.1.2.3" as "10.1.2.3/32", so that equal ranges are equal texts.
// Empty if it is no range.
std::string normal_range(std::string_view text);

}  // namespace graymesh::translate
