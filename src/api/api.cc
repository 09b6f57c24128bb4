#include "api/api.h"

#include <fmt/core.h>
#include <httplib.h>

#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "api/pages.h"

namespace graymesh::api {
namespace {

using nlohmann::json;

// People and scripts, few at a time; a watcher holds a thread.
constexpr std::size_t threads = 8;
// A folder of 700 services is 5 MB of YAML in one `apply`.
constexpr std::size_t body_bytes_max = std::size_t{64} << 20;

int http_status(Code code) {
  switch (code) {
    case Code::invalid_argument:
    case Code::out_of_range:
      return 400;
    case Code::unauthenticated:
      return 401;
    case Code::permission_denied:
      return 403;
    case Code::not_found:
      return 404;
    case Code::already_exists:
    case Code::aborted:
    case Code::failed_precondition:
      return 409;
    case Code::resource_exhausted:
      return 429;
    case Code::unimplemented:
      return 501;
    case Code::unavailable:
      return 503;
    default:
      return 500;
  }
}

// Text from files may hold any byte; what is not UTF-8 becomes U+FFFD instead of an exception.
std::string dump(const json& page, int indent) {
  return page.dump(indent, ' ', false, json::error_handler_t::replace) + "\n";
}

void send_json(httplib::Response& response, const json& page) {
  response.set_content(dump(page, 1), "application/json");
}

// RFC 9457.
void send_error(httplib::Response& response, const Error& error) {
  response.status = http_status(error.code);
  const json problem = {{"type", "about:blank"},
                        {"title", name_of(error.code)},
                        {"status", response.status},
                        {"detail", error.message}};
  response.set_content(dump(problem, 1), "application/problem+json");
}

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

class HttpServer final : public Server {
 public:
  explicit HttpServer(const Parts& parts) : parts_(parts) {
    http_.new_task_queue = [] { return new httplib::ThreadPool(threads); };
    http_.set_payload_max_length(body_bytes_max);
    http_.set_read_timeout(std::chrono::seconds(10));
    http_.set_write_timeout(std::chrono::seconds(10));
    http_.set_keep_alive_timeout(5);
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
  }

  ~HttpServer() override {
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
    http_.Get("/metrics", [this](const httplib::Request&, httplib::Response& response) {
      response.set_content(parts_.metrics.page(), "text/plain; version=0.0.4; charset=utf-8");
    });
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
    http_.Get("/api/v1/objects",
              [this](const httplib::Request& request, httplib::Response& response) {
                const ObjectQuery query = {
                    request.get_param_value("kind"), request.get_param_value("namespace"),
                    request.get_param_value("name"), request.get_param_value("state")};
                if (!query.kind.empty()) {
                  if (auto kind = kind_named(query.kind); !kind)
                    return send_error(response, kind.error());
                }
                with_state(response, [&](const push::State& state) {
                  send_json(response, objects_page(state, query));
                });
              });
    http_.Post("/api/v1/objects",
               [this](const httplib::Request& request, httplib::Response& response) {
                 auto applied = parts_.folder.apply(request.body);
                 if (!applied) return send_error(response, applied.error());
                 json items = json::array();
                 for (const auto& [key, what] : *applied) {
                   items.push_back({{"kind", model::name_of(key.kind)},
                                    {"namespace", key.namespace_},
                                    {"name", key.name},
                                    {"result", name_of(what)}});
                 }
                 send_json(response, {{"items", std::move(items)}});
               });
    // Cluster-wide kinds have "-" for a namespace.
    http_.Delete(R"(/api/v1/objects/([^/]+)/([^/]+)/([^/]+))", [this](
                                                                   const httplib::Request& request,
                                                                   httplib::Response& response) {
      auto kind = kind_named(request.matches[1].str());
      if (!kind) return send_error(response, kind.error());
      const std::string namespace_ = request.matches[2].str();
      const model::Key key{*kind, namespace_ == "-" ? "" : namespace_, request.matches[3].str()};
      if (auto done = parts_.folder.remove(key); !done) return send_error(response, done.error());
      send_json(response, {{"deleted", to_string(key)}});
    });
  }

  void add_proxies() {
    http_.Get("/api/v1/proxies", [this](const httplib::Request&, httplib::Response& response) {
      send_json(response, proxies_page(parts_.xds.status()));
    });
    http_.Get(R"(/api/v1/proxies/([^/]+)/config)",
              [this](const httplib::Request& request, httplib::Response& response) {
                send_config(response, request.matches[1].str(), request.get_param_value("type"));
              });
  }

  void send_config(httplib::Response& response, const std::string& wanted,
                   const std::string& type) {
    auto id = proxy_named(parts_.xds.status(), wanted);
    if (!id) return send_error(response, id.error());
    const resource::ConfigPtr config = parts_.xds.config_of(*id);
    if (!config) {
      return send_error(response, {Code::not_found, fmt::format("proxy {} has just left", wanted)});
    }
    auto page = config_dump_page(*config, type);
    if (!page) return send_error(response, page.error());
    response.set_content(*std::move(page), "application/json");
  }

  Parts parts_;
  httplib::Server http_;
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
