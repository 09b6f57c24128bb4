#include <algorithm>
#include <cstring>

#include "model/tree.h"

namespace graymesh::model {
namespace {

bool blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

std::string_view trim_left(std::string_view text) {
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  return text;
}

// True for `---` or `...` at the start of a line, alone or with something after a blank.
bool starts_with_mark(std::string_view line, std::string_view mark) {
  return line.starts_with(mark) && (line.size() == mark.size() || blank(line[mark.size()]));
}

// A stream going by line by line.
struct Splitter {
  std::string_view stream;
  std::vector<Piece> pieces;
  Piece current;
  bool content = false;  // the current piece has more than blanks, comments and directives

  void look(std::string_view line) {
    if (content) return;
    const std::string_view text = trim_left(line);
    content = !text.empty() && text.front() != '#' && line.front() != '%';
  }

  void cut(std::size_t end, std::size_t next, int next_line) {
    current.end = end;
    if (content) pieces.push_back(current);
    current = {.begin = next, .end = next, .line = next_line};
    content = false;
  }
};

}  // namespace

std::vector<Piece> split(std::string_view stream, std::size_t pieces_max) {
  Splitter splitter{.stream = stream, .pieces = {}, .current = {}, .content = false};
  constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
  std::size_t at = stream.starts_with(byte_order_mark) ? byte_order_mark.size() : 0;
  splitter.current.begin = at;
  for (int line = 1; at < stream.size() && splitter.pieces.size() <= pieces_max; ++line) {
    const std::size_t newline = std::min(stream.find('\n', at), stream.size());
    const std::size_t next = std::min(newline + 1, stream.size());
    const std::string_view text = stream.substr(at, newline - at);
    if (starts_with_mark(text, "---")) {
      const std::string_view rest = trim_left(text.substr(3));
      const bool alone = rest.empty() || rest.front() == '#';
      splitter.cut(at, alone ? next : at + 3, alone ? line + 1 : line);
      if (!alone) splitter.content = true;
    } else if (starts_with_mark(text, "...")) {
      splitter.cut(at, next, line + 1);
    } else {
      splitter.look(text);
    }
    at = next;
  }
  splitter.cut(stream.size(), stream.size(), 0);
  return std::move(splitter.pieces);
}

}  // namespace graymesh::model
