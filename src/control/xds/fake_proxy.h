// A proxy for tests: speaks with a Session in words.
//
//   FakeProxy proxy(FakeProxy::delta);
//   proxy.runs({.clusters = {"a", "b=2"}});      // the Config: names, and bodies that tell
//   versions apart proxy.asks(Type::cluster); EXPECT_EQ(proxy.hears(), "CDS a b=2");       // all
//   that may be sent now; "-c" is a removal proxy.acks(Type::cluster);
#pragma once

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/fields.h"
#include "control/resource/resource.h"
#include "control/xds/message.h"
#include "control/xds/session.h"

namespace graymesh::xds {

using Texts = std::vector<std::string>;

struct ConfigText {
  Texts clusters{}, endpoints{}, listeners{}, routes{};
  std::uint64_t snapshot = 0;
  Texts own_clusters{};  // a second layer
  Texts hosts{};         // virtual hosts: "table/host"; none: routes have their own
};

// Sets that are the same as in `before` are the same pointers.
inline resource::ConfigPtr make_config(const ConfigText& text,
                                       const resource::ConfigPtr& before = nullptr) {
  auto config = std::make_shared<resource::Config>();
  config->snapshot = text.snapshot;
  const auto layer = [&](resource::Type type, std::size_t at, const Texts& texts) {
    std::vector<resource::ResourcePtr> resources;
    for (const auto& it : texts) {
      const auto equals = it.find('=');
      const std::string body = equals == std::string::npos ? "" : it.substr(equals + 1);
      resources.push_back(std::make_shared<const resource::Resource>(
          type, it.substr(0, equals), body, Texts{"Object " + it.substr(0, equals)}));
    }
    auto made = std::make_shared<const resource::ResourceSet>(std::move(resources));
    if (before && before->of(type).size() > at) {
      const auto& old = before->of(type)[at];
      const auto same = [](const auto& a, const auto& b) {
        return a->name() == b->name() && a->version() == b->version();
      };
      if (std::ranges::equal(old->all(), made->all(), same)) made = old;
    }
    config->add(type, std::move(made));
  };
  layer(resource::Type::cluster, 0, text.clusters);
  if (!text.own_clusters.empty()) layer(resource::Type::cluster, 1, text.own_clusters);
  layer(resource::Type::endpoints, 0, text.endpoints);
  layer(resource::Type::listener, 0, text.listeners);
  layer(resource::Type::route, 0, text.routes);
  if (!text.hosts.empty()) layer(resource::Type::virtual_host, 0, text.hosts);
  return config;
}

// "n0", "n1", ... each with the same body.
inline Texts many(std::size_t count, const std::string& body = "",
                  const std::string& prefix = "n") {
  Texts texts;
  for (std::size_t i = 0; i < count; ++i)
    texts.push_back(prefix + std::to_string(i) + (body.empty() ? "" : "=" + body));
  return texts;
}

class FakeProxy {
 public:
  using Type = resource::Type;
  enum Protocol : std::uint8_t { delta, sotw };
  using Held = std::vector<std::pair<std::string, std::string>>;

  explicit FakeProxy(Protocol protocol, Limits limits = {})
      : limits_(limits), session_(protocol == delta, limits_, diffs_) {}

  Status runs(const ConfigText& text) { return runs(make_config(text, config_)); }
  Status runs(resource::ConfigPtr config) {
    config_ = std::move(config);
    return session_.update(config_, clock.now() - written_ago, now());
  }

  // A request that answers nothing. Delta: `names` are added; state of the world: they are all.
  Status asks(Type type, const Texts& names = {}, const Held& held = {}) {
    return asks_url(std::string(type_url(type)), names, held);
  }
  Status asks_url(std::string url, const Texts& names = {}, const Held& held = {}) {
    if (session_.delta()) {
      DeltaRequest request;
      request.type_url = std::move(url);
      request.subscribe = names;
      for (const auto& [name, version] : held) {
        request.held.push_back(name);
        request.versions.push_back(version);
      }
      return session_.hear(std::move(request), now());
    }
    SotwRequest request;
    request.nonce = nonces_[url];
    request.type_url = std::move(url);
    names_[request.type_url] = names;
    request.names = names;
    return says(request);
  }
  Status drops(Type type, const Texts& names) {
    DeltaRequest request;
    request.type_url = type_url(type);
    request.unsubscribe = names;
    return session_.hear(std::move(request), now());
  }
  // State of the world, on a new stream.
  Status returns(Type type, std::string version, Texts names = {}) {
    SotwRequest request;
    request.type_url = type_url(type);
    request.version = std::move(version);
    request.names = names;
    names_[request.type_url] = std::move(names);
    return says(request);
  }

  Status acks(Type type) { return answers(type, last(type), std::nullopt); }
  Status nacks(Type type, const std::string& error) { return answers(type, last(type), error); }
  Status answers(Type type, const std::string& nonce, std::optional<std::string> error) {
    const std::string url(type_url(type));
    if (session_.delta()) {
      DeltaRequest request;
      request.type_url = url;
      request.nonce = nonce;
      request.error = std::move(error);
      return session_.hear(std::move(request), now());
    }
    SotwRequest request;
    request.type_url = url;
    request.nonce = nonce;
    request.names = names_[url];
    request.error = std::move(error);
    return says(request);
  }
  const std::string& last(Type type) { return nonces_[std::string(type_url(type))]; }
  const std::string& version(Type type) { return versions_[std::string(type_url(type))]; }

  // What is sent now, " | " between responses.
  std::string hears() {
    std::string all;
    while (auto response = session_.next(now())) {
      nonces_[response->type_url] = response->nonce;
      versions_[response->type_url] = response->version;
      all += (all.empty() ? "" : " | ") + text_of(*response);
    }
    return all;
  }
  // Hears and ACKs, also what was heard before, until there is silence.
  std::string settles() {
    std::string all;
    for (bool acked = true; acked;) {
      const auto more = hears();
      if (!more.empty()) all += (all.empty() ? "" : " | ") + more;
      acked = false;
      for (const Type type : resource::all_types) {
        const auto& flight = session_.channel(type).flight();
        if (!flight) continue;
        (void)answers(type, std::string(flight->nonce), std::nullopt);
        acked = true;
      }
    }
    return all;
  }
  // The wildcard types of an Envoy, and the names that it finds in them.
  std::string starts(const Texts& endpoints = {}, const Texts& routes = {}) {
    (void)asks(Type::cluster);
    auto all = settles();
    if (!endpoints.empty()) (void)asks(Type::endpoints, endpoints);
    all += " | " + settles();
    (void)asks(Type::listener);
    all += " | " + settles();
    if (!routes.empty()) (void)asks(Type::route, routes);
    return all + " | " + settles();
  }
  // "a b=2": what it holds for sure.
  std::string holds(Type type) const { return join(all_of(*session_.acked(), type)); }

  TypeStatus status(Type type) const {
    const auto types = session_.types();
    const auto found = std::ranges::find(types, type, &TypeStatus::type);
    return found == types.end() ? TypeStatus{.type = type} : *found;
  }
  Session& session() { return session_; }
  const Session& session() const { return session_; }
  Now now() const { return {clock.now(), clock.wall()}; }

  FakeClock clock;
  std::chrono::nanoseconds written_ago{0};  // what it runs next

 private:
  // By way of the wire (discovery.proto), as a Stream hears it.
  Status says(const SotwRequest& request) {
    std::string bytes;
    if (!request.version.empty()) put_field(bytes, 1, request.version);
    for (const auto name : request.names) put_field(bytes, 3, name);
    put_field(bytes, 4, request.type_url);
    if (!request.nonce.empty()) put_field(bytes, 5, request.nonce);
    if (request.error) {
      std::string detail;
      put_field(detail, 2, *request.error);
      put_field(bytes, 6, detail);
    }
    if (auto same = decode_same(bytes, session_.names_hashes()))
      return session_.hear(*std::move(same), now());
    return session_.hear(decode_sotw(bytes, false).value(), now());
  }

  static std::string text_of(const resource::Resource& resource) {
    return resource.name() + (resource.body().empty() ? "" : "=" + std::string(resource.body()));
  }
  static Texts all_of(const resource::Config& config, Type type) {
    Texts texts;
    for (const auto& layer : config.of(type)) {
      for (const auto& resource : layer->all()) texts.push_back(text_of(*resource));
    }
    std::ranges::sort(texts);
    return texts;
  }
  static std::string join(const Texts& texts) {
    std::string all;
    for (const auto& text : texts) all += (all.empty() ? "" : " ") + text;
    return all;
  }
  static std::string text_of(const Response& response) {
    Texts texts;
    for (const auto* resource : response.resources) texts.push_back(text_of(**resource));
    std::ranges::sort(texts);
    Texts removed = response.removed;
    std::ranges::sort(removed);
    for (const auto& name : removed) texts.push_back("-" + name);
    std::string name = response.type_url;
    for (const Type type : resource::all_types) {
      if (type_url(type) == response.type_url) name = short_name(type);
    }
    return texts.empty() ? name : name + " " + join(texts);
  }

  Limits limits_;
  Diffs diffs_;
  Session session_;
  resource::ConfigPtr config_;
  std::map<std::string, std::string> nonces_, versions_;
  std::map<std::string, Texts> names_;
};

}  // namespace graymesh::xds
