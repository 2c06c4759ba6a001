# Run by ctest for each test program (Suites.cmake): adds a test for each suite of `program`, named `prefix` and the suite, with
# `properties`. The list is kept in the file `tests` until the program changes.

if(NOT EXISTS "${program}")
  add_test("${prefix}NOT_BUILT" "${program}")
  return()
endif()
if("${program}" IS_NEWER_THAN "${tests}" OR "${CMAKE_CURRENT_LIST_FILE}" IS_NEWER_THAN "${tests}")
  execute_process(COMMAND "${program}" --gtest_list_tests OUTPUT_VARIABLE listed RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${program} --gtest_list_tests ended with ${status}:\n${listed}")
  endif()
  # A suite's line begins in the first column and ends in a dot and, if it is typed, a comment.
  string(REGEX MATCHALL "\n[^ \n][^ \n]*[.]" suites "\n${listed}")
  list(JOIN properties "]=] [=[" quoted)
  set(content "")
  foreach(suite ${suites})
    string(REGEX REPLACE "^\n(.*)[.]$" "\\1" suite "${suite}")
    string(APPEND content "add_test([=[${prefix}${suite}]=] [=[${program}]=] [=[--gtest_filter=${suite}.*]=])\n")
    string(APPEND content "set_tests_properties([=[${prefix}${suite}]=] PROPERTIES [=[${quoted}]=])\n")
  endforeach()
  file(WRITE "${tests}" "${content}")
endif()
include("${tests}")
