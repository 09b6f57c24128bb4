// The objects of the folders and those of the release platform, as one: what the control plane
// serves. Where both have an object of one name, the folder's serves and the other is told.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "control/source/source.h"
#include "control/xds/xds.h"
#include "release/engine/engine.h"

namespace graymesh {

class Overlay final : public release::Mesh {
 public:
  // `changed` takes each new whole, with ascending numbers.
  explicit Overlay(std::function<void(source::ObjectsPtr)> changed)
      : changed_(std::move(changed)) {}

  // The folders as they are now. The first call publishes nothing by itself: the platform's first
  // write() does, so that no proxy ever sees the one without the other.
  void folder(source::ObjectsPtr objects);

  Result<std::uint64_t> write(const std::map<std::string, std::string>& objects) override;
  std::vector<Proxy> proxies() const override;
  Objects virtual_services() const override;

  // From when the server is there until it goes.
  void serve(const xds::Server* server);

 private:
  void publish_locked(std::optional<Clock::Steady> since);

  const std::function<void(source::ObjectsPtr)> changed_;
  mutable std::mutex mutex_;
  source::ObjectsPtr folder_;
  // Of `folder_`, gathered when somebody asks.
  mutable Objects virtual_services_;
  std::map<model::Key, model::ObjectPtr> ours_;
  bool written_ = false;
  std::uint64_t number_ = 0;
  const xds::Server* server_ = nullptr;
};

}  // namespace graymesh
