# Several ranks over NCCL on one GPU; it says "skipped" where there is none.

if(ESMSCALE_TESTS AND NOT ESMSCALE_SANITIZER)
  add_test(NAME gpu.ranks_on_one_gpu
    COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/tests/gpu/ranks_on_one_gpu.sh ${CMAKE_BINARY_DIR})
  set_tests_properties(gpu.ranks_on_one_gpu PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 400 RUN_SERIAL ON)
endif()
