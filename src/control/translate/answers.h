// Inside the room: who answers for the services of each View. Worked out once for a View; after the
// next Snapshot again only for the services whose endpoints moved.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "base/pieces.h"
#include "control/snapshot/snapshot.h"
#include "control/translate/scopes.h"

namespace graymesh::translate {

using Places = std::vector<std::size_t>;  // ascending

// Equal addresses mean that nothing in it changed.
struct Answers {
  std::shared_ptr<const void> view;                              // keeps `services`
  const std::vector<snapshot::SeenService>* services = nullptr;  // of the view
  Pieces<snapshot::EndpointsPtr> endpoints;                      // of those, in their order
  // Places of those whose endpoints are part of their clusters: not by EDS.
  std::shared_ptr<const Places> within_clusters;
  // Places of those that leave loopback: for proxies on loopback, they have other clusters.
  std::shared_ptr<const Places> beyond_loopback;
  ViewTraits traits;
};
using AnswersPtr = std::shared_ptr<const Answers>;

// Of the Views of one Snapshot. Any thread.
class AnswerBook {
 public:
  explicit AnswerBook(snapshot::SnapshotPtr snapshot) : snapshot_(std::move(snapshot)) {}
  // Takes over what is still so.
  AnswerBook(snapshot::SnapshotPtr snapshot, const AnswerBook& before);

  // Of a sidecar's View, or a gateway's.
  template <typename View>
  AnswersPtr of(const std::shared_ptr<const View>& view) {
    return find(view, view->services);
  }

 private:
  AnswersPtr find(const std::shared_ptr<const void>& view,
                  const std::vector<snapshot::SeenService>& services);

  const snapshot::SnapshotPtr snapshot_;
  mutable std::mutex mutex_;
  std::map<const void*, AnswersPtr> answers_;  // by the View's address
  // Of Views before, which may be seen again though not all that is declared is the same.
  std::map<std::shared_ptr<const void>, std::shared_ptr<const Places>> older_beyond_;
};

}  // namespace graymesh::translate
