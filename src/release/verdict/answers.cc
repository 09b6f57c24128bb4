#include "release/verdict/answers.h"

#include <fmt/core.h>

#include <charconv>
#include <cmath>
#include <stdexcept>

#include "base/json.h"

namespace graymesh::verdict {
namespace {

using Json = nlohmann::json;

}  // namespace

Result<std::optional<double>> read_prometheus(std::string_view json) {
  try {
    const Json answer = Json::parse(json);
    if (answer.at("status") != "success")
      return Error{Code::invalid_argument,
                   fmt::format("Prometheus: {}", answer.value("error", "no success"))};
    const Json& data = answer.at("data");
    const std::string type = data.at("resultType");
    const Json* value = &data.at("result");
    if (type == "vector") {
      if (value->empty()) return std::optional<double>();
      if (value->size() > 1)
        return Error{Code::invalid_argument,
                     fmt::format("Prometheus: {} series, must be one: sum them", value->size())};
      value = &value->at(0).at("value");
    } else if (type != "scalar") {
      return Error{Code::invalid_argument,
                   fmt::format("Prometheus: a result of type {}, must be vector or scalar", type)};
    }
    const auto& text = value->at(1).get_ref<const std::string&>();
    double number = 0;
    const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (fault != std::errc() || end != text.data() + text.size()) {
      if (text == "NaN" || text == "+Inf" || text == "-Inf") return std::optional<double>();
      throw std::invalid_argument(fmt::format("value {} is no number", text));
    }
    return std::isfinite(number) ? std::optional(number) : std::nullopt;
  } catch (const std::exception& fault) {  // nlohmann's, and those above
    return Error{Code::invalid_argument, fmt::format("Prometheus: {}", fault.what())};
  }
}

}  // namespace graymesh::verdict
