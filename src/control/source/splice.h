// One document of many, replaced or cut out of its text, with every other byte left as it was.
//
// Comments and blank lines around a document belong to whoever wrote them: they stay, unless the
// new text brings its own. What came out is read again and held against what went in, so a text of
// a shape we did not think of is refused and not spoiled.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/model.h"

namespace graymesh::source {

// The key of a document, if it has one: good or refused.
const model::Key* key_of(const model::Document& document);

// As model::read, but for what is one document to its writer and several objects to us (Endpoints
// with several subsets): that is the first of them.
std::vector<model::Document> read_whole(std::string_view text, const std::string& file);

// True if replacing `document` by `alone` would change nothing.
bool says(std::string_view text, const model::Document& document, std::string_view alone);

struct Replacement {
  std::size_t document = 0;  // index into `documents`
  std::string text;          // alone, as in Object::text
};

// `text` reads as `documents`. Each is replaced at most once. failed_precondition if one cannot be
// replaced where it stands (it is an item of a List).
Result<std::string> replace(std::string_view text, const std::vector<model::Document>& documents,
                            std::vector<Replacement> replacements, const std::string& file);

// The text without that document; blank if it had no other, whatever comments stood around it.
Result<std::string> cut(std::string_view text, const std::vector<model::Document>& documents,
                        std::size_t document, const std::string& file);

}  // namespace graymesh::source
