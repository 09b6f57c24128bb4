#include <fmt/core.h>

#include <set>

#include "model/kinds.h"
#include "model/rules.h"

namespace graymesh::model {

void read_export_to(Fields& f, bool to_none, std::vector<std::string>& out) {
  f.texts("exportTo", out);
  const Element* list = f.find("exportTo");
  std::set<std::string_view> seen;
  for (const Element* item = list != nullptr && list->is_sequence() ? list->first : nullptr;
       item != nullptr; item = item->next) {
    if (!item->is_scalar()) continue;
    const std::string_view to = item->text;
    const bool none = to == "~" && to_none;
    if (to == "~" && !to_none)
      f.reading().error(*item, {}, "must not be ~, which is for services only");
    else if (to != "." && to != "*" && !none && !is_dns_label(to))
      f.reading().error(*item, {}, "must be '.', '*' or a namespace");
    if (!seen.insert(to == "." ? std::string_view(f.reading().namespace_) : to).second)
      f.reading().error(*item, {}, "must be given once");
    if ((to == "*" || none) && list->size > 1) f.reading().error(*item, {}, "must stand alone");
  }
}

}  // namespace graymesh::model
