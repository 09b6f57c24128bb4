#include "api/api.h"

#include <fmt/core.h>
#include <httplib.h>

#include <atomic>
#include <optional>
#include <thread>
#include <utility>

#include "api/answers.h"
#include "api/everywhere.h"
#include "api/live.h"
#include "api/monitoring.h"
#include "api/pages.h"
#include "api/platform.h"
#include "api/routes.h"
#include "api/threads.h"
#include "base/json.h"

namespace graymesh::api {
namespace {

using nlohmann::json;

// Those who watch and wait, and as many who do not.
constexpr std::size_t threads_max = std::size_t{2} * watchers_max;
// A folder of 700 services is 5 MB of YAML in one `apply`.
constexpr std::size_t body_bytes_max = std::size_t{64} << 20;
constexpr std::size_t happenings_max = 5'000;  // on a page

std::string_view name_of(source::Folder::Applied applied) {
  switch (applied) {
    case source::Folder::Applied::created:
      return "created";
    case source::Folder::Applied::configured:
      return "configured";
    case source::Folder::Applied::unchanged:
      return "unchanged";
  }
  return {};
}

// What the release engine has against objects, beside what the snapshot has.
void add_problems(const std::vector<model::Problem>& problems, json& page) {
  for (json& item : page["items"]) {
    const std::string name =
        fmt::format("{} {}/{}", item["kind"].get<std::string>(),
                    item["namespace"].get<std::string>(), item["name"].get<std::string>());
    for (const auto& problem : problems) {
      if (problem.object == name) item["problems"].push_back(to_json(problem));
    }
  }
}

class HttpServer final : public Server {
 public:
  explicit HttpServer(const Parts& parts) : parts_(parts), routes_(http_, parts.tokens) {
    http_.new_task_queue = [] { return new Threads(threads_max); };
    http_.set_payload_max_length(body_bytes_max);
    http_.set_read_timeout(std::chrono::seconds(10));
    http_.set_write_timeout(std::chrono::seconds(10));
    // Also how long a connection may wait for its first request, and a client for its own turn on a
    // machine where everything starts at once.
    http_.set_keep_alive_timeout(15);
    // The default allows a second server on the same port, which then gets every other request.
    http_.set_socket_options([](socket_t socket) {
      const int yes = 1;
      ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    });
    http_.set_exception_handler([](const httplib::Request& request, httplib::Response& response,
                                   const std::exception_ptr& thrown) {
      std::string what = "unknown exception";
      try {
        std::rethrow_exception(thrown);
      } catch (const std::exception& exception) {
        what = exception.what();
      } catch (...) {  // NOLINT(bugprone-empty-catch): `what` says that it is unknown
      }
      send_error(response, {Code::internal, fmt::format("{}: {}", request.path, what)});
    });
    http_.set_error_handler([](const httplib::Request& request, httplib::Response& response) {
      if (!response.body.empty()) return;
      const int status = response.status;
      send_error(response, {status == 404 ? Code::not_found : Code::invalid_argument,
                            fmt::format("{} {} is not served here", request.method, request.path)});
      response.status = status;
    });
    add_probes();
    add_debug();
    add_objects();
    add_proxies();
    add_platform();
    add_live();
    routes_.add("GET", "/api/v1", [this](const Call& call) {
      json paths = json::array();
      for (const auto& [method, path] : routes_.all())
        paths.push_back({{"method", method}, {"path", path}});
      send_json(call.response, {{"paths", std::move(paths)}});
    });
  }

  ~HttpServer() override {
    stopping_ = true;
    if (platform_) platform_->stop();
    if (live_) live_->stop();
    http_.stop();
    if (thread_.joinable()) thread_.join();
  }

  Status listen(const std::string& address) {
    const auto colon = address.rfind(':');
    int port = -1;
    if (colon != std::string::npos &&
        address.find_first_not_of("0123456789", colon + 1) == std::string::npos &&
        colon + 1 < address.size() && address.size() - colon <= 6) {
      port = std::stoi(address.substr(colon + 1));
    }
    if (port < 0 || port > 65535) {
      return Error{Code::invalid_argument,
                   fmt::format("API address {}, must be host:port", address)};
    }
    const std::string host = address.substr(0, colon);
    port_ = port == 0 ? http_.bind_to_any_port(host) : http_.bind_to_port(host, port) ? port : -1;
    if (port_ < 0) {
      return Error{Code::unavailable,
                   fmt::format("cannot listen on {} for the API: is it in use?", address)};
    }
    thread_ = std::thread([this] { http_.listen_after_bind(); });
    // stop() before the loop runs would be lost, and the destructor would wait for ever.
    while (!http_.is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return {};
  }

  int port() const override { return port_; }

 private:
  using Page = json (*)(const push::State&);

  // Runs `answer` with what is served now, or says that nothing is yet.
  template <typename Answer>
  void with_state(httplib::Response& response, Answer answer) {
    const push::StatePtr state = parts_.loop.state();
    if (!state)
      return send_error(response, {Code::unavailable, "the first snapshot is not built yet"});
    answer(*state);
  }

  void add_state_page(const char* path, Page page) {
    http_.Get(path, [this, page](const httplib::Request&, httplib::Response& response) {
      with_state(response, [&](const push::State& state) { send_json(response, page(state)); });
    });
  }

  void add_probes() {
    http_.Get("/ready", [this](const httplib::Request&, httplib::Response& response) {
      with_state(response,
                 [&](const push::State&) { response.set_content("ready\n", "text/plain"); });
    });
    http_.Get("/metrics", [this](const httplib::Request& request, httplib::Response& response) {
      // Prometheus asks for it, and it alone may have exemplars.
      if (request.get_header_value("Accept").find("application/openmetrics-text") !=
          std::string::npos) {
        return response.set_content(metrics::open_metrics(metrics_page(true)),
                                    "application/openmetrics-text; version=1.0.0; charset=utf-8");
      }
      response.set_content(metrics_page(false), "text/plain; version=0.0.4; charset=utf-8");
    });
  }

  std::string metrics_page(bool exemplars) const {
    std::string out = parts_.metrics.page() + process_series();
    const auto proxies = parts_.xds.status();
    out += proxy_series(proxies, parts_.clock.wall());
    if (const push::StatePtr state = parts_.loop.state()) out += service_series(*state);
    if (parts_.engine != nullptr) {
      const release::ViewPtr view = parts_.engine->view();
      out += release_series(*view, proxies);
      if (parts_.traffic != nullptr)
        out += lane_series(*view, *parts_.traffic) + parts_.traffic->latencies(exemplars);
    }
    return out;
  }

  void add_debug() {
    http_.Get("/debug/syncz", [this](const httplib::Request&, httplib::Response& response) {
      send_json(response, syncz_page(parts_.xds.status()));
    });
    add_state_page("/debug/configz", configz_page);
    add_state_page("/debug/registryz", registryz_page);
    add_state_page("/debug/endpointz", endpointz_page);
    http_.Get("/debug/config_dump", [this](const httplib::Request& request,
                                           httplib::Response& response) {
      if (!request.has_param("proxyID")) {
        return send_error(response,
                          {Code::invalid_argument, "proxyID is missing, must name a proxy"});
      }
      send_config(response, request.get_param_value("proxyID"), request.get_param_value("type"));
    });
  }

  void add_objects() {
    routes_.add("GET", "/api/v1/objects", [this](const Call& call) {
      const ObjectQuery query = {call.query("kind"), call.query("namespace"), call.query("name"),
                                 call.query("state")};
      if (!query.kind.empty()) {
        if (auto kind = kind_named(query.kind); !kind)
          return send_error(call.response, kind.error());
      }
      with_state(call.response, [&](const push::State& state) {
        json page = objects_page(state, query);
        if (parts_.engine != nullptr) add_problems(parts_.engine->problems(), page);
        send_json(call.response, page);
      });
    });
    routes_.add("POST", "/api/v1/objects", [this](const Call& call) {
      auto applied = parts_.folder.apply(call.request.body);
      if (!applied) return send_error(call.response, applied.error());
      json items = json::array();
      for (const auto& [key, what] : *applied) {
        items.push_back({{"kind", model::name_of(key.kind)},
                         {"namespace", key.namespace_},
                         {"name", key.name},
                         {"result", name_of(what)}});
      }
      send_json(call.response, {{"items", std::move(items)}});
    });
    routes_.add("GET", "/api/v1/objects/{kind}/{namespace}/{name}/receipt",
                [this](const Call& call) { send_receipt(call); });
    // Cluster-wide kinds have "-" for a namespace.
    routes_.add("DELETE", "/api/v1/objects/{kind}/{namespace}/{name}", [this](const Call& call) {
      auto kind = kind_named(call.part(0));
      if (!kind) return send_error(call.response, kind.error());
      const model::Key key = kind->key(call.part(1) == "-" ? "" : call.part(1), call.part(2));
      if (auto done = parts_.folder.remove(key); !done)
        return send_error(call.response, done.error());
      send_json(call.response, {{"deleted", to_string(key)}});
    });
  }

  void add_proxies() {
    routes_.add("GET", "/api/v1/proxies", [this](const Call& call) {
      const auto status = parts_.xds.status();
      json page = proxies_page(status, parts_.xds.dropped());
      page["gone"] = json::array();
      if (parts_.history != nullptr) {
        std::vector<std::string> faults;
        const auto seen = parts_.history->seen(faults);
        if (!seen) return send_error(call.response, seen.error());
        page["gone"] = gone_json(*seen, status);
      }
      send_json(call.response, page);
    });
    routes_.add("GET", "/api/v1/prometheus/sidecars", [this](const Call& call) {
      const push::StatePtr state = parts_.loop.state();
      send_json(call.response,
                sidecars_.targets(parts_.xds.status(), state ? state->snapshot.get() : nullptr));
    });
    routes_.add("GET", "/api/v1/proxies/{id}/config", [this](const Call& call) {
      if (call.request.has_param("at")) return send_past_config(call);
      send_config(call.response, call.part(0), call.query("type"), call.query("of"));
    });
    routes_.add("GET", "/api/v1/proxies/{id}/history",
                [this](const Call& call) { send_history(call); });
  }

  // ?wait=SECONDS; few may wait at once, the others are answered at once.
  void send_receipt(const Call& call) {
    auto kind = kind_named(call.part(0));
    if (!kind) return send_error(call.response, kind.error());
    const model::Key key = kind->key(call.part(1) == "-" ? "" : call.part(1), call.part(2));
    const auto seconds = number_of(call.request, "wait", {0, 25, 0});
    if (!seconds) return send_error(call.response, seconds.error());
    const bool may_wait = waiting_.fetch_add(1) < watchers_max;
    const auto patience = std::chrono::seconds(may_wait ? *seconds : 0);
    const auto page = everywhere(parts_, key, patience, stopping_);
    waiting_.fetch_sub(1);
    if (!page) return send_error(call.response, page.error());
    send_json(call.response, *page);
  }

  // What the record knows up to now; says so if there is none.
  bool has_record(const Call& call) {
    if (parts_.history == nullptr) {
      send_error(call.response, {Code::unimplemented,
                                 "there is no record of proxies: graymeshd runs without --record"});
      return false;
    }
    parts_.record->flush();
    return true;
  }

  // ?at=TIME: what it ran then; or ?from=TIME&to=TIME: what happened between, by pages.
  void send_history(const Call& call) {
    if (!has_record(call)) return;
    const auto now = parts_.clock.wall();
    std::vector<std::string> faults;
    if (!call.request.has_param("from")) {
      const auto at = time_named(call.query("at"), now);
      if (!at) return send_error(call.response, at.error());
      const auto moment = parts_.history->at(call.part(0), *at, faults);
      if (!moment) return send_error(call.response, moment.error());
      return send_json(call.response, moment_page(*moment, faults));
    }
    const auto from = time_named(call.query("from"), now), to = time_named(call.query("to"), now);
    if (!from || !to) return send_error(call.response, from ? to.error() : from.error());
    const auto page = parts_.history->between(call.part(0), *from, *to, happenings_max,
                                              call.query("continue"), faults);
    if (!page) return send_error(call.response, page.error());
    send_json(call.response, happenings_page(*page, faults));
  }

  void send_past_config(const Call& call) {
    if (!has_record(call)) return;
    const auto at = time_named(call.query("at"), parts_.clock.wall());
    if (!at) return send_error(call.response, at.error());
    std::vector<std::string> faults;
    const auto moment = parts_.history->at(call.part(0), *at, faults);
    if (!moment) return send_error(call.response, moment.error());
    const auto config = parts_.history->config(*moment);
    if (!config) return send_error(call.response, config.error());
    auto page = config_dump_page(**config, call.query("type"));
    if (!page) return send_error(call.response, page.error());
    call.response.set_content(*std::move(page), "application/json");
  }

  void add_platform() {
    if (parts_.engine != nullptr && parts_.store != nullptr) {
      platform_.emplace(*parts_.engine, *parts_.store, parts_.traffic, parts_.clock);
    } else {
      routes_.answer_instead(
          Error{Code::unimplemented,
                "the release platform is not there: graymeshd runs without --store"});
    }
    Platform::add_to(routes_, platform_ ? &*platform_ : nullptr);
    routes_.answer_instead(std::nullopt);
  }

  void add_live() {
    if (parts_.live) {
      live_.emplace(*parts_.live, parts_.clock);
    } else {
      routes_.answer_instead(Error{Code::unimplemented, "nobody gathers figures here"});
    }
    Live::add_to(routes_, live_ ? &*live_ : nullptr);
    routes_.answer_instead(std::nullopt);
  }

  // `of`: "target", what it shall have; else what it has ACKed.
  resource::ConfigPtr config_of(const std::vector<xds::ProxyStatus>& status, const std::string& id,
                                const std::string& of) {
    if (of != "target") return parts_.xds.config_of(id);
    for (const auto& proxy : status) {
      if (proxy.node.id != id) continue;
      const auto held = parts_.xds.config_of(id);
      const auto target = parts_.loop.config_for(proxy.node);
      return held && target ? target_asked_for(*target, *held, proxy.types) : target;
    }
    return nullptr;
  }

  void send_config(httplib::Response& response, const std::string& wanted, const std::string& type,
                   const std::string& of = {}) {
    const auto status = parts_.xds.status();
    auto id = proxy_named(status, wanted);
    if (!id) return send_error(response, id.error());
    if (!of.empty() && of != "target" && of != "acked") {
      return send_error(
          response, {Code::invalid_argument, fmt::format("of is {}, must be acked or target", of)});
    }
    const resource::ConfigPtr config = config_of(status, *id, of);
    if (!config) {
      return send_error(response, {Code::not_found, fmt::format("proxy {} has just left", wanted)});
    }
    auto page = config_dump_page(*config, type);
    if (!page) return send_error(response, page.error());
    response.set_content(*std::move(page), "application/json");
  }

  Parts parts_;
  Sidecars sidecars_;
  httplib::Server http_;
  Routes routes_;
  std::optional<Platform> platform_;
  std::optional<Live> live_;
  std::atomic<bool> stopping_{false};
  std::atomic<int> waiting_{0};
  int port_ = -1;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<Server>> Server::start(const std::string& address, const Parts& parts) {
  auto server = std::make_unique<HttpServer>(parts);
  TRY(server->listen(address));
  return std::unique_ptr<Server>(std::move(server));
}

}  // namespace graymesh::api
