# The short form of three attacks of tests/torture: kills of training and of studies, and processes side by side. The others
# (ranks, prepare, disk, links) take minutes: run them by hand (docs/reliability.md). Under a sanitizer all do.

if(ESMSCALE_TESTS AND NOT ESMSCALE_SANITIZER)
  foreach(attack train study together)
    add_test(NAME torture.${attack} COMMAND ${Python3_EXECUTABLE} -m torture $<TARGET_FILE:esmscale> ${attack})
    set_tests_properties(torture.${attack} PROPERTIES TIMEOUT 600 ENVIRONMENT PYTHONPATH=${CMAKE_CURRENT_SOURCE_DIR}/tests)
  endforeach()
endif()
