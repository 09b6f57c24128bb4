// Who judges the steps of releases: verdict hooks over HTTP, and analyses.
//
//   POST url  {"release": 12, "namespace": "fe-pre", "tag": "feature-a", "step": 2, "weight": 10}
//
// 200: healthy; 409: unhealthy; anything else, or no answer: not yet. The body says why.
#pragma once

#include <functional>

#include "release/analysis/analysis.h"
#include "release/analysis/hooks.h"
#include "release/engine/engine.h"

namespace graymesh {

class HttpJudge final : public release::Judge {
 public:
  // `heard` is called when a hook has said something, on a thread of its own.
  explicit HttpJudge(std::function<void()> heard);

  Word verdict(const release::Release& release, const model::GrayStep& step) override;
  // Before the engine starts; outlives its last question.
  void hear(const release::Analyst& analyst) { analyst_ = &analyst; }

 private:
  const release::Analyst* analyst_ = nullptr;
  release::Hooks hooks_;
};

}  // namespace graymesh
