// What a log entry says of one request beside who called whom.
#pragma once

#include "control/traffic/traffic.h"

namespace envoy::data::accesslog::v3 {
class HTTPAccessLogEntry;
}  // namespace envoy::data::accesslog::v3

namespace graymesh::traffic {

Details details_of(const envoy::data::accesslog::v3::HTTPAccessLogEntry& entry);

}  // namespace graymesh::traffic
