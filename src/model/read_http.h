// The parts of an HTTP route, each in a file of its own.
#pragma once

#include "model/fields.h"
#include "model/traffic.h"

namespace graymesh::model {

void read_string_match(Fields& f, StringMatch& out);
void read_http_match(Fields& f, HttpMatch& out);
void read_redirect(Fields& f, const std::vector<HttpMatch>& matches, Redirect& out);
void read_direct_response(Fields& f, DirectResponse& out);
void read_rewrite(Fields& f, Rewrite& out);
void read_fault(Fields& f, Fault& out);
void read_cors(Fields& f, CorsPolicy& out);
void read_headers(Fields& f, Headers& out);

}  // namespace graymesh::model
