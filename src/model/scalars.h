// Plain scalars as values, by the rules of Kubernetes' YAML (1.1, as JSON sees it): what is a
// number or a bool there is no text, and must be quoted to become one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "model/meta.h"

namespace graymesh::model {

// True if a plain scalar of this text is a number, a bool or null rather than text.
bool is_other_than_text(std::string_view plain);

std::optional<std::int64_t> to_integer(std::string_view text);
std::optional<double> to_number(std::string_view text);
std::optional<bool> to_bool(std::string_view text);

// "1s", "0.5s", "100ms", "1h30m": Go's notation, of which protobuf's is a part. No sign, no bare
// numbers but "0".
std::optional<Duration> to_duration(std::string_view text);

// RFC 3339, seconds since 1970: "2024-05-01T12:00:00Z", with a fraction, with an offset.
std::optional<std::int64_t> to_seconds(std::string_view time);

// Standard or URL alphabet, padded or not.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace graymesh::model
