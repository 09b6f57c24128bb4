// Requests that may be sent twice: a reply is kept by the Idempotency-Key of its request, and the
// second one gets it again instead of another act. A key belongs to one request: method, path, who
// and body.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <variant>

#include "api/answers.h"
#include "api/routes.h"
#include "release/engine/engine.h"
#include "release/store/store.h"

namespace graymesh::api {

// What came of an act. A reply of a release is answered as the release is by then, not as it was.
struct Done {
  nlohmann::json body = {};
  std::string etag = {};
  std::uint64_t release = 0;
  bool replayed = false;
};
using Outcome = std::variant<Done, Refusal>;

class Replies {
 public:
  explicit Replies(release::Store& store) : store_(store) {}

  // Without a key: just `act()`. Two requests with one key at once: the second waits for the first.
  // Refusals are not kept: the same request may succeed later.
  // `act` hands what it is given to the engine, which keeps that it was done with what it did.
  Outcome once(const Call& call, const std::function<Outcome(const release::Once&)>& act);

 private:
  Outcome act_or_replay(const Call& call, const std::string& key,
                        const std::function<Outcome(const release::Once&)>& act);

  release::Store& store_;
  std::mutex mutex_;
  std::condition_variable free_;
  std::set<std::string> in_hand_;
};

}  // namespace graymesh::api
