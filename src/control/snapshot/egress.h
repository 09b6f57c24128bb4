// The hosts of a Sidecar's egress listener: "ns/host", "./host", "*/host", "~/host".
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace graymesh::snapshot {

class EgressHosts {
 public:
  // `namespace_` is what "." means.
  EgressHosts(const std::vector<std::string>& hosts, std::string_view namespace_);

  // True if a service of this namespace is imported.
  bool import_service(std::string_view host, std::string_view namespace_) const;
  // Which of a service's other names are imported with it.
  std::vector<std::string> import_aliases(const std::vector<std::string>& aliases,
                                          std::string_view host, std::string_view namespace_) const;
  // True if a VirtualService of this namespace is imported for this host of it. Other than with
  // services, a pattern also imports a wildcard that is wider than itself.
  bool import_virtual_service(std::string_view host, std::string_view namespace_) const;

 private:
  struct Patterns {
    std::vector<std::string> wanted;
    std::vector<std::string> excluded;

    bool wants_service(std::string_view host) const;
    bool wants_virtual_service(std::string_view host) const;
    bool excludes(std::string_view host) const;
  };
  const Patterns& of(std::string_view namespace_) const;
  bool excludes(std::string_view host, std::string_view namespace_) const;

  std::map<std::string, Patterns, std::less<>> by_namespace_;  // "*": every namespace
};

}  // namespace graymesh::snapshot
