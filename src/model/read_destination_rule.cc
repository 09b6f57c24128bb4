#include <fmt/core.h>

#include <set>

#include "model/kinds.h"
#include "model/rules.h"

namespace graymesh::model {
namespace {

void read_subset(Fields& f, Subset& out) {
  out.position = f.position();
  if (f.require("name")) f.text("name", out.name, check_dns_label);
  f.text_map("labels", out.labels, check_label_key, check_label_value);
  f.object("trafficPolicy", out.policy, read_traffic_policy);
}

void check_names(Fields& f) {
  std::set<std::string_view> names;
  const Element* list = f.find("subsets");
  for (const Element* item = list != nullptr && list->is_sequence() ? list->first : nullptr;
       item != nullptr; item = item->next) {
    const Element* name = item->find("name");
    if (name != nullptr && name->is_scalar() && !names.insert(name->text).second) {
      f.reading().error(*name, {}, "must be unique among the subsets");
    }
  }
}

// A rule for chosen clients can be for its own namespace only.
void check_selected_export(Fields& f, const DestinationRule& rule) {
  if (!f.has("workloadSelector") || rule.export_to.empty()) return;
  const std::string& own = f.reading().namespace_;
  const bool alone = rule.export_to.size() == 1 &&
                     (rule.export_to.front() == "." || rule.export_to.front() == own);
  if (!alone) f.error("exportTo", "must be only '.' beside a workloadSelector");
}

}  // namespace

void read_destination_rule(Fields& f, DestinationRule& out) {
  if (f.require("host")) f.text("host", out.host, check_wildcard_host);
  f.object("trafficPolicy", out.policy, read_traffic_policy);
  f.list("subsets", out.subsets, read_subset);
  check_names(f);
  read_export_to(f, false, out.export_to);
  f.visit("workloadSelector", [&](Fields& selector) {
    selector.text_map("matchLabels", out.workload_selector, check_selector_key,
                      check_selector_value);
    if (out.workload_selector.empty())
      selector.warn({}, "has no labels: it selects every workload of the namespace");
  });
  check_selected_export(f, out);
}

}  // namespace graymesh::model
