// /api/v1/live: who calls whom now, how often, how well, how fast; and requests as they come.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>

#include "api/routes.h"
#include "control/gather/gather.h"
#include "live/live.h"

namespace graymesh::api {

class Live {
 public:
  Live(LiveParts parts, const Clock& clock) : parts_(parts), clock_(clock) {}

  // `self` null: the same paths, for routes that answer something else instead.
  static void add_to(Routes& routes, Live* self);

  // Who taps, is told nothing from now on.
  void stop() { stopping_ = true; }

 private:
  using Page = nlohmann::json (*)(const live::Window&, const live::Wanted&);
  void show(const Call& call, Page page);
  Result<live::Window> window(const Call& call);

  // live_tap.cc
  struct Stream;
  void tap(const Call& call);
  void renew(Stream& stream);
  static nlohmann::json share_json(const Stream& stream);
  std::uint32_t share_of(const gather::TapWanted& wanted);

  const LiveParts parts_;
  const Clock& clock_;
  std::atomic<bool> stopping_{false};
};

}  // namespace graymesh::api
