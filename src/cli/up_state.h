// The state files of `graymesh up`, read and written. They outlive the programs that wrote them and
// anybody may edit them, so what does not hold is an error that names the field, and nothing more.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace graymesh::cli {

// One file that was given by -f.
struct UpFile {
  std::string argument;   // of -f, absolute: the file, or a folder with it; "-"
  std::string from;       // the file, absolute
  std::string copy;       // its name below files/
  std::string directory;  // where its applications run if they do not say
  std::string namespace_;

  bool operator==(const UpFile&) const = default;
};

struct UpRecord {
  int block = 0;       // instances have 127.BLOCK.y.z; 0: not chosen yet
  std::string listen;  // HOST:PORT of our own gateway
  std::vector<UpFile> files;
  bool monitoring = false;  // Prometheus and Alertmanager beside it

  bool operator==(const UpRecord&) const = default;
};

inline constexpr int blocks = 63;

// up.json; data_loss.
Result<UpRecord> read_record(std::string_view text);
std::string text_of(const UpRecord& record);

// graymeshd.json, as --print-addresses writes it; data_loss.
struct Addresses {
  std::string xds, api;  // HOST:PORT

  bool operator==(const Addresses&) const = default;
};
Result<Addresses> read_addresses(std::string_view text);

}  // namespace graymesh::cli
