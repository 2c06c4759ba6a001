# esmscale_room(NAME [TORCH] [USES room…] [LIBRARIES target…])
#
# One room of the house: the static library esmscale_NAME from src/NAME/**.cpp (and .cu in a CUDA build), and the
# test program NAME_test from tests/NAME/**_test.cpp. Folders in a room are its sub-rooms; they share its library.
# A header in include/ is public; the others lie next to their source and are included by their path below src/. A test
# program links only its own room and the rooms that it uses, so an include that Rooms.cmake forbids does not link.
# TORCH rooms see LibTorch and share one precompiled header; the others compile in a second. LIBRARIES are private.

add_library(esmscale_options INTERFACE)
target_include_directories(esmscale_options INTERFACE ${CMAKE_CURRENT_SOURCE_DIR}/include)
target_compile_options(esmscale_options INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Wno-missing-field-initializers>
  $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<BOOL:${ESMSCALE_WERROR}>>:-Werror>)
if(ESMSCALE_SANITIZER)
  target_compile_options(esmscale_options INTERFACE
    -fsanitize=${ESMSCALE_SANITIZER} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(esmscale_options INTERFACE -fsanitize=${ESMSCALE_SANITIZER})
endif()
# Every program says what its sanitizer is to pass over.
function(esmscale_program target)
  if(ESMSCALE_SANITIZER)
    target_sources(${target} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/cmake/sanitizer_options.cpp)
    set_source_files_properties(${CMAKE_CURRENT_SOURCE_DIR}/cmake/sanitizer_options.cpp
      PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
  endif()
endfunction()

add_library(esmscale_torch_header OBJECT EXCLUDE_FROM_ALL ${CMAKE_CURRENT_SOURCE_DIR}/cmake/torch_header.cpp)
target_link_libraries(esmscale_torch_header PRIVATE esmscale_options esmscale::torch)
target_precompile_headers(esmscale_torch_header PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/cmake/torch_header.h)

if(ESMSCALE_TESTS)
  add_library(esmscale_test_paths STATIC ${CMAKE_CURRENT_SOURCE_DIR}/tests/support/paths.cpp)
  target_include_directories(esmscale_test_paths PUBLIC ${CMAKE_CURRENT_SOURCE_DIR}/tests)
  target_compile_definitions(esmscale_test_paths PRIVATE
    ESMSCALE_SOURCE_DIR="${CMAKE_CURRENT_SOURCE_DIR}" ESMSCALE_PROGRAM="${CMAKE_BINARY_DIR}/esmscale")
endif()

function(esmscale_room name)
  cmake_parse_arguments(ROOM "TORCH" "" "USES;LIBRARIES" ${ARGN})
  set(target esmscale_${name})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/src/${name}/*.cpp)
  file(GLOB_RECURSE kernels CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/src/${name}/*.cu)
  if(ESMSCALE_HAS_CUDA)
    list(APPEND sources ${kernels})
  endif()
  list(TRANSFORM ROOM_USES PREPEND esmscale_)
  if(sources)
    add_library(${target} STATIC ${sources})
    target_include_directories(${target} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/src)
    target_link_libraries(${target} PUBLIC esmscale_options ${ROOM_USES} PRIVATE ${ROOM_LIBRARIES})
    if(ESMSCALE_HAS_CUDA AND kernels)
      target_compile_definitions(${target} PRIVATE ESMSCALE_HAS_CUDA=1)
    endif()
    if(ROOM_TORCH)
      target_link_libraries(${target} PUBLIC esmscale::torch)
      target_precompile_headers(${target} REUSE_FROM esmscale_torch_header)
    endif()
  else()  # a room still empty passes on what is below it
    add_library(${target} INTERFACE)
    target_link_libraries(${target} INTERFACE esmscale_options ${ROOM_USES})
  endif()

  file(GLOB_RECURSE tests CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/tests/${name}/*_test.cpp)
  if(ESMSCALE_TESTS AND tests)
    add_executable(${name}_test ${tests})
    esmscale_program(${name}_test)
    target_link_libraries(${name}_test PRIVATE ${target} esmscale_test_paths ${ROOM_LIBRARIES} GTest::gmock GTest::gtest_main)
    target_include_directories(${name}_test PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/src)
    if(ROOM_TORCH)
      # Compiled as the rooms are (a program would get -fPIE), or the shared header would not fit.
      set_target_properties(${name}_test PROPERTIES POSITION_INDEPENDENT_CODE OFF)
      target_compile_options(${name}_test PRIVATE -fPIC)
      target_precompile_headers(${name}_test REUSE_FROM esmscale_torch_header)
    endif()
    esmscale_discover_tests(${name}_test "${name}.")
  endif()
endfunction()
