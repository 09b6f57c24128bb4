#include "main/judge.h"

#include <fmt/core.h>
#include <httplib.h>

#include <nlohmann/json.hpp>

#include "model/analysis.h"

namespace graymesh {
namespace {

using namespace std::chrono_literals;

// A hook is asked again after this, and has as long to answer.
constexpr auto ask_every = 1s;
constexpr auto answer_within = 5s;
constexpr std::size_t why_bytes_max = 300;

release::Judge::Word ask(const std::string& url, const std::string& body) {
  using Verdict = release::Judge::Verdict;
  const std::size_t path = url.find('/', std::string_view("http://").size());
  httplib::Client client(url.substr(0, path));
  client.set_connection_timeout(answer_within);
  client.set_read_timeout(answer_within);
  const auto answer = client.Post(path == std::string::npos ? "/" : url.substr(path).c_str(), body,
                                  "application/json");
  if (!answer) return {Verdict::not_yet, "no answer: " + httplib::to_string(answer.error())};
  std::string why = answer->body.substr(0, why_bytes_max);
  while (!why.empty() && (why.back() == '\n' || why.back() == '\r')) why.pop_back();
  if (answer->status == 200) return {Verdict::healthy, why};
  if (answer->status == 409) return {Verdict::unhealthy, why};
  if (answer->status == 202) return {Verdict::not_yet, why};
  return {Verdict::not_yet, fmt::format("answered {}: {}", answer->status, why)};
}

}  // namespace

HttpJudge::HttpJudge(std::function<void()> heard)
    : heard_(std::move(heard)), thread_([this] { run(); }) {}

HttpJudge::~HttpJudge() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

release::Judge::Word HttpJudge::verdict(const release::Release& release,
                                        const model::GrayStep& step) {
  if (model::is_analysis(step.verdict))
    return analyst_ == nullptr ? Word{} : analyst_->word(release);
  const std::string key = fmt::format("{}/{}", release.id, release.step);
  std::lock_guard lock(mutex_);
  const auto known = words_.find(key);
  const bool fresh =
      known != words_.end() && std::chrono::steady_clock::now() - known->second.second < ask_every;
  if (!fresh && !asked_.contains(key)) {
    const nlohmann::json body = {{"release", release.id},
                                 {"namespace", release.name.namespace_},
                                 {"tag", release.spec.tag},
                                 {"step", release.step + 1},
                                 {"weight", step.weight}};
    asked_[key] = {step.verdict, body.dump()};
    wake_.notify_one();
  }
  return known == words_.end() ? Word{} : known->second.first;
}

void HttpJudge::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [&] { return stop_ || !asked_.empty(); });
    if (stop_) return;
    const auto [key, question] = *asked_.begin();
    lock.unlock();
    Word word = ask(question.url, question.body);
    lock.lock();
    const auto now = std::chrono::steady_clock::now();
    words_[key] = {std::move(word), now};
    asked_.erase(key);
    std::erase_if(words_, [&](const auto& entry) { return now - entry.second.second > 1h; });
    lock.unlock();
    heard_();
    lock.lock();
  }
}

}  // namespace graymesh
