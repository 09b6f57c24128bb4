#include "control/xds/teller.h"

namespace graymesh::xds {

using resource::Type;

Teller::Heard Teller::listen(const RequestHead& request) const {
  if (!witness_) return {};
  return {request.error, request.type_url};
}

void Teller::opened(const resource::Node& node, const std::string& peer, bool delta) {
  opened_ = true;
  if (witness_) witness_->opened(stream_, node, peer, delta);
}

void Teller::heard(const Heard& heard, const Session& session) {
  if (!witness_ || !opened_) return;
  for (const Type type : resource::all_types) {
    const Channel& channel = session.channel(type);
    Told& told = told_[static_cast<std::size_t>(type)];
    const auto& counts = channel.counts();
    const bool refused = counts.nacked != told.nacked;
    const bool asks = heard.type_url == type_url(type);
    const bool returned = channel.returned() && !told.returned;
    if (counts.acked != told.acked) witness_->acked(stream_, type);
    if (refused) witness_->refused(stream_, type, heard.error.value_or(""));
    if (asks && !channel.dropped().empty()) witness_->dropped(stream_, type, channel.dropped());
    told = {counts.acked, counts.nacked, channel.returned()};
    if (returned || refused || (asks && channel.shrank())) holds(channel);
  }
}

void Teller::sent(const Response& response, const Session& session, std::size_t bytes) {
  if (!witness_) return;
  for (const Type type : resource::all_types) {
    const auto& flight = session.channel(type).flight();
    if (type_url(type) != response.type_url || !flight) continue;
    std::vector<resource::Delivery::Change> changes;
    changes.reserve(flight->sent.size());
    for (const Sent& sent : flight->sent) {
      changes.push_back(
          {sent.hash, sent.before.resource ? &sent.before.resource : nullptr, sent.now});
    }
    witness_->sent(stream_, {type, changes, bytes});
  }
}

void Teller::reached(std::uint64_t snapshot) {
  if (witness_) witness_->reached(stream_, snapshot);
}

void Teller::recap(const Session& session) {
  if (!witness_ || !opened_) return;
  for (const Type type : resource::all_types) {
    if (session.channel(type).heard()) holds(session.channel(type));
  }
}

void Teller::closed() {
  if (witness_ && opened_) witness_->closed(stream_);
}

void Teller::holds(const Channel& channel) { witness_->holds(stream_, channel.possession()); }

}  // namespace graymesh::xds
