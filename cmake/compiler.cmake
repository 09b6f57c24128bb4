# How our own code is compiled: warnings, sanitizers, linker, all carried by one target, so that
# third-party and generated code stays free of them.

if(NOT CMAKE_CXX_COMPILER_LAUNCHER)
  find_program(CCACHE ccache)
  if(CCACHE)
    # Paths below the checkout are hashed relative to it, so one build directory serves the next.
    # DEPEND: what is included is learnt from the compiler, not by preprocessing once more; a tenth
    # faster where headers are many. What is sloppy: __TIME__, which nobody uses; #defines that a
    # precompiled header hides, which are the same flags; and headers younger than the compile,
    # which are those that CMake has just made, and without which nothing would be kept.
    set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 CCACHE_DEPEND=1
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${CCACHE})
  endif()
endif()

add_library(graymesh_flags INTERFACE)
target_include_directories(graymesh_flags INTERFACE ${CMAKE_SOURCE_DIR}/src)
# For files that have fmt's headers only by precompiled ones.
target_compile_definitions(graymesh_flags INTERFACE $<TARGET_PROPERTY:fmt::fmt,INTERFACE_COMPILE_DEFINITIONS>)
target_compile_features(graymesh_flags INTERFACE cxx_std_20)
target_compile_options(graymesh_flags INTERFACE
  -pthread  # some pkg-config files say it and others don't; a precompiled header wants it everywhere
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion
  -ffile-prefix-map=${CMAKE_SOURCE_DIR}/=
  # GCC is the compiler that decides; clang only fuzzes and tidies. GCC 12 warns of overlaps inside
  # std::string that cannot be (GCC bugs 105329, 105651), and with more optimisation of what comes
  # from it: overflows and bounds.
  "$<$<CXX_COMPILER_ID:GNU>:-Werror;-Wno-restrict>"
  "$<$<AND:$<CXX_COMPILER_ID:GNU>,$<CONFIG:Release>>:-Wno-stringop-overflow;-Wno-array-bounds>"
  # The compiler collects its own garbage from 128 MB on, again and again; a file of ours needs
  # less than 1 GB in all. A twentieth faster.
  "$<$<CXX_COMPILER_ID:GNU>:SHELL:--param ggc-min-heapsize=786432>")

find_program(MOLD mold)
if(MOLD)
  target_link_options(graymesh_flags INTERFACE -fuse-ld=mold)
endif()

if(GRAYMESH_SANITIZE)
  set(sanitize -fsanitize=${GRAYMESH_SANITIZE} -fno-omit-frame-pointer)
  if(GRAYMESH_SANITIZE MATCHES undefined)
    list(APPEND sanitize -fno-sanitize-recover=undefined)
  endif()
  if(GRAYMESH_SANITIZE MATCHES thread)
    # protobuf's map_field.h gives MapFieldBase two more members under this macro, which Debian's
    # library does not have: a message with a map would crash. libstdc++ is still told.
    list(APPEND sanitize -U__SANITIZE_THREAD__ -D_GLIBCXX_TSAN=1)
  endif()
  target_compile_options(graymesh_flags INTERFACE ${sanitize})
  target_link_options(graymesh_flags INTERFACE ${sanitize})
endif()

if(GRAYMESH_COVERAGE)
  target_compile_options(graymesh_flags INTERFACE --coverage -O0)
  target_link_options(graymesh_flags INTERFACE --coverage)
endif()

if(GRAYMESH_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL Clang)
    message(FATAL_ERROR "GRAYMESH_FUZZ needs clang: cmake --preset fuzz")
  endif()
  # Rooms carry the coverage counters; libFuzzer's main is linked by fuzz_target alone.
  target_compile_options(graymesh_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
