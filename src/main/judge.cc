#include "main/judge.h"

#include <fmt/core.h>
#include <httplib.h>

#include "model/analysis.h"

namespace graymesh {
namespace {

using namespace std::chrono_literals;

constexpr auto answer_within = 5s;
constexpr std::size_t why_bytes_max = 300;

release::Judge::Word word_of(int status, std::string why) {
  using Verdict = release::Judge::Verdict;
  why.resize(std::min(why.size(), why_bytes_max));
  while (!why.empty() && (why.back() == '\n' || why.back() == '\r')) why.pop_back();
  if (status == 200) return {Verdict::healthy, why};
  if (status == 409) return {Verdict::unhealthy, why};
  if (status == 202) return {Verdict::not_yet, why};
  return {Verdict::not_yet, fmt::format("answered {}: {}", status, why)};
}

release::Hooks::Answer ask(const std::string& url, const std::string& body) {
  const std::size_t path = url.find('/', std::string_view("http://").size());
  httplib::Client client(url.substr(0, path));
  client.set_connection_timeout(answer_within);
  client.set_read_timeout(answer_within);
  const auto answer = client.Post(path == std::string::npos ? "/" : url.substr(path).c_str(), body,
                                  "application/json");
  if (!answer)
    return {.word = {release::Judge::Verdict::not_yet,
                     "no answer: " + httplib::to_string(answer.error())},
            .came = false};
  return {.word = word_of(answer->status, answer->body), .came = true};
}

}  // namespace

HttpJudge::HttpJudge(std::function<void()> heard) : hooks_(ask, std::move(heard), {}) {}

release::Judge::Word HttpJudge::verdict(const release::Release& release,
                                        const model::GrayStep& step) {
  if (model::is_analysis(step.verdict))
    return analyst_ == nullptr ? Word{} : analyst_->word(release);
  return hooks_.word(release, step);
}

}  // namespace graymesh
