#include "control/translate/answers.h"

#include <algorithm>
#include <utility>

#include "control/translate/cluster.h"

namespace graymesh::translate {
namespace {

using snapshot::SeenService;

std::shared_ptr<const Places> within_clusters(const std::vector<SeenService>& services) {
  Places places;
  for (std::size_t i = 0; i < services.size(); ++i) {
    if (is_dns(*services[i].service) || services[i].service->headless) places.push_back(i);
  }
  return std::make_shared<const Places>(std::move(places));
}

bool is_beyond_loopback(const snapshot::EndpointsPtr& endpoints) {
  return endpoints && leaves_loopback(*endpoints);
}

// `before` itself if those of `changes` are where they were.
std::shared_ptr<const Places> beyond_loopback(
    const std::shared_ptr<const Places>& before,
    const std::vector<Pieces<snapshot::EndpointsPtr>::Change>& changes) {
  std::shared_ptr<Places> next;
  for (const auto& [place, endpoints] : changes) {
    const bool beyond = is_beyond_loopback(endpoints);
    const Places& places = next ? *next : *before;
    const auto at = std::ranges::lower_bound(places, place) - places.begin();
    const bool was = static_cast<std::size_t>(at) < places.size() &&
                     places[static_cast<std::size_t>(at)] == place;
    if (beyond == was) continue;
    if (!next) next = std::make_shared<Places>(*before);
    if (beyond)
      next->insert(next->begin() + at, place);
    else
      next->erase(next->begin() + at);
  }
  return next ? next : before;
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
  next->beyond_loopback = beyond_loopback(before->beyond_loopback, changes);
  return next;
}

}  // namespace

AnswerBook::AnswerBook(snapshot::SnapshotPtr snapshot, const AnswerBook& before)
    : snapshot_(std::move(snapshot)) {
  const bool same_declared = snapshot_->same_declared(*before.snapshot_);
  const auto moved =
      same_declared ? snapshot_->moved(*before.snapshot_) : std::vector<snapshot::ServicePtr>();
  const std::lock_guard lock(before.mutex_);
  if (!same_declared) {
    for (const auto& [view, answers] : before.answers_)
      older_beyond_.emplace(answers->view, answers->beyond_loopback);
    return;
  }
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
  made->traits = traits_of(services, snapshot_->mesh());
  std::vector<snapshot::EndpointsPtr> endpoints;
  endpoints.reserve(services.size());
  for (const auto& seen : services) endpoints.push_back(snapshot_->endpoints(*seen.service));
  Places beyond;
  for (std::size_t i = 0; i < endpoints.size(); ++i) {
    if (is_beyond_loopback(endpoints[i])) beyond.push_back(i);
  }
  const auto older = older_beyond_.find(view);
  made->beyond_loopback = older != older_beyond_.end() && *older->second == beyond
                              ? older->second
                              : std::make_shared<const Places>(std::move(beyond));
  made->endpoints = Pieces<snapshot::EndpointsPtr>(std::move(endpoints));
  const std::lock_guard lock(mutex_);
  return answers_.emplace(view.get(), std::move(made)).first->second;
}

}  // namespace graymesh::translate
