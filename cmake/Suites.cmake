# esmscale_discover_tests(TARGET PREFIX): registers the tests of a GoogleTest program with ctest.
#
# A test of ctest is a suite, all of whose cases share a process: a program with LibTorch takes a fifth of a second to
# start. With ESMSCALE_TEST_CASES (preset dev) it is a case, in a process of its own. The program is asked for its suites when
# ctest starts, so no target needs to run it.

option(ESMSCALE_TEST_CASES "One test of ctest for each test case, not for each suite" OFF)

# Several tests run at a time: one thread each is quickest.
set(ESMSCALE_TEST_PROPERTIES TIMEOUT 600 ENVIRONMENT OMP_NUM_THREADS=1 WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})

function(esmscale_discover_tests target prefix)
  if(ESMSCALE_TEST_CASES)
    gtest_discover_tests(${target} TEST_PREFIX ${prefix} DISCOVERY_MODE PRE_TEST PROPERTIES ${ESMSCALE_TEST_PROPERTIES})
    return()
  endif()
  set(tests ${CMAKE_CURRENT_BINARY_DIR}/${target}_suites)
  file(GENERATE OUTPUT ${tests}_include.cmake CONTENT
"set(program \"$<TARGET_FILE:${target}>\")
set(prefix \"${prefix}\")
set(properties \"${ESMSCALE_TEST_PROPERTIES}\")
set(tests \"${tests}.cmake\")
include(\"${CMAKE_CURRENT_SOURCE_DIR}/cmake/ListSuites.cmake\")
")
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${tests}_include.cmake)
endfunction()
