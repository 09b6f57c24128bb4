// What a text must look like: names, hosts, addresses, headers. Each check gives the rule that is
// broken, or nothing (see Check in fields.h). The rules are those of Istio's validation and of
// Kubernetes' object names.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace graymesh::model {

bool is_dns_label(std::string_view text);

std::string_view check_dns_label(std::string_view text);    // Istio's: any case
std::string_view check_object_name(std::string_view text);  // Kubernetes' DNS subdomain
std::string_view check_namespace(std::string_view text);    // Kubernetes' DNS label: lower case
std::string_view check_not_empty(std::string_view text);
std::string_view check_host(std::string_view text);  // an FQDN or a short name
std::string_view check_wildcard_host(
    std::string_view text);  // or "*", "*.example.com", "*-x.example.com"
std::string_view check_host_or_ip(std::string_view text);
std::string_view check_destination_host(std::string_view text);  // wildcard but not "*"
std::string_view check_label_key(std::string_view text);
std::string_view check_label_value(std::string_view text);
std::string_view check_selector_key(std::string_view text);  // not empty, no "*"
std::string_view check_selector_value(std::string_view text);
std::string_view check_ip(std::string_view text);
std::string_view check_ip_or_subnet(std::string_view text);
std::string_view check_unix_path(std::string_view text);  // what follows "unix://"
std::string_view check_protocol(std::string_view text);   // "" is fine: detected
std::string_view check_header_name(std::string_view text);
std::string_view check_match_header(
    std::string_view text);  // also ":path", "@request.auth.claims.x"
std::string_view check_set_request_header(std::string_view text);  // not ":x", but ":authority"
std::string_view check_header_operation(std::string_view text);    // not ":x" nor "host"
std::string_view check_header_value(std::string_view text);        // with commands that Envoy knows
std::string_view check_one_line(std::string_view text);     // may stand in a header: no CR, LF, NUL
std::string_view check_filled_line(std::string_view text);  // likewise, and not empty
std::string_view check_query_parameter(std::string_view text);
std::string_view check_cors_header(std::string_view text);  // or "*"
std::string_view check_cors_method(std::string_view text);
std::string_view check_retry_on(std::string_view text);      // "5xx,connect-failure,503"
std::string_view check_gateway_name(std::string_view text);  // "mesh", "ns/name", "name"
std::string_view check_locality(std::string_view text);
// RE2's syntax, which is Envoy's, and at most 1,024 bytes.
std::string_view check_regex(std::string_view text);

// "ns/host" of a Gateway's server, where "host" alone will do too.
std::string_view check_gateway_host(std::string_view text);
// "ns/host" of a Sidecar's egress listener.
std::string_view check_egress_host(std::string_view text);

bool is_ip(std::string_view text);
bool is_wildcard(std::string_view host);
bool is_jwt_claim(std::string_view header);  // "@request.auth.claims.sub"
bool is_authority(std::string_view header);  // "host", ":authority" in any case

// Families of Istio's protocol names, in any case.
bool is_http_protocol(std::string_view protocol);
bool is_tls_protocol(std::string_view protocol);

}  // namespace graymesh::model
