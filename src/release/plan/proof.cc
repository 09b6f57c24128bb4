// What is proved in one environment, so that it may go on to another as the same artefact: equal
// runs, whoever asks and whatever the tag is called there.
#include <fmt/core.h>

#include <algorithm>

#include "release/plan/plan.h"

namespace graymesh::release {
namespace {

// The receipts of the way to gray.
std::vector<std::string> proofs(const Release& release) {
  std::vector<std::string> keys = {"subset", "routes"};
  for (std::size_t step = 1; step <= release.spec.steps.size(); ++step)
    keys.push_back(fmt::format("step-{}", step));
  return keys;
}

}  // namespace

bool goes_on(const Release& release) {
  const std::string& to = release.spec.promote_to;
  return release.phase == Phase::promoted && !to.empty() && !release.stays &&
         std::ranges::none_of(release.promoted_to,
                              [&](const Passage& passage) { return passage.namespace_ == to; });
}

std::string unproven(const Release& release) {
  if (release.phase == Phase::promoted) return {};
  if (release.phase != Phase::gray && !promoting(release.phase))
    return fmt::format("it is {}, must be gray or promoted", name_of(release.phase));
  if (release.phase != Phase::gray) return {};  // it has been, and nobody took it back
  for (const std::string& key : proofs(release)) {
    const auto receipt = release.receipts.find(key);
    if (receipt == release.receipts.end()) {
      // A promotion asked for before the last step passes over the steps.
      return fmt::format("it has no receipt of {}", key);
    }
    if (!receipt->second.missing.empty())
      return fmt::format("{} of {} proxies are missing in its receipt of {}",
                         receipt->second.missing.size(), receipt->second.proxies, key);
  }
  return {};
}

const Release* proof(const World& world, const std::string& namespace_,
                     const std::string& application, const model::Run& run) {
  for (auto it = world.releases.rbegin(); it != world.releases.rend(); ++it) {
    const Release& release = it->second;
    if (release.name.namespace_ != namespace_) continue;
    const Member* member = release.member(application);
    if (member != nullptr && member->gray.run == run && unproven(release).empty()) return &release;
  }
  return nullptr;
}

std::string not_from(const World& world, const std::string& namespace_,
                     const std::string& application, const model::Run& run) {
  std::string rules;
  for (const auto& [from, environment] : world.environments) {
    if (environment.spec().promote_to != namespace_) continue;
    if (proof(world, from, application, run) != nullptr) return {};
    rules += fmt::format("{}Environment {}/{}", rules.empty() ? "" : ", ", from,
                         environment.object->meta.key.name);
  }
  if (rules.empty()) return {};
  return fmt::format(
      "{}: promoteTo is {}, which takes only what is proven there, and {}'s artefact (version {}, "
      "run {:016x}) is not: it must be what a release there runs that is gray with all its "
      "receipts, or promoted",
      rules, namespace_, application, run.version.empty() ? "none" : run.version, run_hash(run));
}

}  // namespace graymesh::release
