// Cipher suites of TLS up to 1.2 and ECDH curves, suites in BoringSSL's language: names, ALL, `-X`,
// `+X`, `!X` to take away, put last or forbid, `[X|Y]` for equal preference.
//
// One word that Envoy does not know would cost the whole listener. As in Istio, it is dropped, and
// a warning tells so. Istio passes on unread what begins with neither letter nor digit; here it
// must lead somewhere as well.
#include <algorithm>
#include <map>
#include <set>

#include "model/kinds.h"
#include "model/rules_text.h"

namespace graymesh::model {
namespace {

using Names = std::set<std::string_view>;

// As Envoy 1.40 takes them, and what each is also called. It refuses one that is there twice, by
// whichever name.
std::string_view curve_of(std::string_view name) {
  static const std::map<std::string_view, std::string_view> curves{
      {"P-256", "P-256"},         {"prime256v1", "P-256"}, {"P-384", "P-384"},
      {"secp384r1", "P-384"},     {"P-521", "P-521"},      {"secp521r1", "P-521"},
      {"X25519", "X25519"},       {"x25519", "X25519"},    {"X25519MLKEM768", "X25519MLKEM768"},
      {"MLKEM1024", "MLKEM1024"},
  };
  const auto at = curves.find(name);
  return at == curves.end() ? std::string_view{} : at->second;
}

// Istio's pkg/config/security, each accepted by Envoy 1.40. TLS 1.3 has suites of its own, which
// nobody can choose among.
const Names& all_names() {
  static const Names names{
      "AES128-GCM-SHA256",
      "AES128-SHA",
      "AES256-GCM-SHA384",
      "AES256-SHA",
      "DES-CBC3-SHA",
      "ECDHE-ECDSA-AES128-GCM-SHA256",
      "ECDHE-ECDSA-AES128-SHA",
      "ECDHE-ECDSA-AES256-GCM-SHA384",
      "ECDHE-ECDSA-AES256-SHA",
      "ECDHE-ECDSA-CHACHA20-POLY1305",
      "ECDHE-RSA-AES128-GCM-SHA256",
      "ECDHE-RSA-AES128-SHA",
      "ECDHE-RSA-AES256-GCM-SHA384",
      "ECDHE-RSA-AES256-SHA",
      "ECDHE-RSA-CHACHA20-POLY1305",
  };
  return names;
}

bool is_known(std::string_view name) { return name == "ALL" || all_names().contains(name); }

// The list as BoringSSL reads it, word by word.
class Suites {
 public:
  // The rule that the word breaks; empty if it may stay.
  std::string_view add(std::string_view word) {
    if (is_known(word)) {
      enable(word);
      return {};
    }
    if (word.starts_with('[') && word.ends_with(']'))
      return add_group(word.substr(1, word.size() - 2));
    const bool operation = word.starts_with('-') || word.starts_with('+') || word.starts_with('!');
    if (!operation || !is_known(word.substr(1)))
      return "is no cipher suite of TLS 1.2 or older that Envoy knows: it is left out";
    if (grouped_) return "must not stand behind a group in brackets: it is left out";
    operate(word.front(), word.substr(1));
    return {};
  }

  bool none() const { return enabled_.empty(); }

 private:
  // Of all_names(): what was read need not stay where it is.
  static Names named(std::string_view name) {
    return name == "ALL" ? all_names() : Names{*all_names().find(name)};
  }

  void enable(std::string_view name) {
    for (const auto each : named(name)) {
      if (!forbidden_.contains(each)) enabled_.insert(each);
    }
  }

  void operate(char operation, std::string_view name) {
    if (operation == '+') return;
    for (const auto each : named(name)) {
      enabled_.erase(each);
      if (operation == '!') forbidden_.insert(each);
    }
  }

  std::string_view add_group(std::string_view inside) {
    const auto names = rules::parts_of(inside, '|');
    if (!std::all_of(names.begin(), names.end(), is_known))
      return "must be a group of cipher suites such as [X|Y]: it is left out";
    for (const auto name : names) enable(name);
    grouped_ = true;
    return {};
  }

  Names enabled_, forbidden_;
  bool grouped_ = false;
};

// The words of a list, but empty ones and those with which `take` finds something wrong: of these a
// warning tells what.
template <typename Take>
void keep_words(Fields& f, std::string_view name, std::vector<std::string>& out, const Take& take) {
  const Element* list = f.find(name);
  std::vector<std::string> words;
  f.texts(name, words);
  if (list == nullptr || words.size() != list->size) return;
  const Element* item = list->first;
  for (std::string& word : words) {
    const Element& node = *item;
    item = item->next;
    if (word.empty()) continue;
    if (const std::string_view wrong = take(word); wrong.empty())
      out.push_back(std::move(word));
    else
      f.reading().warn(node, {}, wrong);
  }
}

constexpr std::string_view twice = "is there twice";

}  // namespace

void read_cipher_suites(Fields& f, std::vector<std::string>& out) {
  Suites suites;
  std::set<std::string> seen;
  keep_words(f, "cipherSuites", out, [&](const std::string& word) {
    if (seen.contains(word)) return twice;
    const std::string_view wrong = suites.add(word);
    if (wrong.empty()) seen.insert(word);
    return wrong;
  });
  if (out.empty() || !suites.none()) return;
  f.warn("cipherSuites", "leaves no cipher suite: Envoy's own choice holds");
  out.clear();
}

void read_ecdh_curves(Fields& f, std::vector<std::string>& out) {
  std::set<std::string_view> seen;
  keep_words(f, "ecdhCurves", out, [&](const std::string& word) -> std::string_view {
    const std::string_view curve = curve_of(word);
    if (curve.empty()) return "is no curve that Envoy knows: it is left out";
    return seen.insert(curve).second ? "" : twice;
  });
}

}  // namespace graymesh::model
