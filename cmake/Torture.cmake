# The short form of tests/torture: kills, full disks, links and processes side by side (docs/reliability.md). It takes
# minutes under a sanitizer, and is left out there.

if(ESMSCALE_TESTS AND NOT ESMSCALE_SANITIZER)
  foreach(attack train ranks study prepare disk links together)
    add_test(NAME torture.${attack} COMMAND ${Python3_EXECUTABLE} -m torture $<TARGET_FILE:esmscale> ${attack})
    set_tests_properties(torture.${attack} PROPERTIES TIMEOUT 600 ENVIRONMENT PYTHONPATH=${CMAKE_CURRENT_SOURCE_DIR}/tests)
  endforeach()
endif()
