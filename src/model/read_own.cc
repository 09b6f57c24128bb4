// What we read from metadata of Istio's objects: annotations and a label that istiod does not know,
// and ignores (docs/translation.md 13).
//
//   graymesh.io/fallback    "feature-a=baseline, feature-b=baseline"    DestinationRule
//   graymesh.io/sticky      "cookie=user; ttl=720h; path=/"             VirtualService
//                           "header=x-user, cookie=user; ttl=0s"
//   graymesh.io/precedence  "release" or "default", a label             VirtualService
#include <fmt/core.h>

#include <algorithm>
#include <string_view>

#include "model/kinds.h"
#include "model/rules.h"
#include "model/rules_text.h"
#include "model/scalars.h"

namespace graymesh::model {
namespace {

using rules::parts_of;

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

struct Pair {
  std::string_view name, value;
};

// "a = b"; both are empty if it is not of this form.
Pair pair_of(std::string_view text) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos) return {};
  const Pair pair{trimmed(text.substr(0, equals)), trimmed(text.substr(equals + 1))};
  return pair.name.empty() || pair.value.empty() ? Pair{} : pair;
}

const Element* own(const Element& root, std::string_view map, std::string_view name) {
  const Element* metadata = root.find("metadata");
  const Element* entries = metadata != nullptr ? metadata->find(map) : nullptr;
  const Element* value = entries != nullptr ? entries->find(name) : nullptr;
  return value != nullptr && value->is_scalar() ? value : nullptr;
}

Subset* find(DestinationRule& rule, std::string_view name) {
  const auto at = std::find_if(rule.subsets.begin(), rule.subsets.end(),
                               [&](const Subset& subset) { return subset.name == name; });
  return at == rule.subsets.end() ? nullptr : &*at;
}

// Why `from` cannot fall back to `to`; empty if it can.
std::string bad_fallback(DestinationRule& rule, std::string_view from, std::string_view to) {
  if (from.empty()) return "must be a list such as feature-a=baseline, feature-b=baseline";
  for (const auto name : {from, to}) {
    if (find(rule, name) == nullptr)
      return fmt::format("must name subsets of this rule, and {} is none", name);
  }
  if (from == to) return fmt::format("must not lead from {} to itself", from);
  if (!find(rule, from)->fallback.empty())
    return fmt::format("must name {} only once before a =", from);
  return {};
}

// Without what a header or Envoy's formats would need escaped.
bool is_plain_path(std::string_view text) {
  return text.starts_with('/') && std::all_of(text.begin(), text.end(), [](char c) {
           return rules::is_alphanumeric(c) ||
                  std::string_view("/-_.~").find(c) != std::string_view::npos;
         });
}

// The cookie with what stands behind it: "; ttl=720h; path=/". Empty if all is well.
std::string_view read_cookie(const std::vector<std::string_view>& parts, std::string_view name,
                             HttpCookie& out) {
  if (!check_header_name(name).empty()) return "must name a cookie by a token such as user";
  out.name = name;
  for (std::size_t i = 1; i < parts.size(); ++i) {
    const auto [key, value] = pair_of(parts[i]);
    if (key == "ttl" && !out.ttl) {
      out.ttl = to_duration(value);
      if (!out.ttl) return "must have a duration such as 720h as its ttl";
      if (*out.ttl % std::chrono::seconds(1) != Duration::zero())
        return "must have whole seconds as its ttl";
    } else if (key == "path" && out.path.empty() && is_plain_path(value)) {
      out.path = value;
    } else {
      return "must have nothing behind the cookie but ; ttl=DURATION and ; path=/PATH";
    }
  }
  return {};
}

std::string_view read_sticky(std::string_view text, Sticky& out) {
  constexpr std::string_view form =
      "must be header=NAME, cookie=NAME with ; ttl=DURATION ; path=/PATH, or both in this order";
  for (const std::string_view entry : parts_of(text, ',')) {
    const auto parts = parts_of(entry, ';');
    const auto [key, value] = pair_of(parts.front());
    if (key == "header" && out.header.empty() && !out.cookie && parts.size() == 1) {
      if (!check_header_name(value).empty()) return "must name a header by a token such as x-user";
      out.header = value;
    } else if (key == "cookie" && !out.cookie) {
      if (const auto rule = read_cookie(parts, value, out.cookie.emplace()); !rule.empty())
        return rule;
    } else {
      return form;
    }
  }
  return {};
}

void read_precedence(Reading& reading, const Element& root, const Meta& meta, VirtualService& out) {
  const auto label = meta.labels.find("graymesh.io/precedence");
  const Element* element = own(root, "labels", "graymesh.io/precedence");
  if (label == meta.labels.end() || element == nullptr) return;
  if (label->second == "release") {
    out.precedence = Precedence::release;
  } else if (label->second == "default") {
    out.precedence = Precedence::default_;
  } else {
    reading.error(*element, {}, "must be release or default, or not be there: the team's own");
    return;
  }
  if (out.hosts.empty())
    reading.error(*element, {}, "must not be on a delegate (a VirtualService without hosts)");
}

}  // namespace

void read_own(Reading& reading, const Element& root, const Meta& meta, VirtualService& out) {
  read_precedence(reading, root, meta, out);
  const auto annotation = meta.annotations.find("graymesh.io/sticky");
  const Element* element = own(root, "annotations", "graymesh.io/sticky");
  if (annotation == meta.annotations.end() || element == nullptr) return;
  Sticky sticky;
  if (const auto rule = read_sticky(annotation->second, sticky); !rule.empty()) {
    reading.error(*element, {}, rule);
    return;
  }
  for (auto& http : out.http) http.sticky = sticky;
}

void read_own(Reading& reading, const Element& root, const Meta& meta, DestinationRule& out) {
  const auto annotation = meta.annotations.find("graymesh.io/fallback");
  const Element* element = own(root, "annotations", "graymesh.io/fallback");
  if (annotation == meta.annotations.end() || element == nullptr) return;
  for (const std::string_view entry : parts_of(annotation->second, ',')) {
    const auto [from, to] = pair_of(entry);
    if (const auto rule = bad_fallback(out, from, to); !rule.empty()) {
      reading.error(*element, {}, rule);
      return;
    }
    find(out, from)->fallback = to;
  }
  for (const auto& subset : out.subsets) {
    const Subset* next = subset.fallback.empty() ? nullptr : find(out, subset.fallback);
    if (next != nullptr && !next->fallback.empty())
      reading.error(
          *element, {},
          fmt::format("must not lead on from {}, to which {} falls back", next->name, subset.name));
  }
}

}  // namespace graymesh::model
