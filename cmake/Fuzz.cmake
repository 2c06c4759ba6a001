# fuzz and fuzz_torch: changed files for every reader of every format (tests/fuzz). Those of the rooms with LibTorch are
# apart, so that the others can be built with sanitizers in minutes.
#
# With ESMSCALE_LIBFUZZER, which needs clang, they are driven by libFuzzer in place of the driver of our own.

option(ESMSCALE_LIBFUZZER "Drive the fuzz targets by clang's libFuzzer" OFF)

# esmscale_fuzz(TARGET "room;…" source…): the sources are of tests/fuzz, and may include private headers of the rooms.
function(esmscale_fuzz target rooms)
  set(folder ${CMAKE_CURRENT_SOURCE_DIR}/tests/fuzz)
  set(driver ${folder}/driver.cpp ${folder}/mutate.cpp)
  if(ESMSCALE_LIBFUZZER)
    set(driver ${folder}/libfuzzer.cpp)
  endif()
  list(TRANSFORM rooms PREPEND esmscale_)
  list(TRANSFORM ARGN PREPEND ${folder}/ OUTPUT_VARIABLE sources)
  add_executable(${target} ${driver} ${folder}/sandbox.cpp ${sources})
  target_include_directories(${target} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/src)
  target_link_libraries(${target} PRIVATE ${rooms} esmscale_test_paths)
  if(ESMSCALE_LIBFUZZER)
    target_link_options(${target} PRIVATE -fsanitize=fuzzer)
  endif()
endfunction()

if(ESMSCALE_TESTS)
  esmscale_fuzz(fuzz study readers.cpp dataset_readers.cpp)
  esmscale_fuzz(fuzz_torch "interop;eval;downstream" torch_readers.cpp)
  if(NOT ESMSCALE_LIBFUZZER)
    foreach(program fuzz fuzz_torch)
      add_test(NAME fuzz.${program} COMMAND ${program} --seconds 1 --keep ${CMAKE_BINARY_DIR}/fuzz-findings)
      set_tests_properties(fuzz.${program} PROPERTIES TIMEOUT 300 ENVIRONMENT OMP_NUM_THREADS=1)
    endforeach()
    if(NOT ESMSCALE_SANITIZER)
      esmscale_fuzz(fuzz_broken core broken_readers.cpp)
      foreach(fault throws dies takes-memory leaves-open)
        add_test(NAME fuzz.finds_what_${fault} COMMAND fuzz_broken ${fault} --seconds 1 --keep ${CMAKE_BINARY_DIR}/fuzz-broken)
        set_tests_properties(fuzz.finds_what_${fault} PROPERTIES PASS_REGULAR_EXPRESSION "finding: ${fault} of csv, input")
      endforeach()
    endif()
  endif()
endif()
