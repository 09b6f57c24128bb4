#include "release/analysis/hooks.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "base/json.h"

namespace graymesh::release {
namespace {

// What was said of a step that nobody has asked for since is forgotten.
constexpr std::chrono::hours kept{1};

}  // namespace

Hooks::Hooks(Ask ask, std::function<void()> heard, const Options& options)
    : ask_(std::move(ask)), heard_(std::move(heard)), options_(options) {}

Hooks::~Hooks() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  for (auto& thread : threads_) thread.join();
}

Judge::Word Hooks::word(const Release& release, const model::GrayStep& step) {
  std::lock_guard lock(mutex_);
  Hook& hook = hooks_[fmt::format("{}/{}", release.id, release.step)];
  const bool fresh = hook.at != Steady::time_point() && Steady::now() - hook.at < options_.every;
  if (fresh || hook.state != Hook::State::rests) return hook.word;
  hook.url = step.hook;
  hook.body = nlohmann::json{{"release", release.id},
                             {"namespace", release.name.namespace_},
                             {"tag", release.spec.tag},
                             {"step", release.step + 1},
                             {"weight", step.weight}}
                  .dump();
  hook.state = Hook::State::waits;
  const auto busy = std::ranges::count_if(
      hooks_, [](const auto& entry) { return entry.second.state != Hook::State::rests; });
  if (threads_.size() < std::min(options_.at_once_max, static_cast<std::size_t>(busy)))
    threads_.emplace_back([this] { work(); });
  wake_.notify_one();
  return hook.word;
}

Hooks::Hook* Hooks::next() {
  const bool crowded = doubtful_ >= std::max<std::size_t>(1, options_.at_once_max / 2);
  Hook* out = nullptr;
  for (auto& [key, hook] : hooks_) {
    if (hook.state != Hook::State::waits || (crowded && !hook.answers)) continue;
    if (out == nullptr || hook.at < out->at) out = &hook;
  }
  return out;
}

void Hooks::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    Hook* hook = nullptr;
    wake_.wait(lock, [&] { return stop_ || (hook = next()) != nullptr; });
    if (stop_) return;
    hook->state = Hook::State::asked;  // so nobody erases or changes it
    const bool doubtful = !hook->answers;
    doubtful_ += doubtful ? 1 : 0;
    lock.unlock();
    Answer answer = ask_(hook->url, hook->body);
    lock.lock();
    doubtful_ -= doubtful ? 1 : 0;
    hook->word = std::move(answer.word);
    hook->answers = answer.came;
    hook->at = Steady::now();
    hook->state = Hook::State::rests;
    std::erase_if(hooks_, [now = hook->at](const auto& entry) {
      return entry.second.state == Hook::State::rests && now - entry.second.at > kept;
    });
    lock.unlock();
    heard_();
    lock.lock();
  }
}

}  // namespace graymesh::release
