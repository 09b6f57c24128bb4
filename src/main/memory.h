// Gives back to the system what a storm of proxies took. glibc keeps what was freed: after a
// hundred proxies came back at once, each naming all that it holds, graymeshd stayed at twice the
// memory that it uses.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

namespace graymesh {

class GiveBack {
 public:
  GiveBack();  // begins to; before there are other threads
  ~GiveBack();

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace graymesh
