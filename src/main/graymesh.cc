// graymesh: the command line. All of it is the room `cli`.
#include "cli/cli.h"

int main(int argc, char** argv) { return graymesh::cli::run(argc, argv); }
