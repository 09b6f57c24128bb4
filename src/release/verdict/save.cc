// A State as JSON and back; a few hundred bytes a metric.
#include <fmt/core.h>

#include <cmath>
#include <stdexcept>

#include "base/json.h"
#include "release/verdict/verdict.h"

namespace graymesh::verdict {
namespace {

using Json = nlohmann::json;

double number(const Json& json) {
  const double value = json.get<double>();
  if (!std::isfinite(value)) throw std::out_of_range("a number is not finite");
  return value;
}

Json of(const Pair& pair) {
  return {pair.gray.bad, pair.gray.all, pair.baseline.bad, pair.baseline.all};
}
Pair pair(const Json& json) {
  return {{number(json.at(0)), number(json.at(1))}, {number(json.at(2)), number(json.at(3))}};
}

Json of(const Stake& stake) {
  return {{"on", stake.on},
          {"aside", stake.aside},
          {"highest", stake.highest},
          {"strata", stake.strata}};
}
Stake stake(const Json& json) {
  Stake out{{}, number(json.at("aside")), number(json.at("highest")), json.at("strata")};
  for (const Json& on : json.at("on")) out.on.push_back(number(on));
  return out;
}

Json of(const Learned& learned) {
  return {learned.baseline.bad, learned.baseline.all, learned.difference,
          learned.weight,       learned.surprise,     learned.strata};
}
Learned learned(const Json& json) {
  return {{number(json.at(0)), number(json.at(1))},
          number(json.at(2)),
          number(json.at(3)),
          number(json.at(4)),
          number(json.at(5))};
}

// Those that counted something: [[bucket, count], ...].
Json of(const Latencies& latencies) {
  Json out = Json::array();
  for (std::size_t i = 0; i < latencies.size(); ++i) {
    if (latencies[i] != 0) out.push_back({i, latencies[i]});
  }
  return out;
}
Latencies latencies(const Json& json) {
  Latencies out{};
  for (const Json& entry : json) out.at(entry.at(0).get<std::size_t>()) = number(entry.at(1));
  return out;
}

}  // namespace

std::string save(const State& state) {
  Json comparisons = Json::object();
  for (const auto& [name, it] : state.comparisons) {
    comparisons[name] = {{"learned", of(it.learned)}, {"worse", of(it.worse)},
                         {"as_good", of(it.as_good)}, {"pending", of(it.pending)},
                         {"release", of(it.release)}, {"step", of(it.step)},
                         {"slow_ms", it.slow_ms}};
  }
  return Json{{"step", state.step},
              {"seconds", state.seconds},
              {"silent_seconds", state.silent_seconds},
              {"rate", of(state.rate)},
              {"rate_seconds", state.rate_seconds},
              {"baseline_ms", of(state.baseline_ms)},
              {"comparisons", std::move(comparisons)}}
      .dump();
}

Result<State> load(std::string_view text) {
  try {
    const Json json = Json::parse(text);
    State out;
    out.step = json.at("step");
    out.seconds = number(json.at("seconds"));
    out.silent_seconds = number(json.at("silent_seconds"));
    out.rate = pair(json.at("rate"));
    out.rate_seconds = number(json.at("rate_seconds"));
    out.baseline_ms = latencies(json.at("baseline_ms"));
    for (const auto& [name, it] : json.at("comparisons").items())
      out.comparisons[name] = {learned(it.at("learned")), stake(it.at("worse")),
                               stake(it.at("as_good")),   pair(it.at("pending")),
                               pair(it.at("release")),    pair(it.at("step")),
                               number(it.at("slow_ms"))};
    return out;
  } catch (const std::exception& fault) {  // nlohmann's, and number()'s
    return Error{Code::data_loss, fmt::format("evidence of a verdict: {}", fault.what())};
  }
}

}  // namespace graymesh::verdict
