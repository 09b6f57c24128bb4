// Servers of Gateways that a gateway workload leaves out, since an earlier one has their port or
// their hosts (docs/translation.md 6.3).
//
// Who meets whom depends on the workloads' labels, which nobody knows before they come. So each
// selector is asked once, as a workload with just these labels would ask. Ports are those that
// people wrote: where a Service leads two of them to one target port, that is not seen here.

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "control/snapshot/problems.h"
#include "control/snapshot/view.h"
#include "control/snapshot/warning.h"

namespace graymesh::snapshot {
namespace {

using model::GatewayServer;
using model::Problem;
using Mode = model::ServerTls::Mode;

// A server with the place where it was written.
struct Written {
  const GatewayServers* gateway = nullptr;
  std::size_t index = 0;

  const GatewayServer& server() const { return gateway->spec->servers[index]; }
  std::string name() const { return gateway->origin.namespace_ + '/' + gateway->origin.name; }
  bool operator==(const Written&) const = default;
};

// What it is about: a field of the server, its value, and what is said of it.
struct Complaint {
  Written loser;
  std::string field, value, rule;
};

bool has_files(const model::ServerTls& tls) {
  return !tls.server_certificate.empty() && !tls.private_key.empty();
}

bool passes_through(const GatewayServer& server) {
  return server.tls &&
         (server.tls->mode == Mode::passthrough || server.tls->mode == Mode::auto_passthrough);
}

// One workload's servers in the order in which they take ports and hosts.
class Claims {
 public:
  explicit Claims(const Catalog& catalog) : catalog_(catalog) {}

  void add(const Written& written) {
    const GatewayServer& server = written.server();
    Taken& taken = taken_[{server.bind, server.port}];
    const Protocol protocol = protocol_named(server.protocol);
    if (is_http(protocol)) return take_port(written, true, taken);
    if (passes_through(server)) return take_hosts(written, asked_for(written), taken);
    if (protocol != Protocol::https && !has_tcp_routes(written)) return;  // leads nowhere anyway
    if (!server.tls) return take_port(written, false, taken);
    if (has_files(*server.tls))
      take_hosts(written, {server.hosts.begin(), server.hosts.end()}, taken);
  }

  std::vector<Complaint> complaints;

 private:
  struct Taken {
    std::optional<Written> plaintext;  // has the connections without TLS
    bool http = false;                 // and reads them as HTTP, which servers can share
    std::map<std::string, Written> hosts;
  };

  void take_port(const Written& written, bool http, Taken& taken) {
    if (!taken.plaintext) {
      taken.plaintext = written;
      taken.http = http;
    } else if (!http || !taken.http) {
      complaints.push_back({written, "port.number", std::to_string(written.server().port),
                            "is already taken by " + describe(*taken.plaintext, written) +
                                ", which goes before: this server is not served"});
    }
  }

  void take_hosts(const Written& written, const std::set<std::string>& hosts, Taken& taken) {
    for (const std::string& host : hosts) {
      const auto slash = host.find('/');
      const std::string plain = slash == std::string::npos ? host : host.substr(slash + 1);
      const auto [at, fresh] = taken.hosts.try_emplace(plain, written);
      if (fresh || at->second == written) continue;
      complaints.push_back({written, "hosts", plain,
                            "is already served at port " + std::to_string(written.server().port) +
                                " by " + describe(at->second, written) +
                                ", which goes before: not served here"});
    }
  }

  static std::string describe(const Written& winner, const Written& loser) {
    const std::string server = "servers[" + std::to_string(winner.index) + "]";
    return winner.gateway == loser.gateway
               ? server
               : server + " of " + model::to_string(winner.gateway->origin);
  }

  template <typename Visit>
  void each_match(const Written& written,
                  std::vector<model::L4Route> model::VirtualService::*routes, Visit visit) const {
    const std::string name = written.name();
    for (const auto& service : catalog_.virtual_services) {
      if (std::ranges::count(service->spec.gateways, name) == 0 ||
          common_hosts(written.server(), *written.gateway, *service).empty())
        continue;
      for (const auto& route : service->spec.*routes) {
        if (route.match.empty()) visit(model::L4Match{});
        for (const auto& match : route.match) {
          const bool here = match.gateways.empty() || std::ranges::count(match.gateways, name) != 0;
          if (here && (match.port == 0 || match.port == written.server().port)) visit(match);
        }
      }
    }
  }

  bool has_tcp_routes(const Written& written) const {
    bool any = false;
    each_match(written, &model::VirtualService::tcp, [&any](const model::L4Match&) { any = true; });
    return any;
  }

  // By the name alone: what looks at the destination's address as well is not compared.
  std::set<std::string> asked_for(const Written& written) const {
    std::set<std::string> hosts;
    each_match(written, &model::VirtualService::tls, [&hosts](const model::L4Match& match) {
      if (match.destination_subnets.empty())
        hosts.insert(match.sni_hosts.begin(), match.sni_hosts.end());
    });
    return hosts;
  }

  const Catalog& catalog_;
  std::map<std::pair<std::string, std::uint32_t>, Taken> taken_;
};

}  // namespace

void find_gateway_clashes(const Catalog& catalog, const Objects& objects,
                          std::vector<Problem>& problems) {
  std::set<model::Labels> selectors;
  for (const auto& gateway : catalog.gateways) selectors.insert(gateway.spec->selector);
  std::set<std::string> told;  // two selectors may meet in one pair of servers
  for (const auto& selector : selectors) {
    Claims claims(catalog);
    const auto gateways = select_gateways(catalog, selector);
    for (const auto& gateway : gateways) {
      for (std::size_t i = 0; i < gateway.spec->servers.size(); ++i) claims.add({&gateway, i});
    }
    for (auto& complaint : claims.complaints) {
      const auto& [gateway, index] = complaint.loser;
      const auto object = objects.find(gateway->origin);
      if (object == nullptr) continue;
      Problem problem = warning(*object, object->as<model::Gateway>().servers[index].position,
                                "servers[" + std::to_string(index) + "]." + complaint.field,
                                std::move(complaint.value), std::move(complaint.rule));
      if (told.insert(model::to_string(problem)).second) problems.push_back(std::move(problem));
    }
  }
}

}  // namespace graymesh::snapshot
