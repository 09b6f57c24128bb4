// How fast one proxy applies what it is sent, learnt from its answers; and so how much one response
// may carry.
//
// A proxy applies a response in one go, on the thread that also answers its /ready. What tells of
// that time is not the ACK of the response itself (Envoy holds that of clusters back while they
// warm), but the first answer to anything that was sent behind or with it: responses are applied
// one after the other.
//
//     sent       CDS 200 ──> EDS 200
//     answered                   EDS 0.16 s    200 clusters and their endpoints took 0.16 s
//
// A chunk that took longer than `hold_max` halves the next ones, until they should take less; two
// in a row that took less than a quarter of it double them again. Sizes are halves of the largest,
// so that streams which were cut alike share their bytes.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <vector>

#include "base/clock.h"
#include "control/resource/resource.h"

namespace graymesh::xds {

class Pace {
 public:
  struct Bounds {
    std::size_t chunk_max = 200;  // resources
    // For how long one chunk may hold a proxy's main thread. A kubelet's probe waits 1 s by
    // default, and may come at any time: a quarter of it.
    std::chrono::milliseconds hold_max{250};
  };
  explicit Pace(const Bounds& bounds);

  // `number` grows from one response to the next.
  void sent(std::uint64_t number, resource::Type type, std::size_t resources, Clock::Steady now);
  // It has left us only now.
  void written(std::uint64_t number, Clock::Steady now);
  struct Answer {
    Clock::Steady at{};
    std::chrono::nanoseconds distance{};  // of it, the network's way there and back
    bool telling = true;  // false while we push to so many that the time tells of us
  };
  void answered(std::uint64_t number, const Answer& answer);

  std::size_t chunk(resource::Type type) const { return of(type).chunk; }
  // Learnt: of one resource, of clusters with their endpoints. Zero: nothing yet.
  std::chrono::nanoseconds each(resource::Type type) const { return of(type).each; }

 private:
  struct Sent {
    std::uint64_t number;
    resource::Type type;
    std::size_t resources;
    Clock::Steady at;
  };
  struct OfType {
    std::size_t chunk = 0;
    std::chrono::nanoseconds each{};
    int fast_in_row = 0;
  };
  const OfType& of(resource::Type type) const { return of_[static_cast<std::size_t>(type)]; }
  void learn(OfType& type, std::size_t resources, std::chrono::nanoseconds took) const;

  Bounds bounds_;
  std::vector<Sent> unproved_;  // in the order of sending: what is in flight, and no more
  Clock::Steady free_at_{};     // it had applied all before
  std::array<OfType, resource::type_count> of_{};
};

}  // namespace graymesh::xds
