// The file of tokens, and the comparison that tells nothing by its time.
#include <fmt/core.h>

#include "api/api.h"
#include "base/file.h"

namespace graymesh::api {
namespace {

// Looks at every byte of `given`, wherever the first difference is. Only the length shows.
bool same(std::string_view given, std::string_view known) {
  unsigned difference = given.size() == known.size() ? 0u : 1u;
  for (std::size_t at = 0; at < given.size(); ++at) {
    const char other = known.empty() ? '\0' : known[at % known.size()];
    difference |= static_cast<unsigned>(static_cast<unsigned char>(given[at]) ^
                                        static_cast<unsigned char>(other));
  }
  return difference == 0;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blanks = " \t\r";
  const auto begin = text.find_first_not_of(blanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

}  // namespace

Result<Tokens> Tokens::read(const std::filesystem::path& file) {
  const std::string text = TRY(read_file(file, std::size_t{1} << 20));
  Tokens out;
  std::string_view rest = text;
  for (int number = 1; !rest.empty(); ++number) {
    const auto end = rest.find('\n');
    const std::string_view line = trimmed(rest.substr(0, end));
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    if (line.empty() || line.front() == '#') continue;
    const auto blank = line.find_first_of(" \t");
    // Never the line itself: it holds a secret.
    if (blank == std::string_view::npos) {
      return Error{Code::invalid_argument,
                   fmt::format("{}:{}: must be TOKEN NAME", file.string(), number)};
    }
    if (blank < token_bytes_min) {
      return Error{Code::invalid_argument, fmt::format("{}:{}: the token must have at least {} "
                                                       "characters",
                                                       file.string(), number, token_bytes_min)};
    }
    out.known_.emplace_back(line.substr(0, blank), trimmed(line.substr(blank)));
  }
  if (out.known_.empty())
    return Error{Code::invalid_argument, fmt::format("{}: has no tokens", file.string())};
  return out;
}

std::optional<std::string> Tokens::name_of(std::string_view token) const {
  std::optional<std::string> found;
  for (const auto& [known, name] : known_) {
    if (same(token, known)) found = name;
  }
  return found;
}

}  // namespace graymesh::api
