#include "api/platform.h"

namespace graymesh::api {
namespace {

constexpr std::uint64_t limit_default = 100, limit_max = 1000;

}  // namespace

Result<Page> Page::of(const httplib::Request& request) {
  Page page;
  page.limit_ =
      TRY(number_of(request, "limit", {.least = 1, .most = limit_max, .otherwise = limit_default}));
  page.after_ = request.get_param_value("continue");
  return page;
}

bool Page::add(const std::string& place, const std::function<nlohmann::json()>& make) {
  if (items_.size() == limit_) {
    more_ = true;
    return false;
  }
  last_ = place;
  items_.push_back(make());
  return true;
}

nlohmann::json Page::json() const {
  nlohmann::json out = {{"items", items_}};
  out["continue"] = more_ ? nlohmann::json(last_) : nlohmann::json();
  return out;
}

}  // namespace graymesh::api
