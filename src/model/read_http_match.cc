// HTTPMatchRequest: what a request must look like to take a route.
#include "model/kinds.h"
#include "model/read_http.h"
#include "model/rules.h"

namespace graymesh::model {
namespace {

enum class Empty : std::uint8_t { allowed, no_empty_prefix };

void check_string_match(Fields& f, const StringMatch& match, Empty empty) {
  if (match.kind == StringMatch::Kind::regex) {
    if (const auto rule = check_regex(match.value); !rule.empty()) f.error("regex", rule);
  } else if (match.kind == StringMatch::Kind::prefix && match.value.empty() &&
             empty == Empty::no_empty_prefix) {
    f.error("prefix", "must not be empty");
  }
}

void read_header_matches(Fields& f, std::string_view name, Check key, NamedMatches& out) {
  const bool without = name == "withoutHeaders";
  f.entries(name, [&](const Element& value) {
    if (const auto rule = key(value.key); !rule.empty()) f.reading().error(value, {}, rule);
    if (is_jwt_claim(value.key)) {
      f.reading().warn(value, {},
                       without ? "always holds: RequestAuthentication, which finds claims, is not "
                                 "supported yet"
                               : "never holds: RequestAuthentication, which finds claims, is not "
                                 "supported yet");
    }
    StringMatch& match = out[std::string(value.key)];
    if (value.is_null()) {
      // `withoutHeaders: {x: }` means: must not be there.
      if (!without) f.reading().error(value, {}, "must not be null; {} matches any value");
      return;
    }
    Fields fields(f.reading(), value);
    if (!value.is_mapping()) return;
    read_string_match(fields, match);
    // Istio reads `regex: "*"` here as presence, though it is no regular expression.
    if (without && match.kind == StringMatch::Kind::regex && match.value == "*")
      match = {};
    else
      check_string_match(fields, match, Empty::no_empty_prefix);
    fields.close();
  });
}

void read_optional_match(Fields& f, std::string_view name, Empty empty,
                         std::optional<StringMatch>& out) {
  f.object(name, out, [&](Fields& fields, StringMatch& match) {
    read_string_match(fields, match);
    check_string_match(fields, match, empty);
  });
}

}  // namespace

void read_string_match(Fields& f, StringMatch& out) {
  f.at_most_one({"exact", "prefix", "regex"});
  const auto read = [&](std::string_view name, StringMatch::Kind kind) {
    if (!f.has(name)) return;
    out.kind = kind;
    f.text(name, out.value);
  };
  read("exact", StringMatch::Kind::exact);
  read("prefix", StringMatch::Kind::prefix);
  read("regex", StringMatch::Kind::regex);
}

void read_http_match(Fields& f, HttpMatch& out) {
  out.position = f.position();
  f.text("name", out.name);
  read_optional_match(f, "uri", Empty::allowed, out.uri);
  read_optional_match(f, "scheme", Empty::no_empty_prefix, out.scheme);
  read_optional_match(f, "method", Empty::no_empty_prefix, out.method);
  read_optional_match(f, "authority", Empty::no_empty_prefix, out.authority);
  read_header_matches(f, "headers", check_match_header, out.headers);
  read_header_matches(f, "withoutHeaders", check_match_header, out.without_headers);
  read_header_matches(f, "queryParams", check_query_parameter, out.query_params);
  f.number("port", out.port, {0, 65535});
  f.text_map("sourceLabels", out.source_labels, check_label_key, check_label_value);
  f.text("sourceNamespace", out.source_namespace,
         [](std::string_view text) { return text.empty() ? "" : check_dns_label(text); });
  f.texts("gateways", out.gateways, check_gateway_name);
  if (!out.gateways.empty()) {  // then Istio does not ask who the client is
    for (const char* name : {"sourceLabels", "sourceNamespace"}) {
      if (f.has(name)) f.warn(name, "has no effect beside gateways");
    }
  }
  f.flag("ignoreUriCase", out.ignore_uri_case);
  f.text("statPrefix", out.stat_prefix);
}

}  // namespace graymesh::model
