#include "model/tree.h"

#include <gtest/gtest.h>

#include "model/scalars.h"

namespace graymesh::model {
namespace {

using namespace std::chrono_literals;

TEST(Tree, KnowsLinesAndQuotes) {
  const Tree tree = parse("a: 1\nb:\n  - 'x'\n  - y\n", 10);
  ASSERT_NE(tree.root, nullptr);
  EXPECT_EQ(tree.root->find("a")->line, 10);
  EXPECT_EQ(tree.root->find("b")->line, 11);
  EXPECT_EQ(tree.root->find("b")->first->line, 12);
  EXPECT_FALSE(tree.root->find("b")->first->plain);
  EXPECT_TRUE(tree.root->find("b")->first->next->plain);
}

TEST(Tree, ReadsJsonAndYamlAlike) {
  const Tree json = parse("{\"a\": [1, true, null, \"x\\n\\u00e9\"],\n \"b\": {\"c\": -1.5e3}}");
  const Element* a = json.root->find("a");
  ASSERT_EQ(a->size, 4u);
  EXPECT_TRUE(a->first->next->next->is_null());
  EXPECT_EQ(a->first->next->next->next->text, "x\n\xC3\xA9");
  EXPECT_EQ(json.root->find("b")->line, 2);
  EXPECT_EQ(json.root->find("b")->find("c")->text, "-1.5e3");
  EXPECT_EQ(parse("{a: [b, {c: d}]}").root->find("a")->size, 2u);
}

TEST(Tree, ExpandsAliasesAndMergeKeys) {
  const Tree tree =
      parse("base: &b {x: 1, y: 2}\nmore: &m {y: 3, z: 4}\nall: {<<: [*b, *m], x: 0}\nsame: *b\n");
  const Element* all = tree.root->find("all");
  ASSERT_NE(all, nullptr);
  EXPECT_EQ(all->find("x")->text, "0");
  EXPECT_EQ(all->find("y")->text, "2");
  EXPECT_EQ(all->find("z")->text, "4");
  EXPECT_EQ(all->size, 3u);
  EXPECT_EQ(tree.root->find("same")->find("y")->text, "2");
  EXPECT_TRUE(tree.duplicates.empty());
}

std::string rule_of(std::string_view text, const TreeLimits& limits = {}) {
  const Tree tree = parse(text, 1, limits);
  return tree.fault ? tree.fault->rule : "";
}

TEST(Tree, RefusesWhatCannotBeTaken) {
  EXPECT_EQ(rule_of("a: *b\n"), "alias *b has no anchor &b before it");
  EXPECT_EQ(rule_of("a: &a [*a]\n"), "alias *a stands inside its own anchor");
  EXPECT_EQ(rule_of("a: !mine b\n"), "tag !mine is not known here");
  EXPECT_EQ(rule_of("a: !!binary b\n"), "tag tag:yaml.org,2002:binary is not known here");
  EXPECT_EQ(rule_of("? [a]\n: b\n"), "has a key that is a mapping or a sequence, must be text");
  EXPECT_EQ(rule_of("<<: 1\n"), "merge key << must have a mapping, or a sequence of mappings");
  EXPECT_EQ(rule_of("[1, 2, 3]", {.nodes_max = 3}),
            "has more than 3 nodes, aliases counted as copies");
  EXPECT_EQ(rule_of("a: &a [[1]]\nb: [[*a]]\n", {.depth_max = 4}),
            "is nested deeper than 4 levels");
  EXPECT_EQ(rule_of("a: [1::]\n"),
            "is not YAML: found unexpected ':' while scanning a plain scalar; put it in quotes");
  EXPECT_EQ(rule_of("a: b\r---\rc: d\r"),
            "is not YAML: a second document starts without a line `---` before it");
}

TEST(Tree, TakesStandardTags) {
  const Tree tree = parse("a: !!str 1\nb: ! 2\nc: !!int 3\n");
  EXPECT_FALSE(tree.root->find("a")->plain);
  EXPECT_FALSE(tree.root->find("b")->plain);
  EXPECT_TRUE(tree.root->find("c")->plain);
}

TEST(Split, CutsAtMarksOnly) {
  const std::string_view text = "a: 1\n--- # next\nb: |\n  ---\n  x\n---no\n--- {c: d}\n";
  const auto pieces = split(text, 10);
  ASSERT_EQ(pieces.size(), 3u);
  EXPECT_EQ(text.substr(pieces[1].begin, pieces[1].end - pieces[1].begin),
            "b: |\n  ---\n  x\n---no\n");
  EXPECT_EQ(pieces[1].line, 3);
  EXPECT_EQ(text.substr(pieces[2].begin, pieces[2].end - pieces[2].begin), " {c: d}\n");
  EXPECT_EQ(pieces[2].line, 7);
}

TEST(Scalars, AreTextUnlessJsonWouldSayOtherwise) {
  for (const std::string_view other : {"1", "-1", "1.5", ".5", "1e3", "0x1F", "1_000", "true",
                                       "yes", "off", "null", "~", "", ".inf", "1.10"})
    EXPECT_TRUE(is_other_than_text(other)) << other;
  for (const std::string_view text : {"a", "1a", "v1", "1.2.3", "10.0.0.1", "0xg", "-", ".", "e3",
                                      "truely", "2024-05-01", "1e", "0o9"})
    EXPECT_FALSE(is_other_than_text(text)) << text;
}

TEST(Scalars, AreDurationsInGosWay) {
  EXPECT_EQ(to_duration("1m30s"), 90s);
  EXPECT_EQ(to_duration("0.5s"), 500ms);
  EXPECT_EQ(to_duration("100ms"), 100ms);
  EXPECT_EQ(to_duration("0"), 0s);
  for (const std::string_view bad :
       {"", "1", "s", "1 s", "-1s", "1x", "1.2.3s", "99999999999h", "1s2"})
    EXPECT_FALSE(to_duration(bad)) << bad;
}

TEST(Scalars, AreTimesOfRfc3339) {
  EXPECT_EQ(to_seconds("1970-01-01T00:00:00Z"), 0);
  EXPECT_EQ(to_seconds("2024-02-29T23:59:60.25+01:00"), 1709247600);
  for (const std::string_view bad :
       {"", "2024-05-01", "2024-13-01T00:00:00Z", "2024-05-01T00:00:00", "2024-05-01T00:00:00.Z",
        "2024-05-01T00:00:00+1"})
    EXPECT_FALSE(to_seconds(bad)) << bad;
}

TEST(Scalars, AreBase64) {
  EXPECT_EQ(from_base64("aGk="), "hi");
  EXPECT_EQ(from_base64("aGk"), "hi");
  EXPECT_EQ(from_base64(""), "");
  EXPECT_FALSE(from_base64("a"));
  EXPECT_FALSE(from_base64("a b="));
}

}  // namespace
}  // namespace graymesh::model
