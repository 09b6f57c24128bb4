#include "control/source/catalog.h"

#include <fmt/core.h>

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>

namespace graymesh::source {
namespace {

model::Problem duplicate_of(const model::Position& first, const Standing& standing) {
  model::Problem problem = problem_of(
      standing.position.file,
      fmt::format("is defined at {}:{} already, and that one serves", first.file, first.line));
  problem.position = standing.position;
  problem.object = model::to_string(standing.key);
  return problem;
}

}  // namespace

Catalog::Catalog() : current_(std::make_shared<const Objects>()) {}

void Catalog::set(const std::string& path, FilePtr file) {
  const auto old = files_.find(path);
  if (old != files_.end()) withdraw(*old->second);
  if (file == nullptr) {
    if (old != files_.end()) files_.erase(old);
    return;
  }
  enter(file);
  files_[path] = std::move(file);
}

void Catalog::note(std::vector<model::Problem> notes) { notes_ = std::move(notes); }

void Catalog::withdraw(const File& file) {
  for (const Standing& standing : file.standings) {
    touched_.insert(standing.key);
    const auto found = claims_.find(standing.key);
    if (found == claims_.end()) continue;  // the second claim of one file on one Key
    std::erase_if(found->second, [&](const Claim& claim) { return claim.file.get() == &file; });
    if (found->second.empty()) claims_.erase(found);
  }
  for (const auto& [kind, count] : file.passed_over) {
    const auto found = passed_over_.find(kind);
    if ((found->second -= count) == 0) passed_over_.erase(found);
  }
  with_nameless_.erase(file.path);
}

void Catalog::enter(const FilePtr& file) {
  const auto order = [](const Claim& claim) {
    return std::tuple(!claim.standing->found, std::string_view(claim.file->path),
                      claim.standing->position.line);
  };
  for (const Standing& standing : file->standings) {
    touched_.insert(standing.key);
    auto& claims = claims_[standing.key];
    const Claim claim{file, &standing};
    const auto at =
        std::upper_bound(claims.begin(), claims.end(), claim,
                         [&](const Claim& a, const Claim& b) { return order(a) < order(b); });
    claims.insert(at, claim);
  }
  for (const auto& [kind, count] : file->passed_over) passed_over_[kind] += count;
  if (!file->nameless.empty()) with_nameless_.insert(file->path);
}

Entry Catalog::resolve(const model::Key& key, const std::vector<Claim>& claims) const {
  const auto good = std::find_if(claims.begin(), claims.end(), [](const Claim& claim) {
    return claim.standing->object != nullptr;
  });
  const Standing& leading = good != claims.end() ? *good->standing : *claims.front().standing;
  Entry entry;
  entry.serving = leading.object;
  entry.position = leading.position;
  entry.text = leading.text;
  if (!entry.serving) {
    // Its text moved to where it never was good; the last good state goes on all the same.
    const auto before = current_->entries.find(key);
    if (before != current_->entries.end()) entry.serving = before->second.serving;
  }
  for (const Claim& claim : claims) {
    const Standing& standing = *claim.standing;
    if (&standing == &leading || standing.found) {
      entry.errors.insert(entry.errors.end(), standing.errors.begin(), standing.errors.end());
    }
    if (&standing != &leading && standing.found && standing.errors.empty()) {
      entry.errors.push_back(duplicate_of(leading.position, standing));
    }
  }
  return entry;
}

// The entry of `key` as it has to be; none if it has to go.
std::optional<Entry> Catalog::entry_of(const model::Key& key) const {
  const auto claims = claims_.find(key);
  if (claims == claims_.end()) return std::nullopt;
  return resolve(key, claims->second);
}

std::vector<model::Problem> Catalog::nameless() const {
  std::vector<model::Problem> problems = notes_;
  for (const std::string& path : with_nameless_) {
    const auto& more = files_.at(path)->nameless;
    problems.insert(problems.end(), more.begin(), more.end());
  }
  return problems;
}

ObjectsPtr Catalog::objects(std::optional<Clock::Steady> since) {
  std::vector<Entries::Change> changes;
  for (const model::Key& key : std::exchange(touched_, {})) {
    const auto old = current_->entries.find(key);
    std::optional<Entry> entry = entry_of(key);
    const bool as_before = old == current_->entries.end() ? !entry : entry && old->second == *entry;
    if (!as_before) changes.emplace_back(key, std::move(entry));
  }
  std::vector<model::Problem> problems = nameless();
  if (changes.empty() && problems == current_->nameless && passed_over_ == current_->passed_over &&
      files_.size() == current_->files) {
    return current_;
  }
  auto next = std::make_shared<Objects>(*current_);
  next->entries.update(std::move(changes));
  ++next->number;
  next->since = since;
  next->nameless = std::move(problems);
  next->passed_over = passed_over_;
  next->files = files_.size();
  current_ = std::move(next);
  return current_;
}

}  // namespace graymesh::source
