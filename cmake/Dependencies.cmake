# The libraries that the program depends on, as imported targets.
#   esmscale::torch        LibTorch (LibTorch.cmake)
#   esmscale::compression  zstd, and ISA-L for gzip
#   esmscale::lbfgs        libLBFGS

find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # A precompiled header carries time stamps; ccache must ignore them. Paths below the clone are hashed relative to it,
  # so that a second clone finds what the first one compiled.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1
    CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${CCACHE})
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${CCACHE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)
  endif()
endif()

find_package(Threads REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
if(ESMSCALE_TESTS)
  find_package(GTest REQUIRED)
  include(GoogleTest)
endif()

function(esmscale_library target)  # target, then header/library pairs
  add_library(${target} INTERFACE IMPORTED GLOBAL)
  list(LENGTH ARGN count)
  math(EXPR last "${count} / 2 - 1")
  foreach(i RANGE ${last})
    math(EXPR h "${i} * 2")
    math(EXPR l "${i} * 2 + 1")
    list(GET ARGN ${h} header)
    list(GET ARGN ${l} library)
    find_path(${library}_INCLUDE ${header} REQUIRED)
    find_library(${library}_LIBRARY ${library} REQUIRED)
    target_include_directories(${target} INTERFACE ${${library}_INCLUDE})
    target_link_libraries(${target} INTERFACE ${${library}_LIBRARY})
  endforeach()
endfunction()
esmscale_library(esmscale::compression zstd.h zstd isa-l.h isal)
esmscale_library(esmscale::lbfgs lbfgs.h lbfgs)

include(LibTorch)
