#include "model/names.h"

namespace graymesh::model {

std::string gateway_name(std::string_view name, std::string_view namespace_) {
  if (name == "mesh") return "mesh";
  if (const auto slash = name.find('/'); slash != std::string_view::npos) {
    const std::string_view given = name.substr(0, slash);
    return std::string(given == "." ? namespace_ : given) + std::string(name.substr(slash));
  }
  // The form before Istio 1.1: "public.shop.svc.cluster.local", "public.shop".
  if (const auto dot = name.find('.'); dot != std::string_view::npos) {
    const std::string_view rest = name.substr(dot + 1);
    return std::string(rest.substr(0, rest.find('.'))) + '/' + std::string(name.substr(0, dot));
  }
  return std::string(namespace_) + '/' + std::string(name);
}

}  // namespace graymesh::model
