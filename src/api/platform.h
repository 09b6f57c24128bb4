// The paths of the release platform, in front of the engine.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <string>

#include "api/release_json.h"
#include "api/replies.h"
#include "api/routes.h"

namespace graymesh::api {

// How many may watch or wait at once. Each holds a thread of the server.
inline constexpr int watchers_max = 64;

class Platform {
 public:
  // `traffic` may be null: proxies tell nothing of requests.
  Platform(release::Engine& engine, release::Store& store, const traffic::Table* traffic,
           const Clock& clock)
      : engine_(engine), store_(store), traffic_(traffic), clock_(clock), replies_(store) {}

  // `self` null: the same paths, for routes that answer something else instead.
  static void add_to(Routes& routes, Platform* self);

  // Who waits, answers at once from now on.
  void stop() { stopping_ = true; }

 private:
  // objects: platform_objects.cc
  struct Kind;
  static const Kind kinds[3];
  void list_objects(const Call& call, const Kind& kind);
  void show_object(const Call& call, const Kind& kind);
  void apply_object(const Call& call, const Kind& kind, const std::string& namespace_,
                    const std::string& name);
  void remove_object(const Call& call, const Kind& kind);
  static void add_objects(Routes& routes, Platform* self);

  // releases: platform.cc
  void list_releases(const Call& call);
  void show_release(const Call& call);
  void start_release(const Call& call);
  void act_on_release(const Call& call, release::Verb verb);
  Outcome promote(const Call& call, std::uint64_t id, const release::Once& once,
                  const release::Only& only);
  void answer_release(const Call& call, const Done& done, Until until);
  void list_history(const Call& call);
  void list_instances(const Call& call);
  void show_figures(const Call& call);
  bool wait_until(std::uint64_t id, Until until, std::chrono::seconds patience);

  // events: events.cc
  void watch(const Call& call);

  release::Engine& engine_;
  release::Store& store_;
  const traffic::Table* const traffic_;
  const Clock& clock_;
  Replies replies_;
  std::mutex objects_;  // so that If-Match is looked at and acted on without another in between
  std::atomic<int> watchers_{0};
  std::atomic<bool> stopping_{false};
};

// The one object of `kind` that a body holds, or everything that is wrong with it.
std::variant<model::ObjectPtr, Refusal> object_in(const std::string& body, model::Kind kind);

// A page of a list, by ?limit= and ?continue= of the request: {"items", "continue"}. The caller
// gives what comes after `after()`, in order, each with the text that stands for its place; the
// last of a page is where the next one goes on, also if it was deleted meanwhile.
class Page {
 public:
  static Result<Page> of(const httplib::Request& request);

  const std::string& after() const { return after_; }
  // False: no more are needed.
  bool add(const std::string& place, const std::function<nlohmann::json()>& make);
  nlohmann::json json() const;

 private:
  std::size_t limit_ = 0;
  std::string after_, last_;
  bool more_ = false;
  nlohmann::json items_ = nlohmann::json::array();
};

}  // namespace graymesh::api
