#include "cli/up_mesh.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "cli/platform.h"
#include "cli/table.h"
#include "model/json.h"
#include "model/model.h"

namespace graymesh::cli {
namespace {

namespace fs = std::filesystem;
using model::Kind;
using nlohmann::json;

constexpr const char* gateway_namespace = "ingress";
constexpr const char* gateway_name = "gateway";

std::string name_in(const json& object) {
  return text_at(object, "/metadata/namespace") + "/" + text_at(object, "/metadata/name");
}

class Maker {
 public:
  explicit Maker(const std::string& listen) : listen_(listen) {}

  void read(const UpSource& source) {
    for (const auto& document : model::read(source.text, source.from)) {
      for (const auto& problem : document.errors) out_.errors.push_back(model::to_string(problem));
      if (!document.passed_over.empty())
        out_.warnings.push_back(fmt::format("{}:{}: {} is no kind of graymesh's: passed over",
                                            source.from, document.position.line,
                                            document.passed_over));
      if (document.object) take(source, *document.object);
    }
  }

  UpMesh made() {
    if (out_.errors.empty() && out_.objects.empty())
      out_.errors.emplace_back("no object is in these files");
    if (!out_.errors.empty()) return std::move(out_);
    give_gateways();
    for (std::size_t i = 0; i < out_.objects.size(); ++i)
      out_.yaml += fmt::format("---\n# {}\n{}", from_[i], to_text(out_.objects[i], Output::yaml));
    return std::move(out_);
  }

 private:
  void take(const UpSource& source, const model::Object& object) {
    if (object.meta.key.kind == Kind::unsupported) return tell(object);
    const auto text = model::to_json(object.text);
    json written = text ? json::parse(*text, nullptr, false) : json();
    if (!written.is_object()) {
      out_.errors.push_back(
          fmt::format("{}:{}: cannot be written as JSON", source.from, object.meta.position.line));
      return;
    }
    const bool in_namespace = !object.meta.key.namespace_.empty();
    if (in_namespace && text_at(written, "/metadata/namespace").empty())
      written["metadata"]["namespace"] = source.namespace_;
    const std::string where = fmt::format("{}:{}", source.from, object.meta.position.line);
    const std::string key =
        fmt::format("{} {}", text_at(written, "/kind"),
                    in_namespace ? name_in(written) : text_at(written, "/metadata/name"));
    const auto [known, is_new] = seen_.emplace(key, where);
    if (!is_new) {
      out_.errors.push_back(fmt::format("{}: {} is also at {}", where, key, known->second));
      return;
    }
    const Kind kind = object.meta.key.kind;
    if (kind == Kind::application) settle(source, object.as<model::Application>(), written);
    tell(object);
    out_.objects.push_back(std::move(written));
    from_.push_back(where);
  }

  void tell(const model::Object& object) {
    for (const auto& problem : object.warnings) {
      // Told below, if it stays so.
      if (object.meta.key.kind == Kind::application && problem.field == "hosts") continue;
      out_.warnings.push_back(model::to_string(problem));
    }
  }

  // Commands and folders as the file's author sees them.
  static void settle(const UpSource& source, const model::Application& app, json& written) {
    if (app.gateway && app.run.command.empty()) return;
    const fs::path directory = fs::path(source.directory) / app.run.directory;
    written["spec"]["run"]["directory"] = directory.lexically_normal().string();
  }

  void give_gateways() {
    std::vector<std::string> declared;
    for (const json& object : out_.objects) {
      if (text_at(object, "/kind") == "Gateway") declared.push_back(name_in(object));
    }
    std::vector<std::string> chosen = declared;
    if (declared.empty()) chosen = {fmt::format("{}/{}", gateway_namespace, gateway_name)};
    for (std::size_t i = 0; i < out_.objects.size(); ++i) {
      json& object = out_.objects[i];
      if (text_at(object, "/kind") != "Application") continue;
      json& spec = object["spec"];
      if (spec.value("hosts", json::array()).empty() ||
          !spec.value("gateways", json::array()).empty())
        continue;
      if (chosen.size() > 1) {
        std::string all;
        for (const auto& one : chosen) all += (all.empty() ? "" : ", ") + one;
        out_.warnings.push_back(fmt::format(
            "{}: Application {}: its hosts are served by no gateway: name some of {} in "
            "gateways",
            from_[i], name_in(object), all));
        continue;
      }
      spec["gateways"] = chosen;
      out_.own_gateway |= declared.empty();
    }
    if (out_.own_gateway) add_gateway();
  }

  void add_gateway() {
    const auto colon = listen_.rfind(':');
    const json port = {
        {"number", std::stoi(listen_.substr(colon + 1))}, {"name", "http"}, {"protocol", "HTTP"}};
    const json meta = {{"name", gateway_name}, {"namespace", gateway_namespace}};
    add({{"apiVersion", "networking.istio.io/v1"},
         {"kind", "Gateway"},
         {"metadata", meta},
         {"spec",
          {{"selector", {{"app", gateway_name}}},
           {"servers", json::array({{{"port", port},
                                     {"bind", listen_.substr(0, colon)},
                                     {"hosts", json::array({"*"})}}})}}}});
    add({{"apiVersion", "graymesh.io/v1alpha1"},
         {"kind", "Application"},
         {"metadata", meta},
         {"spec",
          {{"gateway", true},
           {"ports", json::array({{{"name", "http"}, {"port", port["number"]}}})}}}});
  }

  void add(json object) {
    const std::string key = fmt::format("{} {}", text_at(object, "/kind"), name_in(object));
    if (const auto known = seen_.find(key); known != seen_.end()) {
      out_.errors.push_back(
          fmt::format("{}: {}: `up` makes one of that name, since no Gateway is "
                      "declared: rename it, or declare a Gateway",
                      known->second, key));
    }
    out_.objects.push_back(std::move(object));
    from_.emplace_back("made by graymesh up: hosts need a gateway, and no file declares one");
  }

  std::string listen_;
  UpMesh out_;
  std::vector<std::string> from_;            // of each object
  std::map<std::string, std::string> seen_;  // "Application fe-pre/web" and where
};

bool resolves_to_loopback(const std::string& host) {
  return host == "localhost" || host.ends_with(".localhost");  // RFC 6761 6.3
}

}  // namespace

UpMesh up_mesh(const std::vector<UpSource>& sources, const std::string& listen) {
  Maker maker(listen);
  for (const UpSource& source : sources) maker.read(source);
  return maker.made();
}

std::vector<std::string> gateway_addresses(const std::vector<json>& objects) {
  std::vector<std::string> out;
  for (const json& object : objects) {
    if (text_at(object, "/kind") != "Gateway") continue;
    for (const json& server : object["spec"].value("servers", json::array())) {
      const std::string protocol = text_at(server, "/port/protocol");
      if (protocol != "HTTP" && protocol != "HTTP2" && protocol != "GRPC") continue;
      std::string bind = text_at(server, "/bind");
      if (bind.empty() || bind == "0.0.0.0") bind = "127.0.0.1";
      out.push_back(fmt::format("{}:{}", bind, text_at(server, "/port/number")));
    }
  }
  return out;
}

std::vector<std::string> addresses_of(const json& application, const std::vector<json>& objects) {
  std::vector<std::string> out;
  const json spec = application.value("spec", json::object());
  const json names = spec.value("gateways", json::array());
  for (const json& object : objects) {
    if (text_at(object, "/kind") != "Gateway" ||
        std::find(names.begin(), names.end(), json(name_in(object))) == names.end())
      continue;
    for (const std::string& address : gateway_addresses({object})) {
      for (const json& host : spec.value("hosts", json::array())) {
        const auto& name = host.get_ref<const std::string&>();
        const std::string port = address.substr(address.rfind(':'));
        if (name.find('*') != std::string::npos) {
          out.push_back(fmt::format("http://{}/", address));
        } else if (resolves_to_loopback(name) && address.starts_with("127.0.0.1:")) {
          out.push_back(fmt::format("http://{}{}/", name, port));
        } else {
          out.push_back(fmt::format("http://{}/ -H 'Host: {}'", address, name));
        }
      }
    }
  }
  return out;
}

}  // namespace graymesh::cli
