#include "cli/screen.h"

#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <vector>

namespace graymesh::cli {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nobody sets it
  return value == nullptr ? "" : value;
}

bool is_utf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    std::string value = environment(name);
    if (value.empty()) continue;
    std::transform(value.begin(), value.end(), value.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    return value.find("UTF-8") != std::string::npos || value.find("UTF8") != std::string::npos;
  }
  return false;
}

// The end of the character, or escape sequence, that begins at `at`.
std::size_t after(const std::string& text, std::size_t at) {
  if (text[at] == '\x1b') {
    const auto end = text.find('m', at);
    return end == std::string::npos ? text.size() : end + 1;
  }
  ++at;
  while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) ++at;
  return at;
}

// The first `width` columns; escape sequences after them stay, for they may end a colour.
std::string cut(const Style& style, const std::string& text, std::size_t width) {
  if (columns(text) <= width) return text;
  const std::string mark = style.unicode ? "…" : "~";
  std::string out;
  std::size_t used = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = after(text, at);
    const bool visible = text[at] != '\x1b';
    if (!visible || used + 1 < width) out.append(text, at, end - at);
    if (visible && ++used == width) out += mark;
    at = end;
  }
  return out;
}

}  // namespace

Style style_of(int fd) {
  Style style;
  const std::string terminal = environment("TERM");
  style.terminal = ::isatty(fd) == 1 && terminal != "dumb";
  style.color = style.terminal && environment("NO_COLOR").empty();
  style.unicode = style.terminal && is_utf8();
  winsize size{};
  if (style.terminal && ::ioctl(fd, TIOCGWINSZ, &size) == 0) {
    style.width = size.ws_col;
    style.height = size.ws_row;
  }
  return style;
}

std::string painted(const Style& style, Paint paint, const std::string& text) {
  static constexpr int codes[] = {1, 2, 32, 33, 31, 36};
  if (!style.color || text.empty()) return text;
  return fmt::format("\x1b[{}m{}\x1b[0m", codes[static_cast<std::size_t>(paint)], text);
}

std::size_t columns(const std::string& text) {
  std::size_t count = 0;
  for (std::size_t at = 0; at < text.size(); at = after(text, at)) count += text[at] != '\x1b';
  return count;
}

std::string cell(const Style& style, const std::string& text, std::size_t width) {
  std::string out = cut(style, text, width);
  out.append(width - std::min(width, columns(out)), ' ');
  return out;
}

std::string fitted(const Style& style, const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    std::string line = text.substr(at, end - at);
    line.erase(line.find_last_not_of(' ') + 1);
    lines.push_back(style.width == 0 ? line : cut(style, line, style.width));
    at = end + 1;
  }
  // The last line of a terminal is where the cursor waits.
  const std::size_t room =
      style.height == 0 ? lines.size() : std::max<std::size_t>(style.height, 3) - 1;
  if (lines.size() > room) {
    const std::size_t more = lines.size() - room + 1;
    lines.resize(room - 1);
    lines.push_back(painted(style, Paint::faint,
                            cut(style, fmt::format("{} more lines: make the window higher", more),
                                style.width == 0 ? 80 : style.width)));
  }
  std::string out;
  for (const auto& line : lines) out += line + "\n";
  return out;
}

std::string bar(const Style& style, std::uint64_t part, std::uint64_t whole, std::size_t cells) {
  const std::size_t full = whole == 0 ? 0 : std::min<std::size_t>(cells, cells * part / whole);
  std::string out;
  for (std::size_t i = 0; i < cells; ++i)
    out += style.unicode ? (i < full ? "█" : "░") : (i < full ? "#" : ".");
  return out;
}

std::string span_text(std::int64_t seconds) {
  seconds = std::max<std::int64_t>(seconds, 0);
  if (seconds < 60) return fmt::format("{}s", seconds);
  if (seconds < 3600) return fmt::format("{}m{:02}s", seconds / 60, seconds % 60);
  if (seconds < 86400) return fmt::format("{}h{:02}m", seconds / 3600, seconds / 60 % 60);
  return fmt::format("{}d{:02}h", seconds / 86400, seconds / 3600 % 24);
}

}  // namespace graymesh::cli
