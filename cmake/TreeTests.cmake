# Tests of the tree itself, run by ctest in addition to the rooms' own.

if(ESMSCALE_TESTS)
  find_package(Python3 COMPONENTS Interpreter REQUIRED)
  set(tree_tests ${CMAKE_CURRENT_SOURCE_DIR}/tests/tree)
  add_test(NAME tree.rooms_keep_to_the_plan
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/scripts/check_rooms.py)
  add_test(NAME tree.check_rooms_finds_breaches COMMAND ${Python3_EXECUTABLE} ${tree_tests}/check_rooms_test.py)
  add_test(NAME tree.import_runs COMMAND ${Python3_EXECUTABLE} ${tree_tests}/import_runs_test.py)
  add_test(NAME tree.esmtools COMMAND ${Python3_EXECUTABLE} ${tree_tests}/esmtools_test.py)
  add_test(NAME tree.published_page_says_what_the_laws_say COMMAND ${Python3_EXECUTABLE} ${tree_tests}/published_test.py)
  add_test(NAME tree.trace_summary_adds_up COMMAND ${Python3_EXECUTABLE} ${tree_tests}/trace_summary_test.py)
  add_test(NAME tree.links_lead_somewhere COMMAND ${Python3_EXECUTABLE} ${tree_tests}/check_links_test.py)
  add_test(NAME tree.tables_of_the_model_of_scaling_are_current
    COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/scripts/model_scaling.py --check)
  foreach(part Get Levels Holdout)  # Get skips where there is no curl, the others without MMseqs2
    string(TOLOWER ${part} name)
    add_test(NAME tree.uniref_${name} COMMAND ${Python3_EXECUTABLE} ${tree_tests}/uniref_test.py
      $<TARGET_FILE:esmscale> ${part})
    set_tests_properties(tree.uniref_${name} PROPERTIES SKIP_RETURN_CODE 77)
  endforeach()
  set_tests_properties(tree.uniref_holdout PROPERTIES COST 100)  # long tests start first
  add_test(NAME tree.study_cpu_adds_up COMMAND ${Python3_EXECUTABLE} ${tree_tests}/study_cpu_test.py)
  add_test(NAME tree.recipe_study_adds_up COMMAND ${Python3_EXECUTABLE} ${tree_tests}/recipe_study_test.py)
  add_test(NAME tree.uniref_studies COMMAND ${Python3_EXECUTABLE} ${tree_tests}/uniref_study_test.py
    $<TARGET_FILE:esmscale>)
  if(NOT ESMSCALE_SANITIZER)
    add_test(NAME tree.installation_runs_from_anywhere
      COMMAND ${tree_tests}/installation_test.sh ${CMAKE_BINARY_DIR} $<IF:$<BOOL:${ESMSCALE_HAS_CUDA}>,borrows,carries>)
  endif()
endif()
