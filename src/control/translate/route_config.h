// Inside the room: virtual hosts, serialised and remembered one by one, as a whole
// RouteConfiguration or each a resource of its own (docs/translation.md 4.12). A changed
// VirtualService costs its own virtual hosts, and equal ones give an equal table.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "control/resource/resource.h"
#include "control/translate/memo.h"
#include "model/model.h"

namespace graymesh::translate {

// A virtual host before it is made.
struct Host {
  std::string name;                        // in its table
  MemoKey key;                             // all that it is made from, but the name
  std::vector<const model::Key*> origins;  // the most telling first
  std::function<std::string(const std::string& name)> body;  // serialised, under that name
};

class RouteConfig {
 public:
  // `strip_ports`: the port is cut off a request's Host before it is compared with domains.
  RouteConfig(std::string name, bool strip_ports)
      : name_(std::move(name)), strip_ports_(strip_ports) {}

  void add(Host host, Memo& memo);
  // The most telling first.
  void add_origin(const model::Key& key);

  resource::ResourcePtr take(Memo& memo);

 private:
  std::string body() const;

  std::string name_;
  bool strip_ports_;
  std::vector<std::shared_ptr<const std::string>> hosts_;
  std::vector<std::string> origins_;
  std::set<std::string> known_origins_;
};

// A table whose virtual hosts come one by one, and one of them. `table` is a wire_name().
resource::ResourcePtr table_without_hosts(const std::string& table, bool strip_ports, Memo& memo);
resource::ResourcePtr host_of_table(const std::string& table, Host host, Memo& memo);

}  // namespace graymesh::translate
