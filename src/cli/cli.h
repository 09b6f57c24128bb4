// The commands of `graymesh`: they speak to graymeshd's HTTP API, check files, and run sidecars.
#pragma once

namespace graymesh::cli {

// Exit codes, the same for every command (`graymesh --help` lists them).
inline constexpr int exit_ok = 0;
inline constexpr int exit_failed = 1;       // refused, invalid, not found
inline constexpr int exit_usage = 2;        // the command line itself
inline constexpr int exit_unreachable = 5;  // no answer from graymeshd
inline constexpr int exit_waiting = 6;      // --timeout is over, and it is still on its way

// Parses argv, runs one command, prints to standard output (results) and standard error (faults).
int run(int argc, char** argv);

}  // namespace graymesh::cli
