// The nouns that route a request: Istio's VirtualService (networking.istio.io v1, v1beta1,
// v1alpha3).
//
// Fields follow istio.io/api; absent optional messages are std::nullopt, absent strings are empty.
// All values have been checked against the rules of Istio's validation (docs/translation.md 9).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "model/meta.h"
#include "model/policy.h"

namespace graymesh::model {

struct StringMatch {
  enum class Kind : std::uint8_t { exact, prefix, regex, present };
  Kind kind = Kind::present;  // present: an empty StringMatch, `headers: {x: {}}`
  std::string value;

  bool operator==(const StringMatch&) const = default;
};

using NamedMatches = std::map<std::string, StringMatch, std::less<>>;

struct Destination {
  std::string host;        // as written: short, FQDN or wildcard-free
  std::string subset;      // empty: the whole service
  std::uint32_t port = 0;  // 0: not given

  bool operator==(const Destination&) const = default;
};

struct HeaderOperations {
  Labels set;
  Labels add;
  std::vector<std::string> remove;

  bool operator==(const HeaderOperations&) const = default;
};

struct Headers {
  HeaderOperations request;
  HeaderOperations response;

  bool operator==(const Headers&) const = default;
};

struct HttpMatch {
  std::string name;
  std::optional<StringMatch> uri;
  std::optional<StringMatch> scheme;
  std::optional<StringMatch> method;
  std::optional<StringMatch> authority;
  NamedMatches headers;
  NamedMatches without_headers;
  NamedMatches query_params;
  std::uint32_t port = 0;  // 0: any
  Labels source_labels;
  std::string source_namespace;
  std::vector<std::string> gateways;
  bool ignore_uri_case = false;
  std::string stat_prefix;
  Position position;

  bool operator==(const HttpMatch&) const = default;
};

struct WeightedDestination {
  Destination destination;
  std::uint32_t weight = 0;  // 0 with a single destination means all
  Headers headers;

  bool operator==(const WeightedDestination&) const = default;
};

struct Redirect {
  enum class PortFrom : std::uint8_t { none, protocol_default, request_port };
  std::string uri;
  std::string prefix_rewrite;
  std::string authority;
  std::string scheme;
  std::uint32_t port = 0;
  PortFrom derive_port = PortFrom::none;
  std::uint32_t code = 0;  // 0: 301

  bool operator==(const Redirect&) const = default;
};

struct DirectResponse {
  std::uint32_t status = 0;
  std::optional<std::string> body;  // bytes are decoded

  bool operator==(const DirectResponse&) const = default;
};

struct RegexRewrite {
  std::string match;
  std::string rewrite;

  bool operator==(const RegexRewrite&) const = default;
};

struct Rewrite {
  std::string uri;
  std::string authority;
  std::optional<RegexRewrite> uri_regex;

  bool operator==(const Rewrite&) const = default;
};

struct Retries {
  std::int32_t attempts = 0;
  std::optional<Duration> per_try_timeout;
  std::string retry_on;
  std::optional<bool> retry_remote_localities;
  std::optional<bool> retry_ignore_previous_hosts;
  std::optional<Duration> backoff;

  bool operator==(const Retries&) const = default;
};

struct FaultDelay {
  Duration fixed{};
  double percent = 0;  // 0 to 100, of the requests; as in Istio, none if it is not given

  bool operator==(const FaultDelay&) const = default;
};

struct FaultAbort {
  std::uint32_t http_status = 0;             // 0: not given
  std::optional<std::uint32_t> grpc_status;  // by name in YAML ("UNAVAILABLE"), number here
  double percent = 0;

  bool operator==(const FaultAbort&) const = default;
};

struct Fault {
  std::optional<FaultDelay> delay;
  std::optional<FaultAbort> abort;

  bool operator==(const Fault&) const = default;
};

struct Mirror {
  Destination destination;
  std::optional<double> percent;  // absent: 100

  bool operator==(const Mirror&) const = default;
};

struct CorsPolicy {
  enum class UnmatchedPreflights : std::uint8_t { unspecified, forward, ignore };
  std::vector<StringMatch> allow_origins;  // the deprecated allowOrigin is read into exact matches
  std::vector<std::string> allow_methods;
  std::vector<std::string> allow_headers;
  std::vector<std::string> expose_headers;
  std::optional<Duration> max_age;
  std::optional<bool> allow_credentials;
  UnmatchedPreflights unmatched_preflights = UnmatchedPreflights::unspecified;

  bool operator==(const CorsPolicy&) const = default;
};

struct Delegate {
  std::string name;
  std::string namespace_;  // empty: the root VirtualService's

  bool operator==(const Delegate&) const = default;
};

// What keeps a user on the version once met, where weights choose: ours, of the annotation
// graymesh.io/sticky, on each route of the VirtualService that has it.
struct Sticky {
  std::string header;  // goes before the cookie; empty: none
  std::optional<HttpCookie> cookie;

  bool operator==(const Sticky&) const = default;
};

struct HttpRoute {
  std::string name;
  std::vector<HttpMatch> match;  // empty: every request
  std::vector<WeightedDestination> route;
  std::optional<Redirect> redirect;
  std::optional<DirectResponse> direct_response;
  std::optional<Delegate> delegate;
  std::optional<Rewrite> rewrite;
  std::optional<Duration> timeout;  // zero: no timeout
  std::optional<Retries> retries;
  std::optional<Fault> fault;
  std::vector<Mirror> mirrors;  // `mirror` with its percentage is read into one
  std::optional<CorsPolicy> cors;
  Headers headers;
  std::optional<Sticky> sticky;
  Position position;

  bool operator==(const HttpRoute&) const = default;
};

struct L4Match {
  std::vector<std::string> sni_hosts;  // TLS routes only
  std::vector<std::string> destination_subnets;
  std::uint32_t port = 0;
  Labels source_labels;
  std::string source_namespace;
  std::vector<std::string> gateways;

  bool operator==(const L4Match&) const = default;
};

// A TLS or TCP route.
struct L4Route {
  std::vector<L4Match> match;
  std::vector<WeightedDestination> route;
  Position position;

  bool operator==(const L4Route&) const = default;
};

// Where the http routes of a VirtualService stand among others of the same host: ours, of the label
// graymesh.io/precedence.
enum class Precedence : std::uint8_t {
  release,   // before the team's
  team,      // no label
  default_,  // behind the team's
};

struct VirtualService {
  std::vector<std::string> hosts;     // as written
  std::vector<std::string> gateways;  // as written; empty means {"mesh"}
  std::vector<HttpRoute> http;
  std::vector<L4Route> tls;
  std::vector<L4Route> tcp;
  std::vector<std::string> export_to;
  Precedence precedence = Precedence::team;

  bool operator==(const VirtualService&) const = default;
};

}  // namespace graymesh::model
