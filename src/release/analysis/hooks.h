// Verdict hooks: URLs that say whether a step of a release is healthy. They are asked side by side,
// so that one that hangs holds up nobody else's step: of the questions that are on their way at
// once half at most are to hooks that did not answer the last time, or were never asked.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "release/engine/engine.h"

namespace graymesh::release {

class Hooks {
 public:
  struct Answer {
    Judge::Word word = {};
    bool came = false;  // the hook said something
  };
  // Blocks until there is an answer, or none will come. Called on several threads at once.
  using Ask = std::function<Answer(const std::string& url, const std::string& body)>;
  struct Options {
    std::chrono::milliseconds every = std::chrono::seconds(1);  // a hook is asked again
    std::size_t at_once_max = 8;  // threads, each waiting for one hook; they begin when needed
  };

  // `heard` is called when a hook has said something, on a thread of its own.
  Hooks(Ask ask, std::function<void()> heard, const Options& options);
  ~Hooks();  // waits for the questions that are on their way
  Hooks(const Hooks&) = delete;
  Hooks& operator=(const Hooks&) = delete;

  // What the hook of `step` said last; asks again where that is too old.
  Judge::Word word(const Release& release, const model::GrayStep& step);

 private:
  using Steady = std::chrono::steady_clock;
  struct Hook {
    std::string url = {}, body = {};
    Judge::Word word = {};
    Steady::time_point at = {};  // of `word`; asked first who was heard longest ago
    bool answers = false;        // the last question had an answer
    enum class State : std::uint8_t { rests, waits, asked } state = State::rests;
  };

  void work();
  Hook* next();  // null if nobody may be asked now

  const Ask ask_;
  const std::function<void()> heard_;
  const Options options_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::map<std::string, Hook> hooks_;  // by release and step
  std::size_t doubtful_ = 0;           // questions on their way to hooks that may not answer
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace graymesh::release
