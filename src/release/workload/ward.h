// A process that shall run: started, what it prints kept, started again with back-off when it ends.
#pragma once

#include <poll.h>

#include <string>

#include "base/clock.h"
#include "release/workload/backoff.h"
#include "release/workload/child.h"
#include "release/workload/log.h"

namespace graymesh::workload {

class Ward {
 public:
  // `name` is "application" or "sidecar", for messages.
  Ward(const Clock& clock, std::string name, Launch launch, const std::filesystem::path& log_file);
  ~Ward();
  Ward(const Ward&) = delete;
  Ward& operator=(const Ward&) = delete;

  bool wanted() const { return !launch_.command.empty(); }
  bool running() const { return child_.pid > 0; }
  pid_t pid() const { return child_.pid; }
  int ends() const { return ends_; }  // since we began, that nobody had asked for

  void start_if_due();
  Clock::Steady next_start() const { return next_start_; }  // far away while it runs
  // Why it does not run: "application exited with code 1, 3 times in a row; next start in 0.4 s;
  // last line of its log: ...".
  const std::string& message() const { return message_; }

  // It is ready now, or not any more: health shortens the next wait.
  void healthy(bool is_healthy);

  // waitpid() gave this for pid(). Its whole group is killed. `reason`: why it was made to end.
  void fell(int wait_status, const std::string& reason);
  // The same of one that was asked to stop for good: the group may go on.
  void stopped();

  void signal_group(int number) const;
  // Somebody of the group is still there, perhaps as a zombie that nobody has waited for.
  bool group_lives() const;

  pollfd interest() const { return {child_.output.get(), POLLIN, 0}; }
  void read_output();

 private:
  void rest(const std::string& how);

  const Clock& clock_;
  const std::string name_;
  const Launch launch_;
  Log log_;
  Child child_;
  pid_t group_ = 0;
  Backoff backoff_;
  Clock::Steady next_start_{};
  Clock::Steady healthy_since_ = Clock::Steady::max();
  std::string message_;
  int ends_ = 0;
};

}  // namespace graymesh::workload
