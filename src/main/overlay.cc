#include "main/overlay.h"

#include <fmt/core.h>

#include <utility>

namespace graymesh {
namespace {

constexpr const char* file = "release platform";

}  // namespace

void Overlay::folder(source::ObjectsPtr objects) {
  std::lock_guard lock(mutex_);
  folder_ = std::move(objects);
  virtual_services_.reset();
  if (written_) publish_locked(folder_->since);
}

Result<std::uint64_t> Overlay::write(const std::map<std::string, std::string>& objects) {
  std::lock_guard lock(mutex_);
  std::map<std::string, model::ObjectPtr> known;  // unchanged texts keep their object
  for (const auto& [key, object] : ours_) known[model::to_string(key)] = object;
  std::map<model::Key, model::ObjectPtr> ours;
  for (const auto& [name, text] : objects) {
    const auto found = known.find(name);
    if (found != known.end() && found->second->text == text) {
      ours[found->second->meta.key] = found->second;
      continue;
    }
    auto documents = model::read(text, file);
    if (documents.size() != 1 || !documents.front().object)
      return Error{Code::internal,
                   fmt::format("{}: {}", name,
                               documents.empty() || documents.front().errors.empty()
                                   ? "is no object"
                                   : model::to_string(documents.front().errors.front()))};
    ours[documents.front().object->meta.key] = documents.front().object;
  }
  if (written_ && ours == ours_) return number_;
  ours_ = std::move(ours);
  written_ = true;
  publish_locked(std::nullopt);
  return number_;
}

void Overlay::publish_locked(std::optional<Clock::Steady> since) {
  auto whole = std::make_shared<source::Objects>();
  if (folder_) *whole = *folder_;
  whole->number = ++number_;
  whole->since = since;
  std::vector<source::Entries::Change> changes;
  for (const auto& [key, object] : ours_) {
    const auto there = whole->entries.find(key);
    if (there != whole->entries.end()) {
      whole->nameless.push_back(
          {.severity = model::Problem::Severity::error,
           .position = there->second.position,
           .object = model::to_string(key),
           .field = {},
           .value = {},
           .rule = "is also one of the release platform's, which is not served: rename this"});
      continue;
    }
    changes.emplace_back(
        key, source::Entry{
                 .serving = object, .errors = {}, .position = object->meta.position, .text = {}});
  }
  whole->entries.update(std::move(changes));
  changed_(std::move(whole));
}

std::vector<release::Mesh::Proxy> Overlay::proxies() const {
  std::lock_guard lock(mutex_);
  std::vector<Proxy> out;
  if (server_ == nullptr) return out;
  for (auto& reach : server_->reached())
    out.push_back({.id = std::move(reach.node_id),
                   .address = std::move(reach.address),
                   .reached = reach.snapshot,
                   .at = reach.at,
                   .refuses = reach.refuses,
                   .tells = reach.takes_lane_log});
  return out;
}

release::Mesh::Objects Overlay::virtual_services() const {
  std::lock_guard lock(mutex_);
  if (virtual_services_) return virtual_services_;
  std::vector<model::ObjectPtr> found;
  if (folder_) {
    for (const auto& [key, entry] : folder_->entries) {
      if (entry.serving && key.kind == model::Kind::virtual_service) found.push_back(entry.serving);
    }
  }
  virtual_services_ = std::make_shared<const std::vector<model::ObjectPtr>>(std::move(found));
  return virtual_services_;
}

void Overlay::serve(const xds::Server* server) {
  std::lock_guard lock(mutex_);
  server_ = server;
}

}  // namespace graymesh
