#include "control/snapshot/delegate.h"

#include <fmt/core.h>

#include <algorithm>
#include <optional>
#include <string>

namespace graymesh::snapshot {
namespace {

using model::HttpMatch;
using model::HttpRoute;
using model::StringMatch;

// True if no request can be taken for one that both want, as far as Istio looks: a regex beside
// anything else counts as a conflict, because nobody compares regexes.
bool conflict(const StringMatch& root, const StringMatch& leaf) {
  const bool regex = root.kind == StringMatch::Kind::regex || leaf.kind == StringMatch::Kind::regex;
  if (regex) return true;
  if (root.kind == StringMatch::Kind::exact) {
    return leaf.kind != StringMatch::Kind::exact || leaf.value != root.value;
  }
  if (root.kind == StringMatch::Kind::prefix) {
    return leaf.kind == StringMatch::Kind::present || !leaf.value.starts_with(root.value);
  }
  return true;  // Istio's answer where the root asks for mere presence
}

bool conflict(const std::optional<StringMatch>& root, const std::optional<StringMatch>& leaf) {
  return root && leaf && conflict(*root, *leaf);
}

bool conflict(const model::NamedMatches& root, const model::NamedMatches& leaf) {
  return std::ranges::any_of(leaf, [&root](const auto& named) {
    const auto at = root.find(named.first);
    return at != root.end() && conflict(at->second, named.second);
  });
}

bool conflict(const model::Labels& root, const model::Labels& leaf) {
  return std::ranges::any_of(leaf, [&root](const auto& label) {
    const auto at = root.find(label.first);
    return at != root.end() && at->second != label.second;
  });
}

bool conflict(const std::vector<std::string>& root, const std::vector<std::string>& leaf) {
  return !root.empty() && std::ranges::any_of(leaf, [&root](const std::string& gateway) {
    return std::ranges::count(root, gateway) == 0;
  });
}

bool conflict(const HttpMatch& root, const HttpMatch& leaf) {
  return conflict(root.uri, leaf.uri) || conflict(root.scheme, leaf.scheme) ||
         conflict(root.method, leaf.method) || conflict(root.authority, leaf.authority) ||
         conflict(root.headers, leaf.headers) ||
         conflict(root.without_headers, leaf.without_headers) ||
         conflict(root.query_params, leaf.query_params) ||
         root.ignore_uri_case != leaf.ignore_uri_case ||
         (root.port != 0 && leaf.port != 0 && root.port != leaf.port) ||
         (!root.source_namespace.empty() && root.source_namespace != leaf.source_namespace) ||
         conflict(root.source_labels, leaf.source_labels) || conflict(root.gateways, leaf.gateways);
}

std::string joined(const std::string& root, const std::string& leaf) {
  if (root.empty() || leaf.empty()) return root + leaf;
  return root + '-' + leaf;
}

template <typename T>
void default_to(T& leaf, const T& root) {
  if (leaf == T{}) leaf = root;
}

template <typename T>
void default_to(std::optional<T>& leaf, const std::optional<T>& root) {
  if (!leaf) leaf = root;
}

HttpMatch merged(const HttpMatch& root, const HttpMatch& leaf) {
  HttpMatch result = leaf;
  result.name = joined(root.name, leaf.name);
  default_to(result.uri, root.uri);
  default_to(result.scheme, root.scheme);
  default_to(result.method, root.method);
  default_to(result.authority, root.authority);
  result.headers.insert(root.headers.begin(), root.headers.end());
  result.without_headers.insert(root.without_headers.begin(), root.without_headers.end());
  result.query_params.insert(root.query_params.begin(), root.query_params.end());
  result.source_labels.insert(root.source_labels.begin(), root.source_labels.end());
  default_to(result.port, root.port);
  default_to(result.source_namespace, root.source_namespace);
  default_to(result.gateways, root.gateways);
  default_to(result.stat_prefix, root.stat_prefix);
  return result;
}

// Nothing if a match of the delegate fits none of the root's.
std::optional<std::vector<HttpMatch>> merged(const std::vector<HttpMatch>& root,
                                             const std::vector<HttpMatch>& leaf) {
  if (root.empty()) return leaf;
  if (leaf.empty()) return root;
  std::vector<HttpMatch> result;
  for (const auto& below : leaf) {
    const std::size_t before = result.size();
    for (const auto& above : root) {
      if (!conflict(above, below)) result.push_back(merged(above, below));
    }
    if (result.size() == before) return std::nullopt;
  }
  return result;
}

std::optional<HttpRoute> merged(const HttpRoute& root, const HttpRoute& leaf) {
  auto match = merged(root.match, leaf.match);
  if (!match) return std::nullopt;
  HttpRoute result = leaf;
  result.match = std::move(*match);
  result.name = joined(root.name, leaf.name);
  default_to(result.rewrite, root.rewrite);
  default_to(result.direct_response, root.direct_response);
  default_to(result.timeout, root.timeout);
  default_to(result.retries, root.retries);
  default_to(result.fault, root.fault);
  default_to(result.mirrors, root.mirrors);
  default_to(result.cors, root.cors);
  default_to(result.headers, root.headers);
  return result;
}

// True if delegates lead from `start` back to `root`.
bool leads_back(const VirtualService& start, const VirtualService& root,
                const FindVirtualService& find) {
  std::vector<model::Key> passed;
  std::vector<const VirtualService*> open{&start};
  while (!open.empty()) {
    const VirtualService* at = open.back();
    open.pop_back();
    if (at->origin == root.origin) return true;
    if (std::ranges::count(passed, at->origin) != 0) continue;
    passed.push_back(at->origin);
    for (const auto& http : at->spec.http) {
      if (!http.delegate) continue;
      const auto& [name, given] = *http.delegate;
      const auto* next = find(given.empty() ? at->origin.namespace_ : given, name);
      if (next != nullptr) open.push_back(next);
    }
  }
  return false;
}

// Why `delegate` cannot serve `root`; empty if it can.
std::string unfit(const VirtualService* delegate, const VirtualService& root,
                  const FindVirtualService& find) {
  if (delegate == nullptr) return "is not there: the route is left out";
  if (leads_back(*delegate, root, find)) {
    return "leads back to itself, in a circle: the route is left out";
  }
  if (!is_delegate(*delegate)) {
    return "has hosts of its own, so it cannot be a delegate: the route is left out";
  }
  if (!delegate->visible.to(root.origin.namespace_)) {
    return fmt::format("is not exported to namespace {}: the route is left out",
                       root.origin.namespace_);
  }
  return {};
}

}  // namespace

bool is_delegate(const VirtualService& service) { return service.spec.hosts.empty(); }

bool has_delegates(const VirtualService& service) {
  return std::ranges::any_of(service.spec.http,
                             [](const HttpRoute& http) { return http.delegate.has_value(); });
}

VirtualService merge_delegates(const VirtualService& root, const FindVirtualService& find,
                               std::vector<DelegateFault>& faults) {
  VirtualService result = root;
  result.spec.http.clear();
  for (std::size_t i = 0; i < root.spec.http.size(); ++i) {
    const auto& http = root.spec.http[i];
    if (!http.delegate) {
      result.spec.http.push_back(http);
      continue;
    }
    const std::string namespace_ =
        http.delegate->namespace_.empty() ? root.origin.namespace_ : http.delegate->namespace_;
    const auto* delegate = find(namespace_, http.delegate->name);
    if (std::string why = unfit(delegate, root, find); !why.empty()) {
      faults.push_back({root.origin, i, ".delegate", namespace_ + '/' + http.delegate->name, why});
      continue;
    }
    if (std::ranges::count(result.delegates, delegate->origin) == 0) {
      result.delegates.push_back(delegate->origin);
    }
    for (std::size_t d = 0; d < delegate->spec.http.size(); ++d) {
      const auto& below = delegate->spec.http[d];
      if (below.delegate) {
        // The model refuses such documents; this holds for whoever comes past it.
        faults.push_back({delegate->origin, d, ".delegate", below.delegate->name,
                          "stands in a delegate, which cannot delegate further: the route is left "
                          "out"});
      } else if (auto route = merged(http, below)) {
        result.spec.http.push_back(std::move(*route));
      } else {
        faults.push_back({delegate->origin, d, ".match", "",
                          fmt::format("contradicts the match of http[{}] in {}: the route is left "
                                      "out",
                                      i, model::to_string(root.origin))});
      }
    }
  }
  return result;
}

}  // namespace graymesh::snapshot
