// What a terminal can show: its size, colours, and characters; and text cut to fit it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace graymesh::cli {

struct Style {
  std::size_t width = 0, height = 0;  // columns, lines; 0: no bound
  bool terminal = false;
  bool color = false;
  bool unicode = false;
};

// Of what `fd` leads to. No colours with NO_COLOR set (no-color.org) or TERM=dumb; unicode where
// the locale says UTF-8.
Style style_of(int fd);

enum class Paint : std::uint8_t { bold, faint, green, yellow, red, cyan };
std::string painted(const Style& style, Paint paint, const std::string& text);

// Columns that `text` takes: neither escape sequences nor continuation bytes of UTF-8 count.
std::size_t columns(const std::string& text);
// `text` and blanks up to `width`; more than that is cut off with a mark.
std::string cell(const Style& style, const std::string& text, std::size_t width);
// Lines cut to the style's width; those beyond its height make room for a line that says how many.
std::string fitted(const Style& style, const std::string& text);

std::string bar(const Style& style, std::uint64_t part, std::uint64_t whole, std::size_t cells);

// "12s", "3m12s", "2h05m", "4d03h".
std::string span_text(std::int64_t seconds);

}  // namespace graymesh::cli
