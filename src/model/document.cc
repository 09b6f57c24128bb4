#include "model/document.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/hash.h"
#include "model/kinds.h"
#include "model/rules.h"
#include "model/scalars.h"

namespace graymesh::model {
namespace {

constexpr std::string_view istio_group = "networking.istio.io";
constexpr std::string_view istio_groups = ".istio.io";  // the end of all of Istio's
constexpr std::string_view graymesh_group = "graymesh.io";

struct KindRow {
  std::string_view group;  // empty: Kubernetes' core
  std::string_view name;
  Kind kind;
  bool cluster_wide = false;

  bool istio() const { return group == istio_group; }
  // Unknown fields are errors.
  bool strict() const { return istio() || group == graymesh_group; }
  // The name becomes a Service, a label or a header's value.
  bool short_name() const {
    return (istio() && kind == Kind::gateway) || kind == Kind::application || kind == Kind::lane;
  }
};

constexpr std::array<KindRow, 16> kinds = {{
    {"", "Namespace", Kind::namespace_, true},
    {"", "Node", Kind::node, true},
    {"", "Pod", Kind::pod},
    {"", "Service", Kind::service},
    {"", "Endpoints", Kind::endpoint_slice},
    {"discovery.k8s.io", "EndpointSlice", Kind::endpoint_slice},
    {istio_group, "VirtualService", Kind::virtual_service},
    {istio_group, "DestinationRule", Kind::destination_rule},
    {istio_group, "ServiceEntry", Kind::service_entry},
    {istio_group, "WorkloadEntry", Kind::workload_entry},
    {istio_group, "Gateway", Kind::gateway},
    {istio_group, "Sidecar", Kind::sidecar},
    {graymesh_group, "Application", Kind::application},
    {graymesh_group, "GrayRelease", Kind::gray_release},
    {graymesh_group, "Lane", Kind::lane},
    {graymesh_group, "Environment", Kind::environment},
}};

// Of networking.istio.io; what else has this group is misspelt.
constexpr std::array<std::string_view, 4> unsupported_kinds = {"EnvoyFilter", "WorkloadGroup",
                                                               "ProxyConfig", "TrafficExtension"};

// "networking.istio.io/v1" to its two parts; "v1" has no group.
std::pair<std::string_view, std::string_view> parts_of(std::string_view api_version) {
  const std::size_t slash = api_version.find('/');
  if (slash == std::string_view::npos) return {"", api_version};
  return {api_version.substr(0, slash), api_version.substr(slash + 1)};
}

std::string_view versions_of(std::string_view group) {
  if (group == istio_group) return "v1, v1beta1, v1alpha3";
  if (group == graymesh_group) return "v1alpha1";
  return group.empty() ? "v1" : "v1, v1beta1";
}

bool serves(std::string_view group, std::string_view version) {
  const std::string_view versions = versions_of(group);
  for (std::size_t at = 0; at < versions.size();) {
    const std::size_t end = std::min(versions.find(", ", at), versions.size());
    if (versions.substr(at, end - at) == version) return true;
    at = end + 2;
  }
  return false;
}

bool within(const Element* element, const Element& root) {
  while (element != nullptr && element != &root) element = element->parent;
  return element != nullptr;
}

// What machines write: nobody can mend a key that stands there twice.
bool of_machines(const Element* element, const Element& root) {
  for (; element != nullptr && element != &root; element = element->parent) {
    if (element->key == "managedFields" || (element->key == "status" && element->parent == &root))
      return true;
  }
  return false;
}

class DocumentReader {
 public:
  DocumentReader(const Tree& tree, const Element& root, std::string_view text,
                 const Document& place)
      : tree_(tree), root_(root), text_(text), place_(place) {
    reading_.file = place.position.file;
    reading_.root = &root;
    meta_.position = place.position;
  }

  std::vector<Document> run(const ObjectType& type) {
    Fields f(reading_, root_);
    if (!root_.is_mapping()) return {refused()};
    read_type(f, type);
    if (!reading_.errors.empty()) return {refused()};
    const KindRow* row = find_kind();
    if (row == nullptr && !reading_.errors.empty()) return {refused()};
    if (row == nullptr) return {of_istio() ? unsupported(f) : passed_over()};
    reading_.strict = false;
    read_meta(f, *row);
    if (row->name == "Endpoints") return read_all_subsets(f);
    reading_.strict = row->strict();
    Spec spec = read_spec(f, row->kind);
    f.known({"status"});
    f.close();
    return {finish(std::move(spec))};
  }

 private:
  void read_type(Fields& f, const ObjectType& type) {
    meta_.api_version = type.api_version;
    meta_.api_kind = type.kind;
    f.text("apiVersion", meta_.api_version);
    f.text("kind", meta_.api_kind);
    if (meta_.api_version.empty()) f.error("apiVersion", "is required");
    if (meta_.api_kind.empty()) f.error("kind", "is required");
  }

  // The kind if it is one of ours; an error if it nearly is.
  const KindRow* find_kind() {
    const auto [group, version] = parts_of(meta_.api_version);
    std::vector<std::string_view> names(unsupported_kinds.begin(), unsupported_kinds.end());
    for (const KindRow& row : kinds) {
      if (row.group != group) continue;
      names.push_back(row.name);
      if (row.name != meta_.api_kind) continue;
      name_object(row);
      if (!serves(group, version))
        reading_.error(root_, "apiVersion",
                       fmt::format("must be one of the served versions of {}: {}",
                                   group.empty() ? "the core group" : group, versions_of(group)));
      return reading_.errors.empty() ? &row : nullptr;
    }
    if ((group != istio_group && group != graymesh_group) ||
        std::find(unsupported_kinds.begin(), unsupported_kinds.end(), meta_.api_kind) !=
            unsupported_kinds.end())
      return nullptr;
    const std::string_view near = nearest(meta_.api_kind, names);
    reading_.error(root_, "kind",
                   near.empty()
                       ? fmt::format("is not a kind of {}", group)
                       : fmt::format("is not a kind of {}; did you mean {}?", group, near));
    return nullptr;
  }

  // The key, as far as it can be told, for the messages and for the last good state of the object.
  void name_object(const KindRow& row) {
    const Element* metadata = root_.find("metadata");
    const auto text = [&](std::string_view name) -> std::string {
      const Element* value = metadata != nullptr ? metadata->find(name) : nullptr;
      return value != nullptr && value->is_scalar() && !value->is_null() ? std::string(value->text)
                                                                         : std::string();
    };
    meta_.key = {row.kind, row.cluster_wide ? "" : text("namespace"), text("name")};
    if (!row.cluster_wide && meta_.key.namespace_.empty()) meta_.key.namespace_ = "default";
    reading_.object = fmt::format("{} {}{}{}", row.name, meta_.key.namespace_,
                                  row.cluster_wide ? "" : "/", meta_.key.name);
    reading_.namespace_ = meta_.key.namespace_;
    if (!meta_.key.name.empty()) key_ = meta_.key;
    if (row.name == "Endpoints") meta_.key.name.insert(0, "endpoints/");
    if (row.kind == Kind::unsupported) meta_.key.name.insert(0, fmt::format("{}/", row.name));
    if (key_) key_->name = meta_.key.name;
  }

  void read_meta(Fields& f, const KindRow& row) {
    if (!f.require("metadata")) return;
    f.visit("metadata", [&](Fields& metadata) {
      std::string name, namespace_, created;
      if (metadata.require("name"))
        metadata.text("name", name, row.short_name() ? check_dns_label : check_object_name);
      if (!row.cluster_wide)
        metadata.text("namespace", namespace_, [](std::string_view text) {
          return text.empty() ? "" : check_namespace(text);
        });
      metadata.text_map("labels", meta_.labels, check_label_key, check_label_value);
      metadata.text_map("annotations", meta_.annotations);
      if (row.istio()) refuse_internal_annotations(metadata);
      metadata.text("creationTimestamp", created);
      if (created.empty()) return;
      const auto seconds = to_seconds(created);
      if (seconds)
        meta_.created = *seconds;
      else
        metadata.error("creationTimestamp", "must be a time such as 2024-05-01T12:00:00Z");
    });
  }

  // Istio's: set by istiod alone, or for other kinds than ours.
  void refuse_internal_annotations(Fields& metadata) {
    for (const std::string_view name :
         {"internal.istio.io/parents", "internal.istio.io/parent-namespace",
          "internal.istio.io/webhook-always-reject", "istio.io/dry-run"}) {
      const Element* annotations = metadata.find("annotations");
      if (meta_.annotations.contains(name))
        reading_.error(*annotations, name, "must not be set on this object");
    }
  }

  template <typename T, typename Read>
  Spec of_spec(Fields& f, Read read) {
    T out;
    if (f.require("spec")) f.object("spec", out, read);
    return out;
  }

  // Istio's spec, and what is said beside it.
  template <typename T, typename Read>
  Spec with_own(Fields& f, Read read) {
    Spec spec = of_spec<T>(f, read);
    read_own(reading_, root_, meta_, std::get<T>(spec));
    return spec;
  }

  Spec read_spec(Fields& f, Kind kind) {
    switch (kind) {
      case Kind::namespace_:
        return of_object<Namespace>(
            f, [&](Fields& fields, Namespace& out) { read_namespace(fields, meta_, out); });
      case Kind::node:
        return of_object<Node>(f, read_node);
      case Kind::service:
        return of_object<Service>(
            f, [&](Fields& fields, Service& out) { read_service(fields, meta_, out); });
      case Kind::pod:
        return of_object<Pod>(f, [&](Fields& fields, Pod& out) { read_pod(fields, meta_, out); });
      case Kind::endpoint_slice:
        return of_object<EndpointSlice>(f, [&](Fields& fields, EndpointSlice& out) {
          read_endpoint_slice(fields, meta_, out);
        });
      case Kind::virtual_service:
        return with_own<VirtualService>(f, read_virtual_service);
      case Kind::destination_rule:
        return with_own<DestinationRule>(f, read_destination_rule);
      case Kind::service_entry:
        return with_own<ServiceEntry>(f, read_service_entry);
      case Kind::workload_entry:
        return with_own<WorkloadEntry>(f, read_workload_entry);
      case Kind::gateway:
        return of_spec<Gateway>(f, read_gateway);
      case Kind::sidecar:
        return of_spec<Sidecar>(f, read_sidecar);
      case Kind::unsupported:
        return Unsupported{};
      case Kind::application:
        return of_spec<Application>(f, read_application);
      case Kind::gray_release:
        return of_spec<GrayRelease>(f, read_gray_release);
      case Kind::lane:
        return of_spec<Lane>(f, read_lane);
      case Kind::environment:
        return of_spec<Environment>(f, read_environment);
    }
    return Namespace{};
  }

  template <typename T, typename Read>
  static Spec of_object(Fields& f, Read read) {
    T out;
    read(f, out);
    return out;
  }

  // A slice has one list of ports for all endpoints, so Endpoints with many subsets are many
  // slices: `endpoints/web`, `endpoints/web/1`, ...
  std::vector<Document> read_all_subsets(Fields& f) {
    std::vector<EndpointSlice> slices;
    f.list("subsets", slices, read_endpoints_subset);
    if (slices.empty()) slices.emplace_back().address_type = "IPv4";
    std::vector<Document> documents;
    const Key first = meta_.key;
    for (EndpointSlice& slice : slices) {
      slice.service = first.name.substr(std::string_view("endpoints/").size());
      if (!documents.empty()) meta_.key.name = fmt::format("{}/{}", first.name, documents.size());
      documents.push_back(finish(std::move(slice)));
      if (!documents.back().errors.empty()) break;
    }
    return documents;
  }

  Document finish(Spec spec) {
    if (!duplicates_told_) tell_duplicates();
    if (!reading_.errors.empty()) return refused();
    Document document = place_;
    auto object = std::make_shared<Object>();
    meta_.content = hash64(text_);
    object->meta = meta_;
    object->spec = std::move(spec);
    object->warnings = reading_.warnings;
    object->text = text_;
    document.key = meta_.key;
    document.object = std::move(object);
    return document;
  }

  void tell_duplicates() {
    duplicates_told_ = true;
    // In the order of the text: those of this item of a List stand together.
    auto duplicate = std::lower_bound(
        tree_.duplicates.begin(), tree_.duplicates.end(), root_.begin,
        [](const Element* element, std::uint32_t begin) { return element->begin < begin; });
    for (; duplicate != tree_.duplicates.end() && (*duplicate)->begin < root_.end; ++duplicate) {
      if (within(*duplicate, root_) && !of_machines(*duplicate, root_))
        reading_.error(**duplicate, {}, "must be given only once");
    }
  }

  Document refused() {
    Document document = place_;
    if (key_ && check_object_name(key_->name.substr(key_->name.find('/') + 1)).empty())
      document.key = key_;
    document.errors = reading_.errors;
    std::stable_sort(
        document.errors.begin(), document.errors.end(),
        [](const Problem& a, const Problem& b) { return a.position.line < b.position.line; });
    document.text = text_;
    return document;
  }

  bool of_istio() const { return parts_of(meta_.api_version).first.ends_with(istio_groups); }

  // Whoever wrote it relies on it, most of all on what forbids.
  Document unsupported(Fields& f) {
    const KindRow row{parts_of(meta_.api_version).first, meta_.api_kind, Kind::unsupported};
    name_object(row);
    reading_.strict = false;
    read_meta(f, row);
    reading_.warn(root_, "kind",
                  row.group == "security.istio.io" ? "is not supported yet: nobody enforces it"
                                                   : "is not supported yet: no effect");
    duplicates_told_ = true;  // its fields are not ours to judge
    return finish(Unsupported{});
  }

  Document passed_over() const {
    Document document = place_;
    document.passed_over = fmt::format("{} {}", meta_.api_version, meta_.api_kind);
    return document;
  }

  const Tree& tree_;
  const Element& root_;
  std::string_view text_;
  const Document& place_;
  Reading reading_;
  Meta meta_;
  std::optional<Key> key_;
  bool duplicates_told_ = false;
};

}  // namespace

std::vector<Document> read_document(const Tree& tree, const Element& root, const ObjectType& type,
                                    std::string_view text, const Document& place) {
  return DocumentReader(tree, root, text, place).run(type);
}

}  // namespace graymesh::model
