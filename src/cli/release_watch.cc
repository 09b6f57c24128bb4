#include "cli/release_watch.h"

#include <fmt/core.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "base/json.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/platform.h"
#include "cli/release_line.h"
#include "cli/release_screen.h"
#include "cli/screen.h"

namespace graymesh::cli {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;
using Steady = std::chrono::steady_clock;

// So long graymeshd may be away.
constexpr auto patience = 30s;
// How soon a screen follows a window that was resized; its clocks tick every second.
constexpr auto look_every = 200ms;

// What the events have told so far.
struct Heard {
  json release;
  std::map<std::string, json> instances;

  // False for what it is not interested in.
  bool take(const std::string& event, const std::string& data) {
    json told = json::parse(data, nullptr, false);
    if (!told.is_object()) return false;
    if (event == "release") {
      release = std::move(told);
    } else if (event == "instance") {
      const std::string key = text_at(told, "/namespace") + "/" + text_at(told, "/name");
      if (told.contains("gone")) {
        instances.erase(key);
      } else {
        instances[key] = std::move(told);
      }
    } else {
      return false;
    }
    return true;
  }
  void be_there(const json& all) {
    instances.clear();
    for (const json& one : all)
      instances[text_at(one, "/namespace") + "/" + text_at(one, "/name")] = one;
  }
  json all_instances() const {
    json out = json::array();
    for (const auto& [key, instance] : instances) out.push_back(instance);
    return out;
  }
};

// Calls `each` with every event until it says no. graymeshd that restarts comes back with
// everything that stands.
Status listen(const Common& common, const std::string& id,
              const std::function<bool(const std::string& event, const std::string& data)>& each) {
  auto gone_since = Steady::now();
  for (;;) {
    bool over = false, stood = false;
    Status ended = watch(common.server, "/api/v1/events?release=" + id,
                         [&](const std::string& event, const std::string& data) {
                           stood = true;
                           over = !each(event, data);
                           return !over;
                         });
    if (over) return {};
    if (!ended && ended.error().code != Code::unavailable) return ended;
    if (stood) gone_since = Steady::now();
    if (Steady::now() - gone_since > patience) return ended;
    std::this_thread::sleep_for(500ms);
  }
}

int print_lines(const Common& common, Heard heard, Output output) {
  std::string told;
  const auto tell = [&] {
    const std::string text =
        output == Output::table ? line_of(heard.release) + "\n"
        : output == Output::yaml
            ? "---\n" + to_text(heard.release, output)
            : heard.release.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
    if (text == told) return;
    told = text;
    fmt::print("{}", text);
    std::fflush(stdout);
  };
  if (is_over(heard.release)) {
    tell();
    return exit_ok;
  }
  const Status ended = listen(common, text_at(heard.release, "/id"),
                              [&](const std::string& event, const std::string& data) {
                                if (heard.take(event, data) && event == "release") tell();
                                return !is_over(heard.release);
                              });
  return ended ? exit_ok : fail(ended.error());
}

void show_cursor(int /*signal*/) {
  constexpr char text[] = "\x1b[?25h\n";
  (void)!::write(STDOUT_FILENO, text, sizeof text - 1);
  ::_exit(130);
}

// Draws what a thread hears. Lines are written over, not cleared first: nothing flickers.
class Live {
 public:
  Live(const Common& common, Heard heard) : common_(common), heard_(std::move(heard)) {}

  int run() {
    std::signal(SIGINT, show_cursor);
    std::signal(SIGTERM, show_cursor);
    fmt::print("\x1b[?25l\x1b[2J");
    std::thread listener([this] { hear(); });
    std::unique_lock lock(mutex_);
    while (!ended_) {
      draw();
      changed_.wait_for(lock, look_every);
    }
    lock.unlock();
    listener.join();
    // What stopped last was told after the end, or not any more.
    if (const auto left = instances_beside(common_, heard_.release)) heard_.be_there(*left);
    draw();
    fmt::print("\x1b[?25h");
    std::fflush(stdout);
    return *ended_ ? exit_ok : fail(ended_->error());
  }

 private:
  void hear() {
    Status ended;
    if (!is_over(heard_.release)) {
      ended = listen(common_, text_at(heard_.release, "/id"),
                     [this](const std::string& event, const std::string& data) {
                       const std::lock_guard lock(mutex_);
                       if (heard_.take(event, data)) changed_.notify_one();
                       return !is_over(heard_.release);
                     });
    }
    const std::lock_guard lock(mutex_);
    ended_ = std::move(ended);
    changed_.notify_one();
  }

  void draw() {
    const Style style = style_of(STDOUT_FILENO);
    const std::string text =
        screen_of(heard_.release, heard_.all_instances(), style, std::time(nullptr));
    if (text == told_ && style.width == width_ && style.height == height_) return;
    // A window of another size has moved the lines that stand.
    std::string out = style.width == width_ && style.height == height_ ? "\x1b[H" : "\x1b[2J\x1b[H";
    for (const char c : text) out += c == '\n' ? "\x1b[K\n" : std::string(1, c);
    fmt::print("{}\x1b[J", out);
    std::fflush(stdout);
    told_ = text;
    width_ = style.width;
    height_ = style.height;
  }

  const Common& common_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Heard heard_;
  std::optional<Status> ended_;
  std::string told_;
  std::size_t width_ = 0, height_ = 0;
};

}  // namespace

Result<json> instances_beside(const Common& common, const json& release) {
  json out = json::array();
  for (const json& app : release.value("applications", json::array())) {
    json page = TRY(get(common.server, fmt::format("/api/v1/instances?namespace={}&application={}",
                                                   percent_encoded(text_at(release, "/namespace")),
                                                   percent_encoded(text_at(app, "/name")))));
    for (json& one : page["items"]) out.push_back(std::move(one));
  }
  return out;
}

int watch_release(const Common& common, const json& release, Output output) {
  Heard heard{.release = release, .instances = {}};
  if (output != Output::table || !style_of(STDOUT_FILENO).terminal)
    return print_lines(common, std::move(heard), output);
  const auto instances = instances_beside(common, release);
  if (!instances) return fail(instances.error());
  heard.be_there(*instances);
  return Live(common, std::move(heard)).run();
}

}  // namespace graymesh::cli
