#include "model/scalars.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

namespace graymesh::model {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string_view without_sign(std::string_view text) {
  if (!text.empty() && (text.front() == '-' || text.front() == '+')) text.remove_prefix(1);
  return text;
}

bool all_of(std::string_view text, std::string_view alphabet) {
  return !text.empty() && text.find_first_not_of(alphabet) == std::string_view::npos;
}

bool is_integer_like(std::string_view text) {
  text = without_sign(text);
  if (text.starts_with("0x")) return all_of(text.substr(2), "0123456789abcdefABCDEF_");
  if (text.starts_with("0b")) return all_of(text.substr(2), "01_");
  if (text.starts_with("0o")) return all_of(text.substr(2), "01234567_");
  return !text.empty() && is_digit(text.front()) && all_of(text, "0123456789_");
}

std::string_view skip_digits(std::string_view text) {
  while (!text.empty() && is_digit(text.front())) text.remove_prefix(1);
  return text;
}

bool is_float_like(std::string_view text) {
  text = without_sign(text);
  if (text == ".inf" || text == ".Inf" || text == ".INF") return true;
  if (text == ".nan" || text == ".NaN" || text == ".NAN") return true;
  const std::string_view whole = text;
  text = skip_digits(text);
  std::size_t digits = whole.size() - text.size();
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    const std::string_view fraction = text;
    text = skip_digits(text);
    digits += fraction.size() - text.size();
  }
  if (digits == 0) return false;
  if (text.starts_with('e') || text.starts_with('E')) {
    text = without_sign(text.substr(1));
    return all_of(text, "0123456789");
  }
  return text.empty();
}

template <typename T>
std::optional<T> parse(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Days since 1970-01-01 of a Gregorian date (Howard Hinnant's days_from_civil).
std::int64_t days(std::int64_t year, std::int64_t month, std::int64_t day) {
  year -= month <= 2 ? 1 : 0;
  const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
  const std::int64_t year_of_era = year - era * 400;
  const std::int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
         719468;
}

// The number at `text[at, at + count)`, all digits.
std::optional<std::int64_t> digits(std::string_view text, std::size_t at, std::size_t count) {
  if (text.size() < at + count) return std::nullopt;
  const std::string_view part = text.substr(at, count);
  if (!all_of(part, "0123456789")) return std::nullopt;
  return parse<std::int64_t>(part);
}

}  // namespace

bool is_other_than_text(std::string_view plain) {
  if (plain.empty()) return true;
  if (is_integer_like(plain) || is_float_like(plain)) return true;
  for (const std::string_view word : {"null", "Null", "NULL", "~"}) {
    if (plain == word) return true;
  }
  return to_bool(plain).has_value();
}

std::optional<std::int64_t> to_integer(std::string_view text) {
  // Underscores, octal and hexadecimal are left to machines: nobody means port 0120 to be 80.
  const std::string_view unsigned_text = without_sign(text);
  if (unsigned_text.size() > 1 && unsigned_text.front() == '0') return std::nullopt;
  return parse<std::int64_t>(text);
}

std::optional<double> to_number(std::string_view text) {
  if (!is_float_like(text)) return std::nullopt;
  const auto value = parse<double>(text);
  if (!value || !std::isfinite(*value)) return std::nullopt;
  return value;
}

std::optional<bool> to_bool(std::string_view text) {
  for (const std::string_view word :
       {"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"}) {
    if (text == word) return true;
  }
  for (const std::string_view word :
       {"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"}) {
    if (text == word) return false;
  }
  return std::nullopt;
}

std::optional<Duration> to_duration(std::string_view text) {
  if (text == "0") return Duration::zero();
  if (text.empty()) return std::nullopt;
  struct Unit {
    std::string_view name;
    double nanoseconds;
  };
  constexpr std::array<Unit, 7> units = {{{"ns", 1},
                                          {"us", 1e3},
                                          {"\xC2\xB5s", 1e3},
                                          {"ms", 1e6},
                                          {"s", 1e9},
                                          {"m", 60e9},
                                          {"h", 3600e9}}};
  constexpr double most = 9.2e18;  // some 290 years: what 64 bits of nanoseconds hold
  double sum = 0;
  while (!text.empty()) {
    const std::size_t number_end = std::min(text.find_first_not_of("0123456789."), text.size());
    const auto number = to_number(text.substr(0, number_end));
    if (!number) return std::nullopt;
    text.remove_prefix(number_end);
    const std::size_t unit_end = std::min(text.find_first_of("0123456789."), text.size());
    const auto unit = std::find_if(units.begin(), units.end(), [&](const Unit& u) {
      return u.name == text.substr(0, unit_end);
    });
    if (unit == units.end()) return std::nullopt;
    text.remove_prefix(unit_end);
    sum += *number * unit->nanoseconds;
    if (!(sum < most)) return std::nullopt;
  }
  return Duration(std::llround(sum));
}

std::optional<std::int64_t> to_seconds(std::string_view time) {
  const auto year = digits(time, 0, 4), month = digits(time, 5, 2), day = digits(time, 8, 2);
  const auto hour = digits(time, 11, 2), minute = digits(time, 14, 2), second = digits(time, 17, 2);
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  if (time[4] != '-' || time[7] != '-' || (time[10] != 'T' && time[10] != 't' && time[10] != ' '))
    return std::nullopt;
  if (time[13] != ':' || time[16] != ':') return std::nullopt;
  if (*month < 1 || *month > 12 || *day < 1 || *day > 31 || *hour > 23 || *minute > 59 ||
      *second > 60)
    return std::nullopt;
  std::string_view rest = time.substr(19);
  if (rest.starts_with('.')) {
    const std::string_view fraction = skip_digits(rest.substr(1));
    if (fraction.size() + 1 == rest.size()) return std::nullopt;
    rest = fraction;
  }
  std::int64_t offset = 0;
  if (rest != "Z" && rest != "z") {
    const auto hours = digits(rest, 1, 2), minutes = digits(rest, 4, 2);
    if (rest.size() != 6 || (rest[0] != '+' && rest[0] != '-') || rest[3] != ':' || !hours ||
        !minutes)
      return std::nullopt;
    offset = (*hours * 60 + *minutes) * (rest[0] == '+' ? 60 : -60);
  }
  return days(*year, *month, *day) * 86400 + *hour * 3600 + *minute * 60 + *second - offset;
}

std::optional<std::string> from_base64(std::string_view text) {
  while (text.ends_with('=')) text.remove_suffix(1);
  std::string bytes;
  bytes.reserve(text.size() * 3 / 4);
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    std::uint32_t value = 0;
    if (c >= 'A' && c <= 'Z')
      value = static_cast<std::uint32_t>(c - 'A');
    else if (c >= 'a' && c <= 'z')
      value = static_cast<std::uint32_t>(c - 'a' + 26);
    else if (is_digit(c))
      value = static_cast<std::uint32_t>(c - '0' + 52);
    else if (c == '+' || c == '-')
      value = 62;
    else if (c == '/' || c == '_')
      value = 63;
    else
      return std::nullopt;
    bits = (bits << 6) | value;
    if (count += 6; count >= 8) {
      count -= 8;
      bytes.push_back(static_cast<char>((bits >> count) & 0xFF));
    }
  }
  if (count == 6) return std::nullopt;
  return bytes;
}

}  // namespace graymesh::model
