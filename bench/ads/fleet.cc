#include "bench/ads/fleet.h"

#include "bench/ads/worker.h"

namespace graymesh::ads {

Fleet::Fleet(const FleetOptions& options, const std::vector<Node>& nodes) {
  for (std::size_t i = 0; i < options.threads; ++i) {
    std::vector<const Node*> share;
    for (std::size_t at = i; at < nodes.size(); at += options.threads) share.push_back(&nodes[at]);
    workers_.push_back(std::make_unique<Worker>(options, std::move(share), options.seed + i));
  }
}

Fleet::~Fleet() = default;

Figures Fleet::figures() {
  Figures sum;
  for (auto& worker : workers_) worker->run([&](Worker& it) { it.add_to(sum); });
  return sum;
}

void Fleet::reset() {
  for (auto& worker : workers_) worker->run([](Worker& it) { it.reset(); });
}

void Fleet::watch(std::uint32_t first, std::uint32_t targets) {
  for (auto& worker : workers_) worker->run([&](Worker& it) { it.watch.begin(first, targets); });
}

std::vector<std::int64_t> Fleet::times(Mark kind, std::uint32_t number) {
  std::vector<std::int64_t> all;
  for (auto& worker : workers_) {
    worker->run([&](Worker& it) {
      const auto& of_kind = it.watch.times[static_cast<std::size_t>(kind)];
      if (const auto found = of_kind.find(number); found != of_kind.end())
        all.insert(all.end(), found->second.begin(), found->second.end());
    });
  }
  return all;
}

void Fleet::drop(std::size_t count, bool forget) {
  for (std::size_t i = 0; i < count; ++i)
    workers_[i % workers_.size()]->run([&](Worker& it) { it.drop(forget); });
}

void Fleet::read(std::size_t count, Reading reading) {
  if (count == 0) {
    for (auto& worker : workers_) worker->run([&](Worker& it) { it.read_all(reading); });
  }
  for (std::size_t i = 0; i < count; ++i)
    workers_[i % workers_.size()]->run([&](Worker& it) { it.read(reading); });
}

std::string Fleet::counts_of_each() {
  std::string out;
  for (auto& worker : workers_) worker->run([&](Worker& it) { it.counts_of_each(out); });
  return "{" + out + "}";
}

}  // namespace graymesh::ads
