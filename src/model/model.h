// The nouns users write, and the way in: bytes of YAML or JSON to checked objects.
//
// Every document of a file stands alone: one that cannot be read or does not hold to the rules of
// its kind is a refusal of its own, and the others are read all the same. All problems of a
// document are reported together, each with its line, field, value and rule. In Istio's kinds (and
// ours) unknown fields and duplicate keys are errors; Kubernetes objects are read as people export
// them, and only what we use is looked at. Istio's kinds that are not supported yet are objects
// with a warning; other kinds that we don't know are passed over and counted.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "model/edge.h"
#include "model/mesh_config.h"
#include "model/meta.h"
#include "model/policy.h"
#include "model/release.h"
#include "model/traffic.h"
#include "model/workload.h"

namespace graymesh::model {

// Of a kind of Istio's that has no effect here yet: only its metadata is read, and a warning says
// so.
struct Unsupported {};

// In the order of Kind.
using Spec = std::variant<Namespace, Node, Pod, Service, EndpointSlice, VirtualService,
                          DestinationRule, ServiceEntry, WorkloadEntry, Gateway, Sidecar,
                          Unsupported, Application, GrayRelease, Lane, Environment>;

struct Object {
  Meta meta;
  Spec spec;
  std::vector<Problem> warnings;  // what is accepted but without effect (not supported yet)
  std::string text;  // the document as it was written, for `get -o yaml`; may be shared by files

  // The spec, which must be of type T.
  template <typename T>
  const T& as() const {
    return std::get<T>(spec);
  }
};

using ObjectPtr = std::shared_ptr<const Object>;

// One document of a file. Exactly one of three: an object; refused (with errors; the key if it
// could be read, so that its last good state can go on); or passed over (a kind of neither Istio's
// nor ours, an empty document).
struct Document {
  ObjectPtr object;             // null unless good
  std::optional<Key> key;       // known also for most refused documents
  std::vector<Problem> errors;  // non-empty if refused
  std::string passed_over;      // "apps/v1 Deployment" for kinds that we don't know
  Position position;
  std::size_t begin = 0;  // byte range of the document in the file, without its `---` line,
  std::size_t end = 0;    // for editing one document of many in place
  bool in_list = false;   // an item of a List: its range is indented, or inside JSON
  std::string text;       // of a refused document, as written
};

// What foreign bytes may cost. Reasons: a mesh of 10,000 services in one file has some 30,000
// documents; real objects nest under 20 deep; aliases are expanded, so they are counted as copies.
struct ReadLimits {
  std::size_t documents_max = 200'000;
  std::size_t nodes_max = 4'000'000;  // per document, after aliases; some 100 bytes each
  std::size_t depth_max = 64;
  std::size_t object_bytes_max = 4u << 20;
};

// Never fails as a whole: bytes that are no YAML give one refused Document. JSON is YAML here; a
// `List` (kind: List, or PodList...) is its items.
std::vector<Document> read(std::string_view bytes, const std::string& file,
                           const ReadLimits& limits = {});

// The problems, all of them, if the MeshConfig cannot be used.
struct ReadMeshConfig {
  MeshConfig config;
  std::vector<Problem> errors;    // non-empty: config must not be used
  std::vector<Problem> warnings;  // known fields of Istio's without effect here
};
ReadMeshConfig read_mesh_config(std::string_view bytes, const std::string& file);

// "reviews" in namespace "shop" is "reviews.shop.svc.cluster.local"; a name with a dot, or a
// wildcard, stays as it is (Istio's rule).
std::string full_host(std::string_view host, std::string_view namespace_);

// Istio's host patterns: "*", "*.example.com", "web.shop.svc.cluster.local".
// True if every host matched by `specific` is matched by `pattern`.
bool host_matches(std::string_view pattern, std::string_view specific);

// True if Envoy knows every command in a header's value: "%REQ(x-lane)%", "100%%". It refuses
// values such as "%LANE%" and "%REQ()%", and with one of them the whole route table.
bool is_header_format(std::string_view value);

// True if every label of `selector` is among `labels`; an empty selector selects all.
bool selects(const Labels& selector, const Labels& labels);

}  // namespace graymesh::model
