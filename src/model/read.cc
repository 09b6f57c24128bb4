// From bytes to documents: cut the stream, read each piece into a tree, see what kind it is, and
// hand its fields to that kind's reader.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/hash.h"
#include "model/document.h"
#include "model/kinds.h"
#include "model/model.h"
#include "model/rules.h"
#include "model/scalars.h"
#include "model/tree.h"

namespace graymesh::model {
namespace {

class FileReader {
 public:
  FileReader(std::string_view bytes, const std::string& file, const ReadLimits& limits)
      : bytes_(bytes), file_(file), limits_(limits) {}

  std::vector<Document> run() {
    for (const Piece& piece : split(bytes_, limits_.documents_max)) {
      if (!room(piece.line)) break;
      read_piece(piece);
    }
    return std::move(documents_);
  }

 private:
  // False, and said so once, if the file has too many documents.
  bool room(int line) {
    if (documents_.size() < limits_.documents_max) return true;
    if (documents_.size() == limits_.documents_max) {
      Document document{};
      document.position = {file_, line};
      document.begin = document.end = bytes_.size();
      document.errors.push_back(problem(
          line,
          fmt::format("has more than {} documents; the rest is not read", limits_.documents_max)));
      documents_.push_back(std::move(document));
    }
    return false;
  }

  Problem problem(int line, std::string rule) const {
    return {.severity = Problem::Severity::error,
            .position = {file_, line},
            .object = {},
            .field = {},
            .value = {},
            .rule = std::move(rule)};
  }

  void read_piece(const Piece& piece) {
    const std::string_view text = bytes_.substr(piece.begin, piece.end - piece.begin);
    const Tree tree =
        parse(text, piece.line, {.nodes_max = limits_.nodes_max, .depth_max = limits_.depth_max});
    Document document{};
    document.position = {file_, piece.line};
    document.begin = piece.begin;
    document.end = piece.end;
    if (tree.fault) {
      document.text = text.substr(0, limits_.object_bytes_max);
      document.errors.push_back(problem(tree.fault->line, tree.fault->rule));
    } else if (tree.root == nullptr || tree.root->is_null()) {
      document.passed_over = "empty document";
    } else if (is_list(*tree.root)) {
      read_items(piece, text, tree, *tree.root);
      return;
    } else {
      read_one(tree, *tree.root, {}, text, std::move(document));
      return;
    }
    documents_.push_back(std::move(document));
  }

  static bool is_list(const Element& root) {
    const Element* kind = root.find("kind");
    const Element* items = root.find("items");
    return kind != nullptr && kind->is_scalar() && kind->text.ends_with("List") &&
           items != nullptr && items->is_sequence();
  }

  void read_items(const Piece& piece, std::string_view text, const Tree& tree,
                  const Element& list) {
    const Element* version = list.find("apiVersion");
    const std::string_view kind = list.find("kind")->text;
    ObjectType type;
    if (kind != "List" && version != nullptr)
      type = {version->text, kind.substr(0, kind.size() - 4)};
    for (const Element* item = list.find("items")->first; item != nullptr; item = item->next) {
      if (!room(item->line)) return;
      if (is_list(*item)) {
        read_items(piece, text, tree, *item);
        continue;
      }
      Document document{};
      document.position = {file_, item->line};
      document.in_list = true;
      document.begin = piece.begin + item->begin;
      document.end = piece.begin + std::max(item->begin, item->end);
      const std::string own =
          dedent(text.substr(item->begin, document.end - document.begin), item->column);
      read_one(tree, *item, type, own, std::move(document));
    }
  }

  void read_one(const Tree& tree, const Element& root, const ObjectType& type,
                std::string_view text, Document document) {
    if (text.size() > limits_.object_bytes_max) {
      document.errors.push_back(
          problem(root.line, fmt::format("is larger than {} bytes", limits_.object_bytes_max)));
      documents_.push_back(std::move(document));
      return;
    }
    if (root.is_mapping() && root.first != nullptr) document.position.line = root.first->line;
    for (Document& read : read_document(tree, root, type, text, document))
      documents_.push_back(std::move(read));
  }

  // An item of a block list, moved to the left to stand alone.
  static std::string dedent(std::string_view item, int columns) {
    while (!item.empty() && (item.back() == '\n' || item.back() == ' ' || item.back() == '\r'))
      item.remove_suffix(1);
    std::string text;
    for (std::size_t at = 0; at < item.size();) {
      const std::size_t next = std::min(item.find('\n', at), item.size() - 1) + 1;
      text.append(item, at, next - at);
      at = next;
      for (int blank = 0; blank < columns && at < item.size() && item[at] == ' '; ++blank) ++at;
    }
    text.push_back('\n');
    return text;
  }

  std::string_view bytes_;
  const std::string& file_;
  const ReadLimits& limits_;
  std::vector<Document> documents_;
};

}  // namespace

std::vector<Document> read(std::string_view bytes, const std::string& file,
                           const ReadLimits& limits) {
  return FileReader(bytes, file, limits).run();
}

}  // namespace graymesh::model
