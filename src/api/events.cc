// GET /api/v1/events: what changes, as it changes (server-sent events, WHATWG HTML 9.2).
//
// The engine publishes Views; a watcher remembers the text of what it has sent, and sends what is
// another text in the newest View. So views that come faster than the client reads are folded, and
// one that reconnects is simply sent everything that stands, and (for it has Last-Event-ID) the
// releases that ended meanwhile.
#include <fmt/core.h>

#include <map>
#include <memory>
#include <set>

#include "api/platform.h"

namespace graymesh::api {
namespace {

using nlohmann::json;
using release::View;

constexpr std::chrono::seconds heartbeat{15};
constexpr std::chrono::hours ended_meanwhile{1};  // longer ago than that is history
constexpr std::chrono::milliseconds slice{200};   // how soon a server that stops is noticed

class Watcher {
 public:
  Watcher(std::uint64_t release, const traffic::Table* traffic)
      : release_(release), traffic_(traffic) {}

  // Tells also of releases that were over when the watch began, if they ended after `since`.
  void tell_ended_since(Clock::Wall since) { ended_since_ = since; }

  // What is new in `view`, as events; empty if nothing is.
  std::string news(const View& view) {
    std::string out;
    std::map<std::string, std::string> now;
    const auto tell = [&](const std::string& kind, const std::string& name, const json& what) {
      const std::string key = kind + " " + name;
      std::string text = what.dump(-1, ' ', false, json::error_handler_t::replace);
      const auto known = sent_.find(key);
      if (known == sent_.end() || known->second != text) out += event(view.change, kind, text);
      now.emplace(key, std::move(text));
    };
    add_releases(view, tell);
    for (const auto& instance : view.instances) {
      if (is_of_mine(view, instance))
        tell("instance", instance.namespace_ + "/" + instance.name, instance_json(instance));
    }
    if (release_ == 0) {
      for (const auto& [name, lane] : view.world->lanes)
        tell("lane", to_string(name), lane_json(lane, view, traffic_));
    }
    for (const auto& [key, text] : sent_) {
      if (now.contains(key) || key.starts_with("release ")) continue;
      const auto blank = key.find(' ');
      const auto slash = key.find('/');
      out += event(view.change, key.substr(0, blank),
                   json{{"namespace", key.substr(blank + 1, slash - blank - 1)},
                        {"name", key.substr(slash + 1)},
                        {"gone", true}}
                       .dump());
    }
    sent_ = std::move(now);
    return out;
  }

 private:
  static std::string event(std::uint64_t id, const std::string& kind, const std::string& text) {
    return fmt::format("id: {}\nevent: {}\ndata: {}\n\n", id, kind, text);
  }

  // One that was over when the watch began is told only if it, or its time, was asked for.
  template <typename Tell>
  void add_releases(const View& view, const Tell& tell) {
    for (const auto& [id, release] : view.world->releases) {
      if (release_ != 0 && id != release_) continue;
      if (ended(release.phase) && over_.contains(id)) continue;
      if (ended(release.phase) && !begun_ && release_ == 0 && release.over < ended_since_) {
        over_.insert(id);
        continue;
      }
      tell("release", std::to_string(id), release_json(release, view));
      // Nothing of it changes any more.
      if (ended(release.phase) && !goes_on(release)) over_.insert(id);
    }
    begun_ = true;
  }

  bool is_of_mine(const View& view, const workload::Instance& instance) const {
    if (release_ == 0) return true;
    const auto found = view.world->releases.find(release_);
    if (found == view.world->releases.end() || found->second.name.namespace_ != instance.namespace_)
      return false;
    const auto app = instance.labels.find("app");
    return app != instance.labels.end() && found->second.member(app->second) != nullptr;
  }

  const std::uint64_t release_;
  const traffic::Table* const traffic_;
  bool begun_ = false;
  Clock::Wall ended_since_ = Clock::Wall::max();
  std::set<std::uint64_t> over_;
  std::map<std::string, std::string> sent_;  // "release 12" to its text
};

}  // namespace

void Platform::watch(const Call& call) {
  const auto release = number_of(call.request, "release", {1, UINT64_MAX, 0});
  if (!release) return send_error(call.response, release.error());
  if (*release != 0 && !engine_.view()->world->releases.contains(*release)) {
    return send_error(call.response,
                      {Code::not_found, fmt::format("release {} is not there", *release)});
  }
  if (watchers_.fetch_add(1) >= watchers_max) {
    watchers_.fetch_sub(1);
    call.response.set_header("Retry-After", "5");
    return send_error(call.response,
                      {Code::unavailable,
                       fmt::format("{} watch already, must be fewer: ask again", watchers_max)});
  }
  struct Stream {
    Watcher watcher;
    std::uint64_t seen = 0;
    bool begun = false;
    std::chrono::steady_clock::time_point spoken = std::chrono::steady_clock::now();
  };
  auto stream = std::make_shared<Stream>(Stream{.watcher = Watcher(*release, traffic_)});
  if (call.request.has_header("Last-Event-ID"))
    stream->watcher.tell_ended_since(clock_.wall() - ended_meanwhile);
  call.response.set_header("Cache-Control", "no-store");
  call.response.set_chunked_content_provider(
      "text/event-stream",
      // Called again and again until the server stops or the client has gone.
      [this, stream](std::size_t, httplib::DataSink& sink) {
        if (stopping_) return false;
        const auto view = stream->begun ? engine_.wait(stream->seen, slice) : engine_.view();
        std::string text;
        if (!stream->begun) text = "retry: 1000\n\n";
        if (!stream->begun || view->change > stream->seen) text += stream->watcher.news(*view);
        stream->begun = true;
        stream->seen = view->change;
        const auto now = std::chrono::steady_clock::now();
        if (text.empty() && now - stream->spoken >= heartbeat) text = ": still here\n\n";
        if (text.empty()) return sink.is_writable();
        stream->spoken = now;
        return sink.write(text.data(), text.size());
      },
      [this](bool) { watchers_.fetch_sub(1); });
}

}  // namespace graymesh::api
