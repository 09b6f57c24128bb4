// When lanes were last used, for the release engine: from what proxies told.
#pragma once

#include "control/traffic/traffic.h"
#include "release/engine/engine.h"

namespace graymesh {

class TrafficUsage final : public release::Usage {
 public:
  // `table` outlives it.
  explicit TrafficUsage(traffic::Table& table) : table_(table) {}

  void follow(const release::World& world) override;
  std::optional<Clock::Wall> last(const release::Name& lane) const override;
  Clock::Wall since() const override { return table_.since(); }

 private:
  traffic::Table& table_;
};

}  // namespace graymesh
