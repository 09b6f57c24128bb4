#include "control/source/splice.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstddef>
#include <utility>

namespace graymesh::source {
namespace {

using model::Document;

bool blank(std::string_view line) {
  return line.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

// Only at the very left: further in, it may be a line of a block scalar.
bool comment(std::string_view line) { return line.starts_with('#'); }

// A piece in three: what stands before the document, the document, and what stands after.
struct Parts {
  std::string_view head, body, tail;
};

Parts parts_of(std::string_view piece) {
  std::size_t begin = 0;
  while (begin < piece.size()) {
    const std::size_t next = std::min(piece.find('\n', begin), piece.size() - 1) + 1;
    const std::string_view line = piece.substr(begin, next - begin);
    if (!blank(line) && !comment(line)) break;
    begin = next;
  }
  std::size_t end = piece.size();
  while (end > begin) {
    const std::size_t last = piece.rfind('\n', end - (piece[end - 1] == '\n' ? 2 : 1));
    const std::size_t start = last == std::string_view::npos || last < begin ? begin : last + 1;
    const std::string_view line = piece.substr(start, end - start);
    if (!blank(line) && !comment(line)) break;
    end = start;
  }
  return {piece.substr(0, begin), piece.substr(begin, end - begin), piece.substr(end)};
}

Error in_a_list(const Document& document, const std::string& file) {
  const model::Key* key = key_of(document);
  return {
      Code::failed_precondition,
      fmt::format("{}:{} {} is an item of a List, and can only be edited by hand", file,
                  document.position.line, key != nullptr ? model::to_string(*key) : "document")};
}

std::string new_piece(std::string_view old_piece, std::string_view text) {
  const Parts old = parts_of(old_piece);
  const Parts fresh = parts_of(text);
  std::string piece(blank(fresh.head) ? old.head : fresh.head);
  piece += fresh.body;
  if (!piece.ends_with('\n')) piece += '\n';
  piece += blank(fresh.tail) ? old.tail : fresh.tail;
  return piece;
}

// The start of the line `---` that opens the piece, or `begin` if none does.
std::size_t opening(std::string_view text, std::size_t begin) {
  if (begin == 0) return begin;
  const std::size_t newline = begin < 2 ? std::string_view::npos : text.rfind('\n', begin - 2);
  const std::size_t start = newline == std::string_view::npos ? 0 : newline + 1;
  return text.substr(start).starts_with("---") ? start : begin;
}

bool same(const Document& a, const Document& b) {
  if (a.object && b.object)
    return a.object->meta.key == b.object->meta.key &&
           a.object->meta.content == b.object->meta.content;
  return !a.object == !b.object && a.key == b.key && a.passed_over == b.passed_over &&
         a.text == b.text;
}

Error spoiled(const std::string& file) {
  return {
      Code::failed_precondition,
      fmt::format("{} is written in a way that cannot be edited in place; edit it by hand", file)};
}

}  // namespace

const model::Key* key_of(const Document& document) {
  if (document.object) return &document.object->meta.key;
  return document.key ? &*document.key : nullptr;
}

std::vector<Document> read_whole(std::string_view text, const std::string& file) {
  std::vector<Document> documents = model::read(text, file);
  const auto of_one = [](const Document& a, const Document& b) {
    return a.begin == b.begin && a.end == b.end;
  };
  documents.erase(std::unique(documents.begin(), documents.end(), of_one), documents.end());
  return documents;
}

bool says(std::string_view text, const Document& document, std::string_view alone) {
  const std::string_view piece = text.substr(document.begin, document.end - document.begin);
  return !document.in_list && new_piece(piece, alone) == piece;
}

Result<std::string> replace(std::string_view text, const std::vector<Document>& documents,
                            std::vector<Replacement> replacements, const std::string& file) {
  std::sort(replacements.begin(), replacements.end(),
            [](const Replacement& a, const Replacement& b) { return a.document < b.document; });
  std::string result;
  std::size_t at = 0;
  for (const Replacement& replacement : replacements) {
    const Document& document = documents[replacement.document];
    if (document.in_list) return in_a_list(document, file);
    result += text.substr(at, document.begin - at);
    if (!result.empty() && !result.ends_with('\n') && !result.ends_with("\xEF\xBB\xBF"))
      result += '\n';  // after `--- `
    result +=
        new_piece(text.substr(document.begin, document.end - document.begin), replacement.text);
    at = document.end;
  }
  result += text.substr(at);

  const std::vector<Document> after = read_whole(result, file);
  if (after.size() != documents.size()) return spoiled(file);
  auto replaced = replacements.begin();
  for (std::size_t i = 0; i < after.size(); ++i) {
    if (replaced == replacements.end() || replaced->document != i) {
      if (!same(documents[i], after[i])) return spoiled(file);
      continue;
    }
    const model::Key* key = key_of(documents[i]);
    if (!after[i].object || key == nullptr || after[i].object->meta.key != *key)
      return spoiled(file);
    ++replaced;
  }
  return result;
}

Result<std::string> cut(std::string_view text, const std::vector<Document>& documents,
                        std::size_t document, const std::string& file) {
  const Document& gone = documents[document];
  if (gone.in_list) return in_a_list(gone, file);
  if (documents.size() == 1) return std::string();
  std::size_t begin = opening(text, gone.begin);
  std::size_t end = gone.end;
  if (begin == gone.begin && text.substr(end).starts_with("---") && blank(text.substr(0, begin))) {
    // The first of the file: the `---` after it goes with it, if that stands alone.
    const std::size_t next = std::min(text.find('\n', end), text.size() - 1) + 1;
    if (blank(text.substr(end + 3, next - end - 3))) end = next;
  }
  std::string result(text.substr(0, begin));
  result += text.substr(end);
  const std::vector<Document> after = read_whole(result, file);
  if (after.size() + 1 != documents.size()) return spoiled(file);
  for (std::size_t i = 0; i < after.size(); ++i) {
    if (!same(documents[i < document ? i : i + 1], after[i])) return spoiled(file);
  }
  return result;
}

}  // namespace graymesh::source
