// graymeshd in the background, for `graymesh up`: with ports and addresses that nobody else has.
#pragma once

#include <string>

#include "base/descriptor.h"
#include "base/result.h"
#include "cli/up_folder.h"

namespace graymesh::cli {

// 127.N.0.0/16 for instances, claimed by a bound socket that graymeshd inherits and so holds for as
// long as it lives. `wanted` first; 0: any. Free is what nobody claims and where nobody listens,
// for instances outlive their graymeshd; `ours`: who listens in `wanted` are our own.
struct Block {
  int number = 0;
  Descriptor claim;
};
Result<Block> claim_block(int wanted, bool ours);

// HOST:PORT of our own gateway. `asked` (IP:PORT or PORT) must be free; if it is empty, the first
// free one of 127.0.0.1:8000 and up that no other `up` tries at the same time, by its block.
Result<std::string> choose_listen(const std::string& asked, int block);

// 127.0.0.1:PORT where nobody listens, `port` or one of the next.
std::string free_address(int port);

// Starts it and waits until it has told its addresses: the ports of last time, else the usual ones
// if they are free, else any. unavailable: it ended, with the end of its log.
Result<Daemon> start_daemon(const UpFolder& folder, const Block& block);

// SIGTERM, and SIGKILL after 10 s. Nothing to do is no error. Instances go on.
Status stop_daemon(const UpFolder& folder);

// The last lines of a log, indented; empty if there is none.
std::string tail_of(const std::filesystem::path& file, std::size_t lines = 15);

}  // namespace graymesh::cli
