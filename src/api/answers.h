// How the API answers: JSON, or a problem (RFC 9457).
#pragma once

#include <httplib.h>

#include <optional>
#include <string>

#include "base/json.h"
#include "base/result.h"

namespace graymesh::api {

// Text from files may hold any byte; what is not UTF-8 becomes U+FFFD instead of an exception.
std::string dump(const nlohmann::json& page, int indent);

void send_json(httplib::Response& response, const nlohmann::json& page);

// Why a request is refused. `status` 0: the one that goes with the code. `errors` is one entry for
// each thing wrong, at least {"message"}.
struct Refusal {
  Error error;
  int status = 0;
  nlohmann::json errors = nlohmann::json::array();
};

// With a line of `errors` for each reason why a plan fails.
Refusal refusal_of(const Error& error);
void send_refusal(httplib::Response& response, const Refusal& refusal);
inline void send_error(httplib::Response& response, const Error& error) {
  send_refusal(response, {.error = error});
}

// Why `what`, whose ETag is `etag` (empty: it is not there), is not what the request asks for by
// If-Match and If-None-Match (RFC 9110 13.1.1 and 13.1.2): 412.
std::optional<Refusal> precondition(const httplib::Request& request, const std::string& what,
                                    const std::string& etag);

// A whole number of a query, within bounds; `otherwise` if it is not there.
struct Bounds {
  std::uint64_t least, most, otherwise;
};
Result<std::uint64_t> number_of(const httplib::Request& request, const std::string& name,
                                const Bounds& bounds);

}  // namespace graymesh::api
