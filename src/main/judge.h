// Verdict hooks: asks a URL whether a step of a release is healthy. What an analysis has found it
// hands on from the Analyst.
//
//   POST url  {"release": 12, "namespace": "fe-pre", "tag": "feature-a", "step": 2, "weight": 10}
//
// 200: healthy; 409: unhealthy; anything else, or no answer: not yet. The body says why.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "release/analysis/analysis.h"
#include "release/engine/engine.h"

namespace graymesh {

class HttpJudge final : public release::Judge {
 public:
  // `heard` is called when a hook has said something, on a thread of its own.
  explicit HttpJudge(std::function<void()> heard);
  ~HttpJudge() override;

  Word verdict(const release::Release& release, const model::GrayStep& step) override;
  // Before the engine starts; outlives its last question.
  void hear(const release::Analyst& analyst) { analyst_ = &analyst; }

 private:
  struct Question {
    std::string url, body;
  };
  void run();

  const std::function<void()> heard_;
  const release::Analyst* analyst_ = nullptr;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::map<std::string, std::pair<Word, std::chrono::steady_clock::time_point>> words_;
  std::map<std::string, Question> asked_;  // by release and step; not answered yet
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace graymesh
