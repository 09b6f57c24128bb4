#include "control/snapshot/warning.h"

#include <fmt/core.h>

#include <utility>

namespace graymesh::snapshot {

model::Problem warning(const model::Object& object, const model::Position& position,
                       std::string field, std::string value, std::string rule) {
  return {.severity = model::Problem::Severity::warning,
          .position = position.line == 0 ? object.meta.position : position,
          .object = model::to_string(object.meta.key),
          .field = std::move(field),
          .value = std::move(value),
          .rule = std::move(rule)};
}

std::string place_of(const model::Object& object) {
  return fmt::format("{} at {}:{}", model::to_string(object.meta.key), object.meta.position.file,
                     object.meta.position.line);
}

}  // namespace graymesh::snapshot
