// JSON for people and programs: nlohmann's, whose code for json is compiled once, in json.cc, and
// not again in each file that speaks it. Include this, never <nlohmann/json.hpp>.
//
// json::parse takes a std::string, a std::string_view or a pair of const char* without compiling
// more; other inputs work too, and cost every file that uses them a parser of its own.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

extern template class nlohmann::basic_json<>;
extern template class nlohmann::detail::serializer<nlohmann::json>;
extern template class nlohmann::detail::json_sax_dom_parser<nlohmann::json>;
extern template class nlohmann::detail::json_sax_dom_callback_parser<nlohmann::json>;

namespace graymesh::json_detail {

using FromChars = nlohmann::detail::iterator_input_adapter<const char*>;
using FromString = nlohmann::detail::iterator_input_adapter<std::string::const_iterator>;

}  // namespace graymesh::json_detail

extern template class nlohmann::detail::lexer<nlohmann::json, graymesh::json_detail::FromChars>;
extern template class nlohmann::detail::lexer<nlohmann::json, graymesh::json_detail::FromString>;
extern template class nlohmann::detail::parser<nlohmann::json, graymesh::json_detail::FromChars>;
extern template class nlohmann::detail::parser<nlohmann::json, graymesh::json_detail::FromString>;
