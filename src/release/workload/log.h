// What a process prints, in a file of bounded size: beyond `bytes_max` the file becomes FILE.1,
// and the FILE.1 before it is gone. The bytes come to us through a pipe, so the bound holds however
// the process writes.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/descriptor.h"

namespace graymesh::workload {

class Log {
 public:
  static constexpr std::size_t bytes_max_usual = std::size_t{16} << 20;

  explicit Log(std::filesystem::path file, std::size_t bytes_max = bytes_max_usual);

  // A disk that is full costs the lines, not the application its life.
  void append(std::string_view bytes);

  // The last line that is not blank, at most 400 bytes of it. Empty: there was none.
  std::string last_line() const;

 private:
  void open();

  std::filesystem::path file_;
  std::size_t bytes_max_;
  std::size_t size_ = 0;
  Descriptor descriptor_;
  std::string tail_;
};

}  // namespace graymesh::workload
