# The scripts of scripts/slurm on a SLURM of the tests' own; they say "skipped" where none is installed.

if(ESMSCALE_TESTS AND NOT ESMSCALE_SANITIZER)
  foreach(case requeue_one_node requeue_two_nodes array killed_rank cancelled doctor)
    add_test(NAME slurm.${case}
      COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/tests/slurm/slurm_test.sh ${CMAKE_BINARY_DIR} ${case})
    set_tests_properties(slurm.${case} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300)
  endforeach()
endif()
