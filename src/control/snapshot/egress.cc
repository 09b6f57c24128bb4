#include "control/snapshot/egress.h"

#include <algorithm>

#include "model/model.h"

namespace graymesh::snapshot {

EgressHosts::EgressHosts(const std::vector<std::string>& hosts, std::string_view namespace_) {
  for (const std::string_view text : hosts) {
    const auto slash = text.find('/');
    if (slash == std::string_view::npos) continue;  // the model refuses it
    std::string_view place = text.substr(0, slash);
    const bool excluded = place.starts_with('~');
    if (excluded) place.remove_prefix(1);
    if (excluded && place.empty()) place = "*";
    if (place == ".") place = namespace_;
    Patterns& patterns = by_namespace_[std::string(place)];
    (excluded ? patterns.excluded : patterns.wanted).emplace_back(text.substr(slash + 1));
  }
}

bool EgressHosts::Patterns::wants_service(std::string_view host) const {
  return std::ranges::any_of(
      wanted, [host](const std::string& pattern) { return model::host_matches(pattern, host); });
}

bool EgressHosts::Patterns::wants_virtual_service(std::string_view host) const {
  return std::ranges::any_of(wanted, [host](const std::string& pattern) {
    return model::host_matches(pattern, host) || model::host_matches(host, pattern);
  });
}

bool EgressHosts::Patterns::excludes(std::string_view host) const {
  return std::ranges::any_of(
      excluded, [host](const std::string& pattern) { return model::host_matches(pattern, host); });
}

const EgressHosts::Patterns& EgressHosts::of(std::string_view namespace_) const {
  static const Patterns none;
  const auto at = by_namespace_.find(namespace_);
  return at == by_namespace_.end() ? none : at->second;
}

bool EgressHosts::excludes(std::string_view host, std::string_view namespace_) const {
  return of(namespace_).excludes(host) || of("*").excludes(host);
}

bool EgressHosts::import_service(std::string_view host, std::string_view namespace_) const {
  return !excludes(host, namespace_) &&
         (of(namespace_).wants_service(host) || of("*").wants_service(host));
}

std::vector<std::string> EgressHosts::import_aliases(const std::vector<std::string>& aliases,
                                                     std::string_view host,
                                                     std::string_view namespace_) const {
  const Patterns& patterns = of(namespace_).wants_service(host) ? of(namespace_) : of("*");
  std::vector<std::string> result;
  std::ranges::copy_if(aliases, std::back_inserter(result), [&patterns](const std::string& alias) {
    return patterns.wants_service(alias);
  });
  return result;
}

bool EgressHosts::import_virtual_service(std::string_view host, std::string_view namespace_) const {
  return !excludes(host, namespace_) &&
         (of(namespace_).wants_virtual_service(host) || of("*").wants_virtual_service(host));
}

}  // namespace graymesh::snapshot
