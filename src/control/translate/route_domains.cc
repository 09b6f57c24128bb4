// The names of virtual hosts (docs/translation.md 4.2). In namespace `shop`, the service
// `web.shop.svc.cluster.local` is also `web`, `web.shop` and `web.shop.svc`; in others only the
// latter two.
#include <algorithm>

#include "control/translate/route_hosts.h"

namespace graymesh::translate {
namespace {

constexpr std::string_view cluster_suffix = ".svc.cluster.local";

bool is_wildcard(std::string_view host) { return host.starts_with('*'); }

bool is_ip(std::string_view host) {
  return host.find(':') != std::string_view::npos ||
         host.find_first_not_of("0123456789.") == std::string_view::npos;
}

// The short forms of a host of Kubernetes; none for others.
std::vector<std::string> short_forms(std::string_view host, std::string_view namespace_) {
  if (!host.ends_with(cluster_suffix)) return {};
  const std::string_view in_cluster =
      host.substr(0, host.size() - cluster_suffix.size());  // "web.shop"
  const std::size_t dot = in_cluster.find('.');
  if (dot == std::string_view::npos || dot == 0) return {};
  const std::string both(in_cluster);
  if (in_cluster.substr(dot + 1) != namespace_) return {both, both + ".svc"};
  return {std::string(in_cluster.substr(0, dot)), both + ".svc", both};
}

class Names {
 public:
  Names(std::uint32_t port, Ports ports)
      : port_(":" + std::to_string(port)), http_port_(port == 80), ports_(ports) {}

  void add(const std::string& name, bool short_form = false) {
    if (ports_ == Ports::left_out || http_port_) out_.push_back({name, short_form});
    if (ports_ == Ports::written) out_.push_back({name + port_, short_form});
  }

  void add_host(const std::string& host, std::string_view namespace_) {
    add(host);
    if (!is_ip(host)) add(host + ".");  // the absolute form, of which no search list is tried
    for (const auto& name : short_forms(host, namespace_)) add(name, true);
  }

  // Pods of a headless service have names below its own.
  void add_pods() {
    for (std::size_t i = 0, end = out_.size(); i < end; ++i) {
      if (!is_wildcard(out_[i].name)) out_.push_back({"*." + out_[i].name, out_[i].short_form});
    }
  }

  std::vector<Domain> take() { return std::move(out_); }

 private:
  std::string port_;
  bool http_port_;
  Ports ports_;
  std::vector<Domain> out_;
};

}  // namespace

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::vector<Domain> domains_of(const snapshot::Service& service, std::uint32_t port,
                               std::string_view namespace_, Ports ports) {
  Names names(port, ports);
  names.add_host(service.host, namespace_);
  for (const auto& alias : service.aliases) names.add_host(alias, namespace_);
  if (service.kubernetes && service.headless) names.add_pods();
  for (const auto& address : service.addresses) {
    const bool range = address.find('/') != std::string::npos;
    if (range || address == "0.0.0.0" || address == "::") continue;
    names.add(address.find(':') == std::string::npos ? address : "[" + address + "]");
  }
  return names.take();
}

std::vector<Domain> domains_of(std::string_view host, std::uint32_t port, Ports ports) {
  Names names(port, ports);
  names.add(std::string(host));
  return names.take();
}

std::vector<std::string> Claims::claim(std::vector<Domain> domains) {
  std::vector<std::string> free;
  for (auto& domain : domains) {
    if (domain.short_form && full_names_.contains(domain.name)) continue;
    if (domains_.insert(lower(domain.name)).second) free.push_back(std::move(domain.name));
  }
  return free;
}

}  // namespace graymesh::translate
