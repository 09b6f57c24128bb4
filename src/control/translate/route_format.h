// Inside the room: texts that Envoy 1.40 takes in a route. One that it does not would have the
// whole table refused, with everybody's routes in it, so none is let through.
#pragma once

#include <string>
#include <string_view>

namespace graymesh::translate {

// Without the bytes that no header can hold: NUL, CR and LF.
std::string header_text(std::string_view text);

// True if Envoy knows every command in a header's value: "%REQ(x-lane)%", "100%%". It refuses
// values such as "%LANE%" and "%REQ()%".
bool is_format(std::string_view value);

}  // namespace graymesh::translate
