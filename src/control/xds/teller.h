// Tells a resource::Witness what happens on one stream, from what its Session has become. Called
// under the stream's lock; does nothing where nobody listens.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "control/resource/witness.h"
#include "control/xds/session.h"

namespace graymesh::xds {

class Teller {
 public:
  Teller(resource::Witness* witness, resource::Witness::StreamId stream)
      : witness_(witness), stream_(stream) {}

  // What is to be remembered of a request before the session takes it.
  struct Heard {
    std::optional<std::string> error{};
    std::string type_url{};
  };
  Heard listen(const RequestHead& request) const;

  void opened(const resource::Node& node, const std::string& peer, bool delta);
  // The session has taken that, or a new Config.
  void heard(const Heard& heard, const Session& session);
  void sent(const Response& response, const Session& session, std::size_t bytes);
  void reached(std::uint64_t snapshot);
  void recap(const Session& session);
  void closed();

 private:
  struct Told {
    std::uint64_t acked = 0, nacked = 0;
    bool returned = false;
  };
  void holds(const Channel& channel);

  resource::Witness* witness_;
  resource::Witness::StreamId stream_;
  bool opened_ = false;
  std::array<Told, resource::type_count> told_{};
};

}  // namespace graymesh::xds
