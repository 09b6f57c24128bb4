#include "model/rules.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string>

#include "model/rules_text.h"

namespace graymesh::model {

using namespace rules;

bool is_dns_label(std::string_view text) {
  return !text.empty() && text.size() <= 63 && is_alphanumeric(text.front()) &&
         is_alphanumeric(text.back()) && std::all_of(text.begin(), text.end(), [](char c) {
           return is_alphanumeric(c) || c == '-';
         });
}

std::string_view check_dns_label(std::string_view text) {
  return is_dns_label(text) ? ""
                            : "must be a DNS label: letters, digits and '-' inside, at most 63";
}

std::string_view check_namespace(std::string_view text) {
  return is_dns_label(text) && !has_upper(text)
             ? ""
             : "must be a DNS label: lower-case letters, digits and '-' inside, at most 63";
}

std::string_view check_object_name(std::string_view text) {
  constexpr std::string_view rule =
      "must be a DNS name: lower-case letters, digits, '-' and '.' inside, at most 253";
  if (text.empty() || text.size() > 253 || has_upper(text)) return rule;
  for (const std::string_view part : parts_of(text, '.')) {
    // Kubernetes bounds the whole, not the parts.
    if (part.empty() || !is_alphanumeric(part.front()) || !is_alphanumeric(part.back()))
      return rule;
    if (!std::all_of(part.begin(), part.end(),
                     [](char c) { return is_alphanumeric(c) || c == '-'; }))
      return rule;
  }
  return {};
}

std::string_view check_not_empty(std::string_view text) {
  return text.empty() ? "must not be empty" : "";
}

namespace {

constexpr std::string_view host_rule =
    "must be a host name: DNS labels with '.' between, at most 255";

std::string_view check_labels(std::string_view domain) {
  const auto labels = parts_of(domain, '.');
  if (is_number(labels.back())) return "must be a host name, whose last label is not a number";
  for (std::size_t i = 0; i < labels.size(); ++i) {
    // "istio.io." is the unambiguous way to write "istio.io".
    if (i + 1 == labels.size() && labels[i].empty()) return {};
    if (!is_dns_label(labels[i])) return host_rule;
  }
  return {};
}

bool is_wildcard_label(std::string_view label) {
  if (label == "*") return true;
  if (label.size() > 63) return false;
  if (label.starts_with("*-"))
    label.remove_prefix(2);
  else if (label.starts_with('*'))
    label.remove_prefix(1);
  return is_dns_label(label);
}

}  // namespace

std::string_view check_host(std::string_view text) {
  if (text.empty() || text.size() > 255) return host_rule;
  return check_labels(text);
}

std::string_view check_wildcard_host(std::string_view text) {
  constexpr std::string_view rule = "must be a host name, or a wildcard such as *.example.com";
  if (text.empty() || text.size() > 255) return rule;
  const std::size_t dot = text.find('.');
  if (!is_wildcard_label(text.substr(0, dot))) return rule;
  return dot == std::string_view::npos ? "" : check_labels(text.substr(dot + 1));
}

std::string_view check_host_or_ip(std::string_view text) {
  return is_ip(text) || check_host(text).empty() ? "" : "must be a host name or an IP address";
}

std::string_view check_destination_host(std::string_view text) {
  return text == "*" ? "must be a host, not *" : check_wildcard_host(text);
}

bool is_wildcard(std::string_view host) { return host.starts_with('*'); }

bool is_ip(std::string_view text) {
  std::array<unsigned char, sizeof(in6_addr)> address{};
  if (text.empty() || text.size() > INET6_ADDRSTRLEN || text.find('\0') != std::string_view::npos)
    return false;
  std::string copy(text);
  // A zone ("fe80::1%eth0") is part of an address for Go, and so for Istio.
  if (const auto zone = copy.find('%');
      zone != std::string::npos && copy.find(':') != std::string::npos)
    copy.resize(zone);
  return inet_pton(AF_INET, copy.c_str(), address.data()) == 1 ||
         inet_pton(AF_INET6, copy.c_str(), address.data()) == 1;
}

std::string_view check_ip(std::string_view text) {
  return is_ip(text) ? "" : "must be an IP address";
}

std::string_view check_ip_or_subnet(std::string_view text) {
  constexpr std::string_view rule = "must be an IP address or a subnet such as 10.0.0.0/8";
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return is_ip(text) ? "" : rule;
  const std::string_view address = text.substr(0, slash), bits = text.substr(slash + 1);
  int length = -1;
  const auto [end, error] = std::from_chars(bits.data(), bits.data() + bits.size(), length);
  const bool whole = error == std::errc() && end == bits.data() + bits.size();
  const bool plain =
      !(bits.size() > 1 && bits.front() == '0') && address.find('%') == std::string_view::npos;
  const int most = address.find(':') == std::string_view::npos ? 32 : 128;
  return is_ip(address) && whole && plain && length >= 0 && length <= most ? "" : rule;
}

std::string_view check_unix_path(std::string_view text) {
  if (text.starts_with('@')) return {};
  return text.starts_with('/') && !text.ends_with('/')
             ? ""
             : "must be unix:// and an absolute path to a file, or unix://@name";
}

std::string_view check_label_key(std::string_view text) {
  constexpr std::string_view rule =
      "must have a label's key: [DNS name/]name, the name of letters, digits, '-', '_' and '.', at "
      "most 63";
  const std::size_t slash = text.find('/');
  std::string_view name = text;
  if (slash != std::string_view::npos) {
    const std::string_view prefix = text.substr(0, slash);
    name = text.substr(slash + 1);
    if (prefix.size() > 253) return rule;
    for (const std::string_view part : parts_of(prefix, '.')) {
      if (part.empty() || !is_alphanumeric(part.front()) || !is_alphanumeric(part.back()) ||
          !std::all_of(part.begin(), part.end(),
                       [](char c) { return is_alphanumeric(c) || c == '-'; })) {
        return rule;
      }
    }
  }
  return is_qualified_name(name) && name.size() <= 63 ? "" : rule;
}

std::string_view check_label_value(std::string_view text) {
  // Istio does not bound a value's length; Kubernetes does, and no pod's label could be longer.
  return text.empty() || (is_qualified_name(text) && text.size() <= 63)
             ? ""
             : "must be a label's value: letters, digits, '-', '_' and '.', at most 63";
}

std::string_view check_selector_key(std::string_view text) {
  if (text.empty()) return "must have a key that is not empty";
  return text.find('*') == std::string_view::npos ? "" : "must not have a wildcard in a selector";
}

std::string_view check_selector_value(std::string_view text) {
  return text.find('*') == std::string_view::npos ? "" : "must not have a wildcard in a selector";
}

std::string_view check_gateway_name(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos)
    return check_host(text).empty() ? "" : "must be mesh, namespace/name, or the name of a Gateway";
  return is_dns_label(text.substr(0, slash)) && is_dns_label(text.substr(slash + 1))
             ? ""
             : "must be namespace/name, both DNS labels";
}

namespace {

std::string_view check_scoped_host(std::string_view host, bool ip_allowed) {
  if (ip_allowed && is_ip(host)) return {};
  if (host != "*" && host.find('.') == std::string_view::npos)
    return "must have a full host name after the namespace, not a short one";
  if (const auto rule = check_wildcard_host(host); !rule.empty()) return rule;
  if (host.size() > 1 && host.starts_with('*') && !host.starts_with("*."))
    return "must not have a partial wildcard; only * and *.example.com";
  return {};
}

}  // namespace

std::string_view check_gateway_host(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return check_scoped_host(text, true);
  const std::string_view scope = text.substr(0, slash);
  if (scope != "*" && scope != "." && !is_dns_label(scope))
    return "must be namespace/host, the namespace a DNS label, * or .";
  return check_scoped_host(text.substr(slash + 1), true);
}

std::string_view check_egress_host(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos || slash == 0) return "must be namespace/host";
  std::string_view scope = text.substr(0, slash);
  if (scope.starts_with('~')) scope.remove_prefix(1);
  if (!scope.empty() && scope != "*" && scope != "." && !is_dns_label(scope))
    return "must be namespace/host, the namespace a DNS label, *, . or ~";
  return check_scoped_host(text.substr(slash + 1), false);
}

std::string_view check_locality(std::string_view text) {
  const std::size_t star = text.find('*');
  if (star != std::string_view::npos && star + 1 != text.size())
    return "must have * at its end only";
  std::size_t count = 0;
  for (std::size_t at = 0; count < 3; ++count) {
    const std::size_t slash = count == 2 ? std::string_view::npos : text.find('/', at);
    if (text.substr(at, slash == std::string_view::npos ? slash : slash - at).empty())
      return "must be region/zone/subzone, none of them empty";
    if (slash == std::string_view::npos) break;
    at = slash + 1;
  }
  return {};
}

}  // namespace graymesh::model
