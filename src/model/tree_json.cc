// JSON (RFC 8259), read strictly. YAML takes most of it, but neither surrogate pairs nor at this
// speed; what is not JSON here, such as a flow mapping with bare words, is left to YAML.
#include "model/tree_json.h"

#include <algorithm>
#include <string>

namespace graymesh::model {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

void append_utf8(std::string& out, std::uint32_t code) {
  const auto tail = [&](int shift) {
    out.push_back(static_cast<char>(0x80 | ((code >> shift) & 0x3F)));
  };
  if (code < 0x80) {
    out.push_back(static_cast<char>(code));
  } else if (code < 0x800) {
    out.push_back(static_cast<char>(0xC0 | (code >> 6)));
    tail(0);
  } else if (code < 0x10000) {
    out.push_back(static_cast<char>(0xE0 | (code >> 12)));
    tail(6), tail(0);
  } else {
    out.push_back(static_cast<char>(0xF0 | (code >> 18)));
    tail(12), tail(6), tail(0);
  }
}

class JsonReader {
 public:
  JsonReader(std::string_view text, int first_line, TreeBuilder& builder)
      : text_(text), line_(first_line), builder_(builder) {}

  bool run() {
    skip();
    if (!value()) return false;
    skip();
    return at_ == text_.size();
  }

 private:
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }

  void skip() {
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '\n') {
        ++line_;
        line_begin_ = at_ + 1;
      } else if (c != ' ' && c != '\t' && c != '\r') {
        return;
      }
    }
  }

  Mark mark() const {
    return {line_, static_cast<int>(at_ - line_begin_), static_cast<std::uint32_t>(at_)};
  }
  std::uint32_t here() const { return static_cast<std::uint32_t>(at_); }

  // The builder bounds the depth of the calls.
  bool value() {
    const Mark begin = mark();
    switch (peek()) {
      case '{':
        return members(begin);
      case '[':
        return items(begin);
      case '"': {
        const auto text = string();
        return text && builder_.scalar(begin, here(), *text, false, false, {});
      }
      default:
        return word(begin);
    }
  }

  bool members(const Mark& begin) {
    if (!builder_.begin(Element::Kind::mapping, begin, {})) return false;
    ++at_;
    skip();
    while (peek() != '}') {
      const Mark key_mark = mark();
      const auto key = string();
      if (!key || !builder_.scalar(key_mark, here(), *key, false, false, {})) return false;
      skip();
      if (!take(':')) return false;
      skip();
      if (!value() || !separator('}')) return false;
    }
    ++at_;
    return builder_.end(here());
  }

  bool items(const Mark& begin) {
    if (!builder_.begin(Element::Kind::sequence, begin, {})) return false;
    ++at_;
    skip();
    while (peek() != ']') {
      if (!value() || !separator(']')) return false;
    }
    ++at_;
    return builder_.end(here());
  }

  // A ',' with something after it, or the end.
  bool separator(char end) {
    skip();
    if (peek() == end) return true;
    if (!take(',')) return false;
    skip();
    return peek() != end;
  }

  // Valid until the next string.
  std::optional<std::string_view> string() {
    if (!take('"')) return std::nullopt;
    const std::size_t begin = at_;
    while (at_ < text_.size() && text_[at_] != '"' && text_[at_] != '\\' && plain(text_[at_]))
      ++at_;
    if (peek() == '"') return text_.substr(begin, at_++ - begin);
    decoded_.assign(text_, begin, at_ - begin);
    while (at_ < text_.size()) {
      const char c = text_[at_++];
      if (c == '"') return decoded_;
      if (!plain(c)) return std::nullopt;
      if (c != '\\')
        decoded_.push_back(c);
      else if (!escape())
        return std::nullopt;
    }
    return std::nullopt;
  }

  static bool plain(char c) { return static_cast<unsigned char>(c) >= 0x20; }

  bool escape() {
    constexpr std::string_view names = "\"\\/bfnrt";
    constexpr std::string_view meanings = "\"\\/\b\f\n\r\t";
    const char c = peek();
    ++at_;
    if (c == 'u') return unicode();
    const std::size_t index = names.find(c);
    if (c == '\0' || index == std::string_view::npos) return false;
    decoded_.push_back(meanings[index]);
    return true;
  }

  bool unicode() {
    auto code = hex();
    if (!code) return false;
    if (*code >= 0xD800 && *code < 0xDC00) {
      if (!take('\\') || !take('u')) return false;
      const auto low = hex();
      if (!low || *low < 0xDC00 || *low > 0xDFFF) return false;
      code = 0x10000 + ((*code - 0xD800) << 10) + (*low - 0xDC00);
    } else if (*code >= 0xDC00 && *code <= 0xDFFF) {
      return false;
    }
    append_utf8(decoded_, *code);
    return true;
  }

  std::optional<std::uint32_t> hex() {
    std::uint32_t code = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
      constexpr std::string_view digits = "0123456789abcdef";
      const char c = peek();
      const std::size_t digit =
          digits.find(c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c);
      if (digit == std::string_view::npos) return std::nullopt;
      code = code * 16 + static_cast<std::uint32_t>(digit);
    }
    return code;
  }

  bool word(const Mark& begin) {
    for (const std::string_view name : {"true", "false", "null"}) {
      if (!text_.substr(at_).starts_with(name)) continue;
      at_ += name.size();
      return builder_.scalar(begin, here(), name, true, false, {});
    }
    const std::size_t start = at_;
    return number() &&
           builder_.scalar(begin, here(), text_.substr(start, at_ - start), true, false, {});
  }

  bool number() {
    (void)take('-');
    if (!take('0') && !digits()) return false;
    if (take('.') && !digits()) return false;
    if (!take('e') && !take('E')) return true;
    if (!take('+')) (void)take('-');
    return digits();
  }

  bool digits() {
    const std::size_t start = at_;
    while (is_digit(peek())) ++at_;
    return at_ > start;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  int line_;
  std::size_t line_begin_ = 0;
  TreeBuilder& builder_;
  std::string decoded_;
};

}  // namespace

bool looks_like_json(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && (text[first] == '{' || text[first] == '[');
}

bool read_json(std::string_view text, int first_line, TreeBuilder& builder) {
  return JsonReader(text, first_line, builder).run();
}

}  // namespace graymesh::model
