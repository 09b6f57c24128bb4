// Inside the room: a RouteConfiguration put together of serialised virtual hosts, which the memo
// keeps one by one: a changed VirtualService costs its own virtual hosts, and equal ones give an
// equal table.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "control/resource/resource.h"
#include "control/translate/memo.h"
#include "model/model.h"

namespace graymesh::translate {

class RouteConfig {
 public:
  // `strip_ports`: the port is cut off a request's Host before it is compared with domains.
  RouteConfig(std::string name, bool strip_ports)
      : name_(std::move(name)), strip_ports_(strip_ports) {}

  void add(std::shared_ptr<const std::string> virtual_host) {
    hosts_.push_back(std::move(virtual_host));
  }
  // The most telling first.
  void add_origin(const model::Key& key) {
    std::string text = model::to_string(key);
    if (known_origins_.insert(text).second) origins_.push_back(std::move(text));
  }

  resource::ResourcePtr take(Memo& memo);

 private:
  std::string body() const;

  std::string name_;
  bool strip_ports_;
  std::vector<std::shared_ptr<const std::string>> hosts_;
  std::vector<std::string> origins_;
  std::set<std::string> known_origins_;
};

}  // namespace graymesh::translate
