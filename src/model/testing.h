// For tests: YAML in, objects or messages out.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "model/model.h"

namespace graymesh::model::testing {

using Lines = std::vector<std::string>;

inline Lines lines_of(const std::vector<Problem>& problems) {
  Lines lines;
  for (const Problem& problem : problems) lines.push_back(to_string(problem));
  return lines;
}

// What is wrong with the only document.
inline Lines errors_of(std::string_view yaml) {
  const auto documents = read(yaml, "f.yaml");
  if (documents.size() != 1) return {"not one document but " + std::to_string(documents.size())};
  return lines_of(documents.front().errors);
}

// The only document's object; a failure of the test, and an empty object, if it is refused.
inline Object object_of(std::string_view yaml) {
  const auto documents = read(yaml, "f.yaml");
  EXPECT_EQ(documents.size(), 1u);
  if (documents.empty()) return {};
  for (const auto& line : lines_of(documents.front().errors)) ADD_FAILURE() << line;
  EXPECT_NE(documents.front().object, nullptr) << documents.front().passed_over;
  return documents.front().object != nullptr ? *documents.front().object : Object{};
}

inline Lines warnings_of(std::string_view yaml) { return lines_of(object_of(yaml).warnings); }

template <typename T>
T spec_of(std::string_view yaml) {
  const Object object = object_of(yaml);
  EXPECT_TRUE(std::holds_alternative<T>(object.spec));
  return std::holds_alternative<T>(object.spec) ? object.as<T>() : T{};
}

// An object of a kind with `spec` (indented by two) in three lines before it: its first line is 5.
inline std::string of_kind(std::string_view kind, std::string_view spec) {
  return "apiVersion: networking.istio.io/v1\nkind: " + std::string(kind) +
         "\nmetadata: {name: x}\nspec:\n" + std::string(spec);
}

}  // namespace graymesh::model::testing
