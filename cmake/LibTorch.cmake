# LibTorch as the imported target esmscale::torch.
#   ESMSCALE_TORCH_LIB  the folder of its libraries
#   ESMSCALE_HAS_CUDA   the CUDA parts are built
#
# A LibTorch named by Torch_DIR or CMAKE_PREFIX_PATH (variables or environment) wins; else it is the one that
# scripts/setup.sh put into ESMSCALE_DEPS. Its TorchConfig.cmake is only located at first: that of a CUDA build of
# LibTorch demands a CUDA toolkit, and a build without CUDA parts needs none.

set(deps $ENV{ESMSCALE_DEPS})
if(NOT deps)
  set(deps ${CMAKE_CURRENT_SOURCE_DIR}/.deps)
endif()
set(ESMSCALE_DEPS ${deps} CACHE PATH "Folder of what scripts/setup.sh fetched")

find_path(ESMSCALE_NAMED_TORCH TorchConfig.cmake NO_DEFAULT_PATH
  HINTS ${Torch_DIR} ENV Torch_DIR ${CMAKE_PREFIX_PATH} ENV CMAKE_PREFIX_PATH
  PATH_SUFFIXES share/cmake/Torch lib/cmake/Torch
  DOC "TorchConfig.cmake's folder, when Torch_DIR or CMAKE_PREFIX_PATH names a LibTorch")
mark_as_advanced(ESMSCALE_NAMED_TORCH)
if(ESMSCALE_NAMED_TORCH)
  set(torch_config ${ESMSCALE_NAMED_TORCH})
else()
  set(torch_config ${ESMSCALE_DEPS}/libtorch/torch/share/cmake/Torch)
endif()
get_filename_component(torch_root ${torch_config}/../../.. ABSOLUTE)
set(ESMSCALE_TORCH_LIB ${torch_root}/lib)
if(NOT EXISTS ${ESMSCALE_TORCH_LIB}/libtorch_cpu.so)
  message(FATAL_ERROR "LibTorch was not found in ${torch_root}. Run scripts/setup.sh, "
    "or set Torch_DIR or CMAKE_PREFIX_PATH to a LibTorch 2.11.")
endif()
file(STRINGS ${torch_root}/include/torch/headeronly/version.h version_lines REGEX "define TORCH_VERSION_(MAJOR|MINOR) ")
string(REGEX REPLACE "[^0-9;]" "" torch_version "${version_lines}")
if(NOT torch_version STREQUAL "2;11")
  list(JOIN torch_version "." torch_version)
  message(WARNING "LibTorch in ${torch_root} is ${torch_version}; esmscale is written for 2.11 and tested with no other.")
endif()

# The wheel carries its CUDA libraries in packages next to it (nvidia/…), which a CPU set-up leaves out; a zip has
# them among its own.
set(torch_has_cuda OFF)
file(GLOB torch_cublas ${torch_root}/../nvidia/*/lib/libcublas.so.* ${ESMSCALE_TORCH_LIB}/libcublas*.so*)
if(torch_cublas AND EXISTS ${ESMSCALE_TORCH_LIB}/libtorch_cuda.so)
  set(torch_has_cuda ON)
endif()
find_program(ESMSCALE_NVCC nvcc HINTS ENV CUDA_HOME ENV CUDA_PATH PATHS /usr/local/cuda PATH_SUFFIXES bin)
mark_as_advanced(ESMSCALE_NVCC)

set(ESMSCALE_HAS_CUDA OFF)
if(NOT ESMSCALE_CUDA STREQUAL "OFF" AND ESMSCALE_NVCC AND torch_has_cuda)
  set(ESMSCALE_HAS_CUDA ON)
elseif(ESMSCALE_CUDA STREQUAL "ON")
  message(FATAL_ERROR "ESMSCALE_CUDA=ON needs nvcc (found: ${ESMSCALE_NVCC}) and a LibTorch with its CUDA libraries "
    "(${torch_root}: ${torch_has_cuda}). With the CUDA toolkit on PATH, scripts/setup.sh fetches that LibTorch.")
endif()

add_library(esmscale::torch INTERFACE IMPORTED GLOBAL)
target_link_libraries(esmscale::torch INTERFACE Threads::Threads)
# LibTorch exports an std::filesystem of its own, from an older libstdc++: the system's must be found first.
target_link_options(esmscale::torch INTERFACE LINKER:--push-state,--no-as-needed -lstdc++ LINKER:--pop-state)
if(ESMSCALE_HAS_CUDA)
  message(STATUS "LibTorch: ${torch_root}, with CUDA (${ESMSCALE_NVCC})")
  set(CMAKE_CUDA_COMPILER ${ESMSCALE_NVCC} CACHE FILEPATH "")
  set(CMAKE_CUDA_STANDARD 17)
  set(CMAKE_CUDA_RUNTIME_LIBRARY Shared)  # one runtime in the program: LibTorch's
  if(NOT DEFINED TORCH_CUDA_ARCH_LIST AND NOT DEFINED ENV{TORCH_CUDA_ARCH_LIST})
    set(TORCH_CUDA_ARCH_LIST "8.0;9.0")  # A100; H100 and H200
  endif()
  enable_language(CUDA)
  set(Torch_DIR ${torch_config})
  find_package(Torch REQUIRED)
  target_link_libraries(esmscale::torch INTERFACE torch)
  target_compile_definitions(esmscale::torch INTERFACE ESMSCALE_HAS_CUDA=1)
  find_path(ESMSCALE_NCCL_INCLUDE nccl.h HINTS ${torch_root}/../nvidia/nccl/include REQUIRED)
  mark_as_advanced(ESMSCALE_NCCL_INCLUDE)
  target_include_directories(esmscale::torch SYSTEM INTERFACE ${ESMSCALE_NCCL_INCLUDE})
else()
  message(STATUS "LibTorch: ${torch_root}, CPU")
  target_include_directories(esmscale::torch SYSTEM INTERFACE
    ${torch_root}/include ${torch_root}/include/torch/csrc/api/include)
  target_link_libraries(esmscale::torch INTERFACE ${ESMSCALE_TORCH_LIB}/libtorch_cpu.so ${ESMSCALE_TORCH_LIB}/libc10.so)
endif()
set(CMAKE_BUILD_RPATH ${ESMSCALE_TORCH_LIB})

# esmscale_parallel(SOURCE…): files that call at::parallel_for, which is a plain loop where OpenMP is off. Threads and
# their number must be LibTorch's, so the runtime that is linked is the one next to it. The thread sanitizer does not see
# how OpenMP's threads wait for each other, and clang's code for OpenMP wants a runtime of its own, a second pool of
# threads: with both the loops stay plain.
file(GLOB torch_openmp ${ESMSCALE_TORCH_LIB}/libgomp*.so*)
if(NOT torch_openmp)
  set(torch_openmp gomp)
endif()
target_link_libraries(esmscale::torch INTERFACE ${torch_openmp})
function(esmscale_parallel)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND NOT ESMSCALE_SANITIZER STREQUAL "thread")
    set_source_files_properties(${ARGN} PROPERTIES
      SKIP_PRECOMPILE_HEADERS ON COMPILE_OPTIONS -fopenmp COMPILE_DEFINITIONS ESMSCALE_PARALLEL=1)
  endif()
endfunction()
