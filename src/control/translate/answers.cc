#include "control/translate/answers.h"

#include <algorithm>
#include <utility>

#include "control/translate/cluster.h"

namespace graymesh::translate {
namespace {

using snapshot::SeenService;

std::shared_ptr<const std::vector<std::size_t>> within_clusters(
    const std::vector<SeenService>& services) {
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < services.size(); ++i) {
    if (is_dns(*services[i].service) || services[i].service->headless) places.push_back(i);
  }
  return std::make_shared<const std::vector<std::size_t>>(std::move(places));
}

// `before` itself if none of `moved` is seen.
AnswersPtr moved_on(const AnswersPtr& before, const std::vector<snapshot::ServicePtr>& moved,
                    const snapshot::Snapshot& snapshot) {
  std::vector<Pieces<snapshot::EndpointsPtr>::Change> changes;
  for (const auto& service : moved) {
    const auto at = std::ranges::lower_bound(
        *before->services, service->host, {},
        [](const SeenService& seen) -> const std::string& { return seen.service->host; });
    if (at == before->services->end() || at->service->host != service->host ||
        at->service->namespace_ != service->namespace_)
      continue;
    changes.emplace_back(static_cast<std::size_t>(at - before->services->begin()),
                         snapshot.endpoints(*at->service));
  }
  if (changes.empty()) return before;
  auto next = std::make_shared<Answers>(*before);
  next->endpoints = before->endpoints.with(changes);
  return next;
}

}  // namespace

AnswerBook::AnswerBook(snapshot::SnapshotPtr snapshot, const AnswerBook& before)
    : snapshot_(std::move(snapshot)) {
  if (!snapshot_->same_declared(*before.snapshot_)) return;
  const auto moved = snapshot_->moved(*before.snapshot_);
  const std::lock_guard lock(before.mutex_);
  traits_ = before.traits_;
  for (const auto& [view, answers] : before.answers_)
    answers_.emplace(view, moved_on(answers, moved, *snapshot_));
}

AnswersPtr AnswerBook::find(const std::shared_ptr<const void>& view,
                            const std::vector<SeenService>& services) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto at = answers_.find(view.get()); at != answers_.end()) return at->second;
  }
  auto made = std::make_shared<Answers>();
  made->view = view;
  made->services = &services;
  made->within_clusters = within_clusters(services);
  std::vector<snapshot::EndpointsPtr> endpoints;
  endpoints.reserve(services.size());
  for (const auto& seen : services) endpoints.push_back(snapshot_->endpoints(*seen.service));
  made->endpoints = Pieces<snapshot::EndpointsPtr>(std::move(endpoints));
  const std::lock_guard lock(mutex_);
  return answers_.emplace(view.get(), std::move(made)).first->second;
}

ViewTraits AnswerBook::traits(const snapshot::ViewPtr& view) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto it = traits_.find(view); it != traits_.end()) return it->second;
  }
  const ViewTraits found = traits_of(*view, snapshot_->mesh());
  const std::lock_guard lock(mutex_);
  return traits_.emplace(view, found).first->second;
}

}  // namespace graymesh::translate
