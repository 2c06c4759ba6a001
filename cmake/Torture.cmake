# The short form of four attacks of tests/torture: kills of training and of studies, processes side by side, and the
# faults of an earlier version. The others (ranks, prepare, disk, links) take minutes: run them by hand
# (docs/reliability.md), as all of them under a sanitizer.

if(ESMSCALE_TESTS AND NOT ESMSCALE_SANITIZER)
  foreach(attack train study together findings)
    add_test(NAME torture.${attack} COMMAND ${Python3_EXECUTABLE} -m torture $<TARGET_FILE:esmscale> ${attack})
    set_tests_properties(torture.${attack} PROPERTIES TIMEOUT 600 ENVIRONMENT PYTHONPATH=${CMAKE_CURRENT_SOURCE_DIR}/tests)
  endforeach()
  set_tests_properties(torture.findings PROPERTIES COST 100)  # long tests start first
endif()
