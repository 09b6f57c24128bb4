#include "release/workload/record.h"

#include <fmt/core.h>

#include <array>
#include <limits>

#include "base/json.h"
#include "release/workload/address.h"

namespace graymesh::workload {
namespace {

using Json = nlohmann::json;
using std::chrono::milliseconds;

constexpr std::array<std::string_view, 4> probe_kinds = {"none", "http", "tcp", "command"};
constexpr std::array<std::string_view, 6> phases = {"starting", "ready",       "unready",
                                                    "crashing", "terminating", "stopping"};

// Reads the fields of one JSON object and notes what is wrong with them.
class Fields {
 public:
  Fields(const Json& object, std::string path, std::vector<std::string>& faults)
      : object_(object), path_(std::move(path)), faults_(faults) {
    if (!object.is_object()) fault("", "must be an object");
  }

  const Json* find(const char* key) const {
    if (!object_.is_object()) return nullptr;
    const auto found = object_.find(key);
    return found == object_.end() ? nullptr : &*found;
  }
  void read(const char* key, std::string& out) const {
    const Json* json = find(key);
    if (json == nullptr) return;
    if (!json->is_string()) return fault(key, "must be a string");
    out = json->get_ref<const std::string&>();
  }
  void read(const char* key, bool& out) const {
    const Json* json = find(key);
    if (json == nullptr) return;
    if (!json->is_boolean()) return fault(key, "must be true or false");
    out = json->get<bool>();
  }
  void read(const char* key, double& out) const {
    const Json* json = find(key);
    if (json == nullptr) return;
    if (!json->is_number()) return fault(key, "must be a number");
    out = json->get<double>();
  }
  template <typename T>
  requires(std::is_integral_v<T>) void read(const char* key, T& out) const {
    const Json* json = find(key);
    if (json == nullptr) return;
    if (!json->is_number_integer()) return fault(key, "must be a whole number");
    if (json->is_number_unsigned() ? !std::in_range<T>(json->get<std::uint64_t>())
                                   : !std::in_range<T>(json->get<std::int64_t>())) {
      return fault(key, fmt::format("must be {} to {}", std::numeric_limits<T>::min(),
                                    std::numeric_limits<T>::max()));
    }
    out = json->get<T>();
  }
  void read(const char* key, milliseconds& out) const {
    std::int64_t count = out.count();
    read(key, count);
    out = milliseconds(count);
  }
  void read(const char* key, std::vector<std::string>& out) const {
    const Json* json = find(key);
    if (json == nullptr) return;
    if (!json->is_array()) return fault(key, "must be a list of strings");
    out.clear();
    for (const Json& entry : *json) {
      if (!entry.is_string()) return fault(key, "must be a list of strings");
      out.push_back(entry.get<std::string>());
    }
  }
  template <typename Map>
  requires(std::is_same_v<typename Map::mapped_type, std::string>) void read(const char* key,
                                                                             Map& out) const {
    const Json* json = find(key);
    if (json == nullptr) return;
    if (!json->is_object()) return fault(key, "must be an object of strings");
    for (const auto& [name, value] : json->items()) {
      if (!value.is_string()) return fault(key, "must be an object of strings");
      out[name] = value.template get<std::string>();
    }
  }
  template <typename Enum, std::size_t N>
  void read(const char* key, const std::array<std::string_view, N>& names, Enum& out) const {
    std::string text;
    read(key, text);
    if (find(key) == nullptr) return;
    for (std::size_t i = 0; i < N; ++i) {
      if (names[i] == text) return void(out = static_cast<Enum>(i));
    }
    fault(key, fmt::format("is {:?}, which is none of ours", text));
  }
  void need(const char* key, const std::string& value) const {
    if (value.empty()) fault(key, "must be there");
  }
  std::string path(std::string_view key) const {
    return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
  }
  void fault(std::string_view key, std::string_view rule) const {
    faults_.push_back(fmt::format("{} {}", path(key), rule));
  }
  std::vector<std::string>& faults() const { return faults_; }

 private:
  const Json& object_;
  std::string path_;
  std::vector<std::string>& faults_;
};

Json write(const Probe& probe) {
  return {{"kind", probe_kinds[static_cast<std::size_t>(probe.kind)]},
          {"path", probe.path},
          {"port", probe.port},
          {"command", probe.command},
          {"initial_delay_ms", probe.initial_delay.count()},
          {"period_ms", probe.period.count()},
          {"timeout_ms", probe.timeout.count()},
          {"failures_max", probe.failures_max},
          {"successes_min", probe.successes_min}};
}

void read(const Fields& parent, const char* key, Probe& probe) {
  const Json* json = parent.find(key);
  if (json == nullptr) return;
  const Fields fields(*json, parent.path(key), parent.faults());
  fields.read("kind", probe_kinds, probe.kind);
  fields.read("path", probe.path);
  fields.read("port", probe.port);
  fields.read("command", probe.command);
  fields.read("initial_delay_ms", probe.initial_delay);
  fields.read("period_ms", probe.period);
  fields.read("timeout_ms", probe.timeout);
  fields.read("failures_max", probe.failures_max);
  fields.read("successes_min", probe.successes_min);
}

Json write(const Template& pod) {
  Json ports = Json::array();
  for (const Port& port : pod.ports) {
    ports.push_back({{"name", port.name}, {"number", port.number}});
  }
  return {{"labels", pod.labels},
          {"command", pod.command},
          {"environment", pod.environment},
          {"directory", pod.directory},
          {"ports", std::move(ports)},
          {"readiness", write(pod.readiness)},
          {"liveness", write(pod.liveness)},
          {"startup", write(pod.startup)},
          {"drain_ms", pod.drain.count()},
          {"stop_ms", pod.stop.count()},
          {"memory_bytes_max", pod.memory_bytes_max},
          {"cpus_max", pod.cpus_max},
          {"gateway", pod.gateway},
          {"sidecar", pod.sidecar},
          {"service_account", pod.service_account}};
}

void read_ports(const Fields& parent, std::vector<Port>& out) {
  const Json* json = parent.find("ports");
  if (json == nullptr) return;
  if (!json->is_array()) return parent.fault("ports", "must be a list");
  for (const Json& entry : *json) {
    const Fields fields(entry, parent.path("ports[]"), parent.faults());
    fields.read("name", out.emplace_back().name);
    fields.read("number", out.back().number);
  }
}

void read(const Fields& parent, const char* key, Template& pod) {
  const Json* json = parent.find(key);
  if (json == nullptr) return parent.fault(key, "must be there");
  const Fields fields(*json, key, parent.faults());
  fields.read("labels", pod.labels);
  fields.read("command", pod.command);
  fields.read("environment", pod.environment);
  fields.read("directory", pod.directory);
  read_ports(fields, pod.ports);
  read(fields, "readiness", pod.readiness);
  read(fields, "liveness", pod.liveness);
  read(fields, "startup", pod.startup);
  fields.read("drain_ms", pod.drain);
  fields.read("stop_ms", pod.stop);
  fields.read("memory_bytes_max", pod.memory_bytes_max);
  fields.read("cpus_max", pod.cpus_max);
  fields.read("gateway", pod.gateway);
  fields.read("sidecar", pod.sidecar);
  fields.read("service_account", pod.service_account);
}

std::string dump(const Json& json) {
  // Bytes that are not UTF-8 (the last line of a log) become U+FFFD instead of an exception.
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Error failure(const std::string& where, const std::vector<std::string>& faults) {
  std::string message = where;
  for (const auto& fault : faults) message += (&fault == &faults[0] ? ": " : "; ") + fault;
  return {Code::data_loss, std::move(message)};
}

// `read_fields` is given the Fields of the whole document.
template <typename T, typename ReadFields>
Result<T> read_document(std::string_view text, const std::string& where, ReadFields read_fields) {
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) return failure(where, {"is not JSON"});
  std::vector<std::string> faults;
  T value;
  read_fields(Fields(json, "", faults), value);
  if (!faults.empty()) return failure(where, faults);
  return value;
}

}  // namespace

std::string_view name_of(Instance::Phase phase) { return phases[static_cast<std::size_t>(phase)]; }

std::string write_spec(const Spec& spec) {
  return dump({{"namespace", spec.namespace_},
               {"group", spec.group},
               {"name", spec.name},
               {"address", spec.address},
               {"template", write(spec.pod)},
               {"control_planes", spec.control_planes},
               {"sidecar_concurrency", spec.sidecar_concurrency},
               {"sidecar_args", spec.sidecar_args}});
}

Result<Spec> read_spec(std::string_view json, const std::string& where) {
  return read_document<Spec>(json, where, [](const Fields& fields, Spec& spec) {
    fields.read("namespace", spec.namespace_);
    fields.read("group", spec.group);
    fields.read("name", spec.name);
    fields.read("address", spec.address);
    fields.need("namespace", spec.namespace_);
    fields.need("group", spec.group);
    fields.need("name", spec.name);
    if (!parse_loopback(spec.address)) fields.fault("address", "must be in 127.0.0.0/10");
    read(fields, "template", spec.pod);
    fields.read("control_planes", spec.control_planes);
    fields.read("sidecar_concurrency", spec.sidecar_concurrency);
    fields.read("sidecar_args", spec.sidecar_args);
    if (spec.pod.command.empty() && !spec.pod.sidecar) {
      fields.fault("template.command", "must be there, for there is no sidecar");
    }
  });
}

std::string write_state(const State& state) {
  return dump({{"phase", name_of(state.phase)},
               {"ready", state.phase == Instance::Phase::ready},  // for people
               {"ended", state.ended},
               {"restarts", state.restarts},
               {"message", state.message},
               {"since_ms", state.since_ms},
               {"keeper", state.keeper},
               {"application", state.application},
               {"sidecar", state.sidecar},
               {"limits", state.limits}});
}

Result<State> read_state(std::string_view json, const std::string& where) {
  return read_document<State>(json, where, [](const Fields& fields, State& state) {
    fields.read("phase", phases, state.phase);
    fields.read("ended", state.ended);
    fields.read("restarts", state.restarts);
    fields.read("message", state.message);
    fields.read("since_ms", state.since_ms);
    fields.read("keeper", state.keeper);
    fields.read("application", state.application);
    fields.read("sidecar", state.sidecar);
    fields.read("limits", state.limits);
  });
}

std::string application_address(const Spec& spec) {
  if (!spec.pod.sidecar) return spec.address;
  const auto parsed = parse_loopback(spec.address);
  return parsed ? to_string(twin(*parsed)) : spec.address;
}

}  // namespace graymesh::workload
