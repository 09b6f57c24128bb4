// Files as people write, export, break and attack them.
#include "model/model.h"

#include <fmt/core.h>

#include <ctime>

#include "model/testing.h"

namespace graymesh::model {
namespace {

using namespace testing;

constexpr std::string_view namespace_a = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n";

TEST(Documents, OfOneFileStandAlone) {
  const std::string file = std::string(namespace_a) +
                           "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: [}\n---\n" +
                           "apiVersion: v1\nkind: Namespace\nmetadata: {name: c}\n";
  const auto documents = read(file, "f.yaml");
  ASSERT_EQ(documents.size(), 3u);
  EXPECT_EQ(documents[0].key, (Key{Kind::namespace_, "", "a"}));
  EXPECT_EQ(
      lines_of(documents[1].errors),
      Lines{"f.yaml:7: is not YAML: did not find expected node content while parsing a flow node"});
  EXPECT_EQ(documents[1].text, "apiVersion: v1\nkind: Namespace\nmetadata: {name: [}\n");
  EXPECT_EQ(documents[2].key, (Key{Kind::namespace_, "", "c"}));
  EXPECT_EQ(documents[2].position, (Position{"f.yaml", 9}));
}

TEST(Documents, KnowTheirBytesAndTheirText) {
  const std::string file =
      "# head\n---\n" + std::string(namespace_a) + "...\n---\n" + std::string(namespace_a);
  const auto documents = read(file, "f.yaml");
  ASSERT_EQ(documents.size(), 2u);
  for (const auto& document : documents) {
    EXPECT_EQ(file.substr(document.begin, document.end - document.begin), namespace_a);
    EXPECT_EQ(document.object->text, namespace_a);
    EXPECT_EQ(document.object->meta.content, documents[0].object->meta.content);
  }
}

TEST(Documents, OfListsAreItsItems) {
  const std::string file =
      "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Namespace\n  metadata:\n    "
      "name: a\n"
      "- apiVersion: v1\n  kind: Node\n  metadata:\n    name: n\n";
  const auto documents = read(file, "f.yaml");
  ASSERT_EQ(documents.size(), 2u);
  EXPECT_EQ(documents[0].object->text, "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n");
  EXPECT_TRUE(documents[0].in_list);
  EXPECT_EQ(to_string(*documents[1].key), "Node n");
  EXPECT_EQ(documents[1].position.line, 8);
}

TEST(Documents, OfTypedListsNeedNotSayTheirKind) {
  const auto documents = read(
      R"({"apiVersion": "v1", "kind": "NamespaceList", "items": [{"metadata": {"name": "a"}}]})",
      "f.json");
  ASSERT_EQ(documents.size(), 1u);
  EXPECT_EQ(to_string(*documents[0].key), "Namespace a");
}

TEST(Documents, OfKindsWeDoNotKnowArePassedOver) {
  const auto documents =
      read("apiVersion: apps/v1\nkind: Deployment\nspec: {replicas: 3}\n", "f.yaml");
  ASSERT_EQ(documents.size(), 1u);
  EXPECT_EQ(documents[0].passed_over, "apps/v1 Deployment");
}

TEST(Documents, OfIstiosOtherKindsAreObjectsWithAWarning) {
  const Object deny = object_of(
      "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
      "metadata: {name: deny, namespace: shop, annotations: {istio.io/dry-run: 'true'}}\n"
      "spec: {action: DENY, rules: [{}], anything: 1, anything: 2}\n");
  EXPECT_EQ(to_string(deny.meta.key), "AuthorizationPolicy shop/deny");
  EXPECT_EQ(deny.meta.key.kind, Kind::unsupported);
  EXPECT_EQ(lines_of(deny.warnings),
            Lines{"f.yaml:2 AuthorizationPolicy shop/deny: kind AuthorizationPolicy, is not "
                  "supported yet: nobody enforces it"});
  for (const std::string kind :
       {"networking.istio.io/v1alpha3 EnvoyFilter", "networking.istio.io/v1 WorkloadGroup",
        "networking.istio.io/v1beta1 ProxyConfig", "telemetry.istio.io/v1 Telemetry",
        "extensions.istio.io/v1alpha1 WasmPlugin"}) {
    const std::string name = kind.substr(kind.find(' ') + 1);
    EXPECT_EQ(warnings_of("apiVersion: " + kind.substr(0, kind.find(' ')) + "\nkind: " + name +
                          "\nmetadata: {name: x}\n"),
              Lines{fmt::format("f.yaml:2 {0} default/x: kind {0}, is not supported yet: no effect",
                                name)});
  }
}

TEST(Documents, OfIstiosOtherKindsHaveANameOfTheirOwnKind) {
  const std::string text = "apiVersion: security.istio.io/v1\nkind: ";
  const auto documents = read(text + "AuthorizationPolicy\nmetadata: {name: x}\n---\n" + text +
                                  "PeerAuthentication\nmetadata: {name: x}\n",
                              "f.yaml");
  ASSERT_EQ(documents.size(), 2u);
  EXPECT_NE(documents[0].key, documents[1].key);
  EXPECT_EQ(errors_of(text + "AuthorizationPolicy\nmetadata: {namespace: shop}\n"),
            Lines{"f.yaml:3 AuthorizationPolicy shop/: metadata.name is required"});
}

TEST(Documents, InVersionsNobodyServesAreRefused) {
  EXPECT_EQ(errors_of("apiVersion: networking.istio.io/v2\nkind: Gateway\nmetadata: {name: x}\n"),
            Lines{"f.yaml:1 Gateway default/x: apiVersion networking.istio.io/v2, must be one of "
                  "the served versions of networking.istio.io: v1, v1beta1, v1alpha3"});
}

TEST(Documents, OfMisspeltKindsAreRefused) {
  EXPECT_EQ(
      errors_of("apiVersion: networking.istio.io/v1\nkind: VirtualServce\nmetadata: {name: x}\n"),
      Lines{"f.yaml:2: kind VirtualServce, is not a kind of networking.istio.io; did you mean "
            "VirtualService?"});
}

TEST(Documents, WithoutAKindAreRefused) {
  EXPECT_EQ(errors_of("replicas: 3\n"),
            (Lines{"f.yaml:1: apiVersion is required", "f.yaml:1: kind is required"}));
  EXPECT_EQ(errors_of("just text\n"), Lines{"f.yaml:1: must be a mapping"});
}

TEST(Files, WithNothingInThemHaveNoDocuments) {
  for (const std::string_view file : {"", "\n\n", "# only a comment\n", "---\n---\n# a\n...\n",
                                      "\xEF\xBB\xBF", "%YAML 1.2\n---\n"}) {
    EXPECT_TRUE(read(file, "f.yaml").empty()) << file;
  }
  EXPECT_EQ(read("---\nnull\n", "f.yaml").at(0).passed_over, "empty document");
}

TEST(Files, OfBytesThatAreNoTextAreRefused) {
  using namespace std::string_view_literals;
  EXPECT_EQ(errors_of("\x7F"
                      "ELF\x02\x01\x01\0\0\0\n\0"sv),
            Lines{"f.yaml:1: is binary (it has a zero byte), must be YAML or JSON"});
  EXPECT_EQ(errors_of("a: \xC3\x28\n"),
            Lines{"f.yaml:1: is not UTF-8, must be YAML or JSON in UTF-8"});
  EXPECT_EQ(errors_of("\xFF\xFE"
                      "a\0:\0 \0b\0"sv),
            Lines{"f.yaml:1: is UTF-16, must be UTF-8"});
}

TEST(Files, CanBeJsonAndYamlWithWindowsLines) {
  EXPECT_EQ(
      object_of(
          R"(  {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a", "annotations": {"b": "\ud83d\ude00"}}})")
          .meta.annotations.at("b"),
      "\xF0\x9F\x98\x80");
  EXPECT_EQ(read("---\r\napiVersion: v1\r\nkind: Node\r\nmetadata: {name: n}\r\n---\r\n", "f.yaml")
                .at(0)
                .object->meta.key.name,
            "n");
}

TEST(Files, TakeTenThousandDocuments) {
  std::string file;
  for (int i = 0; i < 10'000; ++i)
    file += "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: n" + std::to_string(i) + "}\n";
  EXPECT_EQ(read(file, "f.yaml").size(), 10'000u);
}

TEST(Files, WithMoreDocumentsThanTheLimitAreCutThere) {
  std::string file;
  for (int i = 0; i < 5; ++i) file += std::string(namespace_a) + "---\n";
  const auto documents = read(file, "f.yaml", {.documents_max = 3});
  ASSERT_EQ(documents.size(), 4u);
  EXPECT_EQ(lines_of(documents[3].errors),
            Lines{"f.yaml:13: has more than 3 documents; the rest is not read"});
}

TEST(Objects, LargerThanTheLimitAreRefused) {
  const std::string file = std::string(namespace_a) + "# " + std::string(100, 'x') + "\n";
  EXPECT_EQ(lines_of(read(file, "f.yaml", {.object_bytes_max = 100}).at(0).errors),
            Lines{"f.yaml:1: is larger than 100 bytes"});
}

TEST(Objects, WithABillionLaughsAreRefusedAtOnce) {
  std::string file = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n";
  for (int i = 1; i < 10; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    file += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 10; ++j) file += before + (j < 9 ? ", " : "]\n");
  }
  const std::clock_t begin = std::clock();  // of this process: others may keep the machine busy
  EXPECT_EQ(errors_of(file),
            Lines{"f.yaml:7: has more than 4000000 nodes, aliases counted as copies"});
  EXPECT_LT(std::clock() - begin, CLOCKS_PER_SEC / 2);
}

TEST(Objects, NestedTooDeepAreRefused) {
  EXPECT_EQ(errors_of("a: " + std::string(100, '[')),
            Lines{"f.yaml:1: is nested deeper than 64 levels"});
  EXPECT_EQ(errors_of(std::string(100'000, '[')),
            Lines{"f.yaml:1: is nested deeper than 64 levels"});
  EXPECT_EQ(errors_of(std::string(100'000, '{')).size(), 1u);
}

TEST(Objects, WithVeryManyBadPartsAreRefusedSoon) {
  std::string hosts, unknown, ports;
  for (int i = 0; i < 100'000; ++i) {
    hosts += "a" + std::to_string(i) + ".com, ";
    unknown += "  x" + std::to_string(i) + ": 1\n";
    ports += "- {a: 1, a: 2}\n";
  }
  // Comparing each with each would take minutes, and so meet the test's time limit.
  EXPECT_EQ(errors_of(of_kind("VirtualService", "  hosts: [" + hosts + "\"*.com\"]\n")).size(), 2u);
  EXPECT_EQ(errors_of(of_kind("VirtualService", unknown)).size(), 100u);
  EXPECT_EQ(read("kind: List\napiVersion: v1\nitems:\n" + ports, "f.yaml").size(), 100'000u);
}

TEST(Objects, GiveEachKeyOnce) {
  EXPECT_EQ(errors_of("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n  labels: {x: a, x: "
                      "b}\n  name: b\n"),
            (Lines{"f.yaml:5 Namespace a: metadata.labels.x b, must be given only once",
                   "f.yaml:6 Namespace a: metadata.name b, must be given only once"}));
}

TEST(Objects, MayHaveDoubleKeysWhereOnlyMachinesWrite) {
  EXPECT_EQ(errors_of("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n  managedFields: "
                      "[{a: 1, a: 2}]\nstatus: {phase: x, phase: y}\n"),
            Lines{});
}

TEST(Objects, KeepWhatKubernetesAddsToThem) {
  const Object object = object_of(R"(apiVersion: networking.istio.io/v1beta1
kind: Gateway
metadata:
  name: x
  namespace: shop
  creationTimestamp: "2024-05-01T12:00:00Z"
  labels: {team: a}
  annotations: {kubectl.kubernetes.io/last-applied-configuration: "{}"}
  generation: 4
  resourceVersion: "12"
  uid: 0c5a
  ownerReferences: [{kind: X}]
  finalizers: [a]
  managedFields: [{manager: kubectl}]
spec:
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]
status: {}
)");
  EXPECT_EQ(to_string(object.meta.key), "Gateway shop/x");
  EXPECT_EQ(object.meta.created, 1714564800);
  EXPECT_EQ(object.meta.api_version, "networking.istio.io/v1beta1");
  EXPECT_EQ(object.meta.labels, (Labels{{"team", "a"}}));
}

TEST(Objects, HaveNamesThatKubernetesTakes) {
  EXPECT_EQ(errors_of("apiVersion: v1\nkind: Pod\nmetadata: {name: A_b, namespace: x.y, labels: "
                      "{-a: b, c: 1}}\n"),
            (Lines{"f.yaml:3 Pod x.y/A_b: metadata.name A_b, must be a DNS name: lower-case "
                   "letters, digits, '-' and '.' inside, at most 253",
                   "f.yaml:3 Pod x.y/A_b: metadata.namespace x.y, must be a DNS label: lower-case "
                   "letters, digits and '-' inside, at most 63",
                   "f.yaml:3 Pod x.y/A_b: metadata.labels.-a b, must have a label's key: [DNS "
                   "name/]name, the name of letters, digits, '-', '_' and '.', at most 63",
                   "f.yaml:3 Pod x.y/A_b: metadata.labels.c 1, must be text; put it in quotes"}));
  EXPECT_EQ(errors_of("apiVersion: v1\nkind: Pod\nmetadata: {labels: {}}\n"),
            Lines{"f.yaml:3 Pod default/: metadata.name is required"});
}

TEST(Objects, ThatAreRefusedKeepTheirKey) {
  const auto documents = read(of_kind("Gateway", "  servers: []\n"), "f.yaml");
  EXPECT_EQ(documents.at(0).key, (Key{Kind::gateway, "default", "x"}));
}

TEST(Hosts, AreCompletedByTheirNamespace) {
  EXPECT_EQ(full_host("reviews", "shop"), "reviews.shop.svc.cluster.local");
  EXPECT_EQ(full_host("reviews.shop", "x"), "reviews.shop");
  for (const std::string_view host : {"*", "*.com", "10.0.0.1", "::1"})
    EXPECT_EQ(full_host(host, "shop"), host);
}

TEST(Hosts, AreMatchedByWildcards) {
  EXPECT_TRUE(host_matches("*", "*.com"));
  EXPECT_TRUE(host_matches("*.com", "*.example.com"));
  EXPECT_TRUE(host_matches("*.com", "example.com"));
  EXPECT_FALSE(host_matches("*.example.com", "*.com"));
  EXPECT_FALSE(host_matches("*.example.com", "example.com"));
  EXPECT_FALSE(host_matches("example.com", "*.com"));
}

TEST(Selectors, SelectByEachOfTheirLabels) {
  EXPECT_TRUE(selects({}, {{"a", "b"}}));
  EXPECT_TRUE(selects({{"a", "b"}}, {{"a", "b"}, {"c", "d"}}));
  EXPECT_FALSE(selects({{"a", "b"}, {"c", "x"}}, {{"a", "b"}, {"c", "d"}}));
}

}  // namespace
}  // namespace graymesh::model
