#include "main/judge.h"

#include <fmt/core.h>
#include <httplib.h>

#include <algorithm>
#include <chrono>

namespace graymesh {
namespace {

using namespace std::chrono_literals;

constexpr auto answer_within = 5s;
constexpr std::size_t why_bytes_max = 300;

release::Judge::Word word_of(int status, std::string why) {
  using Verdict = release::Judge::Verdict;
  while (!why.empty() && (why.back() == '\n' || why.back() == '\r')) why.pop_back();
  if (status == 200) return {Verdict::healthy, why};
  if (status == 409) return {Verdict::unhealthy, why};
  if (status == 202) return {Verdict::not_yet, why};
  return {Verdict::not_yet, fmt::format("answered {}: {}", status, why)};
}

// Of what a hook says no more is read than is kept, and not for longer than it has to answer.
release::Hooks::Answer ask(const std::string& url, const std::string& body) {
  const std::size_t path = url.find('/', std::string_view("http://").size());
  httplib::Client client(url.substr(0, path));
  client.set_connection_timeout(answer_within);
  client.set_read_timeout(answer_within);
  httplib::Request request;
  request.method = "POST";
  request.path = path == std::string::npos ? "/" : url.substr(path);
  request.set_header("Content-Type", "application/json");
  request.body = body;
  int status = 0;
  request.response_handler = [&](const httplib::Response& response) {
    status = response.status;
    return true;
  };
  std::string why;
  bool enough = false;
  const auto end = std::chrono::steady_clock::now() + answer_within;
  request.content_receiver = [&](const char* bytes, std::size_t size, std::uint64_t,
                                 std::uint64_t) {
    why.append(bytes, std::min(size, why_bytes_max - why.size()));
    enough = why.size() == why_bytes_max || std::chrono::steady_clock::now() >= end;
    return !enough;
  };
  const auto answer = client.send(request);
  if (!answer && !enough)
    return {.word = {release::Judge::Verdict::not_yet,
                     "no answer: " + httplib::to_string(answer.error())},
            .came = false};
  return {.word = word_of(answer ? answer->status : status, std::move(why)), .came = true};
}

}  // namespace

HttpJudge::HttpJudge(std::function<void()> heard) : hooks_(ask, std::move(heard), {}) {}

release::Judge::Word HttpJudge::verdict(const release::Release& release,
                                        const model::GrayStep& step) {
  if (step.analysis) return analyst_ == nullptr ? Word{} : analyst_->word(release);
  return hooks_.word(release, step);
}

}  // namespace graymesh
