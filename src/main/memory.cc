#include "main/memory.h"

#include <malloc.h>
#include <signal.h>

#include <chrono>

namespace graymesh {
namespace {

// glibc would open one for each of some twenty threads; what lives long and what does not lie
// side by side in each of them, and all of them grow.
constexpr int arenas_max = 2;
constexpr std::chrono::seconds every{10};  // a trim takes some milliseconds

}  // namespace

GiveBack::GiveBack() {
  (void)::mallopt(M_ARENA_MAX, arenas_max);
  thread_ = std::thread([this] { work(); });
}

GiveBack::~GiveBack() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void GiveBack::work() {
  sigset_t all;
  ::sigfillset(&all);
  (void)::pthread_sigmask(SIG_BLOCK, &all, nullptr);  // they are for the thread that waits for them
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, every, [this] { return stop_; })) {
    lock.unlock();
    (void)::malloc_trim(0);
    lock.lock();
  }
}

}  // namespace graymesh
