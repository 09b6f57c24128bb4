// One text in terms of another: a route table of 2 MB with one route changed takes some bytes.
//
// The old text is cut into blocks of 32 bytes, which are found again at any place of the new one by
// a rolling hash (rsync's idea) and then grown in both directions. What is between them is kept as
// it is:
//
//     old   aaaaaaaaBBBBcccccccc          copy 0..7, insert "XX", copy 12..19
//     new   aaaaaaaaXXcccccccc
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace graymesh::record {

std::string make_delta(std::string_view old_text, std::string_view new_text);

// data_loss if `delta` is none of that text, or makes more than `bytes_max`.
Result<std::string> apply_delta(std::string_view old_text, std::string_view delta,
                                std::size_t bytes_max);

}  // namespace graymesh::record
