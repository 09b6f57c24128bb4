#include "release/verdict/answers.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <stdexcept>

#include "base/json.h"

namespace graymesh::verdict {
namespace {

using Json = nlohmann::json;

// None: it is none that can be counted with.
std::optional<double> number_of(const std::string& text) {
  double number = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (fault != std::errc() || end != text.data() + text.size()) {
    if (text == "NaN" || text == "+Inf" || text == "-Inf") return std::nullopt;
    throw std::invalid_argument(fmt::format("value {} is no number", text));
  }
  return std::isfinite(number) ? std::optional(number) : std::nullopt;
}

// Of ["time", "value"].
std::optional<double> value_of(const Json& sample) {
  return number_of(sample.at(1).get_ref<const std::string&>());
}

// What it found; an error in its words.
Result<Json> data_of(std::string_view json) {
  Json answer = Json::parse(json);
  if (answer.at("status") != "success")
    return Error{Code::invalid_argument,
                 fmt::format("Prometheus: {}", answer.value("error", "no success"))};
  return std::move(answer.at("data"));
}

// +Inf, the last bound, is infinite.
double bound_of(const std::string& text) {
  if (text == "+Inf") return std::numeric_limits<double>::infinity();
  const auto bound = number_of(text);
  if (!bound) throw std::invalid_argument(fmt::format("le {} is no bound", text));
  return *bound;
}

}  // namespace

Result<std::optional<double>> read_prometheus(std::string_view json) {
  try {
    const Json data = TRY(data_of(json));
    const std::string type = data.at("resultType");
    const Json& result = data.at("result");
    if (type == "scalar") return value_of(result);
    if (type != "vector")
      return Error{Code::invalid_argument,
                   fmt::format("Prometheus: a result of type {}, must be vector or scalar", type)};
    if (result.empty()) return std::optional<double>();
    if (result.size() > 1)
      return Error{Code::invalid_argument,
                   fmt::format("Prometheus: {} series, must be one: sum them", result.size())};
    return value_of(result.at(0).at("value"));
  } catch (const std::exception& fault) {  // nlohmann's, and those above
    return Error{Code::invalid_argument, fmt::format("Prometheus: {}", fault.what())};
  }
}

Result<std::optional<Latencies>> read_prometheus_latencies(std::string_view json) {
  try {
    const Json data = TRY(data_of(json));
    std::map<double, double> below;  // by upper bound
    for (const Json& series : data.at("result")) {
      const double bound = bound_of(series.at("metric").at("le").get_ref<const std::string&>());
      const auto count = value_of(series.at("value"));
      if (!count || *count < 0) return std::optional<Latencies>();
      if (!below.emplace(bound, *count).second)
        return Error{Code::invalid_argument, "Prometheus: several series of one le: sum them"};
    }
    if (below.empty()) return std::optional<Latencies>();
    Latencies out{};
    double before = 0, low = 0;
    for (const auto& [bound, count] : below) {
      // An increase is reckoned for each bound by itself.
      add(out, low, bound, std::max(0.0, count - before));
      before = std::max(before, count);
      low = bound;
    }
    return std::optional(out);
  } catch (const std::exception& fault) {  // nlohmann's, and those above
    return Error{Code::invalid_argument, fmt::format("Prometheus: {}", fault.what())};
  }
}

}  // namespace graymesh::verdict
