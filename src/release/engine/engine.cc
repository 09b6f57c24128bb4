#include "release/engine/engine.h"

#include <algorithm>
#include <charconv>

#include "release/engine/core.h"

namespace graymesh::release {

Engine::Engine(std::unique_ptr<Core> core) : core_(std::move(core)) {}

Engine::~Engine() { stop(); }

Result<std::unique_ptr<Engine>> Engine::open(const Parts& parts) {
  auto core = std::make_unique<Core>(parts);
  TRY(core->load());
  return std::unique_ptr<Engine>(new Engine(std::move(core)));
}

void Engine::declare(const std::vector<model::ObjectPtr>& objects) {
  {
    std::lock_guard lock(core_->mutex);
    core_->declare(objects);
    core_->publish();
  }
  poke();
}

std::vector<model::Problem> Engine::problems() const {
  std::lock_guard lock(core_->mutex);
  return core_->problems;
}

// One after the other, each with its `once`, which is nobody's afterwards, however it ended.
template <typename Do>
auto Engine::command(const Once& once, Do act) {
  struct Taken {
    Core& core;
    ~Taken() { core.once = {}; }
  };
  auto done = [&] {
    std::lock_guard lock(core_->mutex);
    const Taken taken{*core_};
    core_->once = once;
    auto result = act(*core_);
    core_->publish();
    return result;
  }();
  poke();
  return done;
}

Result<std::uint64_t> Engine::apply(const Actor& who, const model::ObjectPtr& object,
                                    const std::string& reason, const Once& once) {
  return command(once, [&](Core& core) { return core.apply(who, object, reason, false); });
}

Status Engine::remove(const Actor& who, const model::Key& key, const std::string& reason,
                      const Once& once) {
  return command(once, [&](Core& core) { return core.remove(who, key, reason, false); });
}

Status Engine::act(const Actor& who, std::uint64_t release, Verb verb, const std::string& reason,
                   const Once& once, const Only& only) {
  return command(once, [&](Core& core) -> Status {
    TRY(core.holds(release, only));
    return core.act(who, release, verb, reason);
  });
}

Result<std::uint64_t> Engine::promote_to(const Actor& who, std::uint64_t release,
                                         const model::ObjectPtr& object, const std::string& reason,
                                         const Once& once, const Only& only) {
  return command(once, [&](Core& core) -> Result<std::uint64_t> {
    TRY(core.holds(release, only));
    return core.promote_to(who, release, object, reason);
  });
}

Result<std::vector<std::string>> Engine::plan(const model::ObjectPtr& release) const {
  std::lock_guard lock(core_->mutex);
  World next = *core_->view->world;
  const auto planned = core_->planned(*core_->view->world, {"plan", ""}, release, nullptr, next);
  if (planned) return std::vector<std::string>();
  if (planned.error().code != Code::failed_precondition) return planned.error();
  std::vector<std::string> lines(1);
  for (const char c : planned.error().message) {
    if (c == '\n')
      lines.emplace_back();
    else
      lines.back().push_back(c);
  }
  return lines;
}

ViewPtr Engine::view() const {
  std::lock_guard lock(core_->mutex);
  return core_->view;
}

ViewPtr Engine::wait(std::uint64_t after, std::chrono::milliseconds patience) const {
  std::unique_lock lock(core_->mutex);
  core_->changed.wait_for(lock, patience, [&] { return core_->view->change > after; });
  return core_->view;
}

const Release* Engine::find(const World& world, const std::string& namespace_,
                            const std::string& words) {
  std::uint64_t id = 0;
  const auto [end, fault] = std::from_chars(words.data(), words.data() + words.size(), id);
  if (fault == std::errc() && end == words.data() + words.size()) {
    const auto found = world.releases.find(id);
    return found == world.releases.end() ? nullptr : &found->second;
  }
  const auto slash = words.find('/');
  if (slash == std::string::npos) return nullptr;
  const std::string application = words.substr(0, slash), tag = words.substr(slash + 1);
  for (auto it = world.releases.rbegin(); it != world.releases.rend(); ++it) {
    const Release& release = it->second;
    if (release.name.namespace_ == namespace_ && release.spec.tag == tag &&
        release.member(application) != nullptr)
      return &release;
  }
  return nullptr;
}

std::optional<Clock::Wall> Engine::step() {
  std::lock_guard lock(core_->mutex);
  return core_->step();
}

void Engine::start() {
  thread_ = std::thread([this] {
    std::optional<Clock::Wall> next;
    for (;;) {
      {
        std::unique_lock lock(mutex_);
        const auto woken = [&] { return stop_ || poked_; };
        // A second at most, so that a clock that jumps is noticed.
        auto patience = std::chrono::milliseconds(1000);
        if (next) {
          const auto left = std::chrono::ceil<std::chrono::milliseconds>(
              *next - std::chrono::system_clock::now());
          patience = std::clamp(left, std::chrono::milliseconds(1), patience);
        }
        wake_.wait_for(lock, patience, woken);
        if (stop_) return;
        poked_ = false;
      }
      const auto begun = std::chrono::steady_clock::now();
      next = step();
      // A thousand proxies reach a revision one by one, and each pokes: half of a core at most is
      // for looking at all of them.
      const auto took = std::chrono::steady_clock::now() - begun;
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, std::min<std::chrono::nanoseconds>(took, std::chrono::milliseconds(20)),
                     [&] { return stop_; });
    }
  });
}

void Engine::poke() {
  {
    std::lock_guard lock(mutex_);
    poked_ = true;
  }
  wake_.notify_one();
}

void Engine::stop() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

}  // namespace graymesh::release
