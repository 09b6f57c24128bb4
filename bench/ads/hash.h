// XXH3 and XXH64, inlined: most of what is hashed is short.
#pragma once

#define XXH_INLINE_ALL
#include <xxhash.h>
