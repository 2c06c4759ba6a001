# The comparison with Hugging Face's transformers: a probe that prints what no verb does, and a live test.

if(ESMSCALE_TESTS)
  add_executable(golden_probe tests/golden/probe.cpp)
  esmscale_program(golden_probe)
  target_link_libraries(golden_probe PRIVATE esmscale_golden esmscale_test_paths)
  set_target_properties(golden_probe PROPERTIES POSITION_INDEPENDENT_CODE OFF)  # see Room.cmake
  target_compile_options(golden_probe PRIVATE -fPIC)
  target_precompile_headers(golden_probe REUSE_FROM esmscale_torch_header)

  add_test(NAME golden.compare_with_hugging_face
    COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/scripts/compare_with_hf.sh --build ${CMAKE_BINARY_DIR} --models tiny,tiny-29 --if-possible)
  set_tests_properties(golden.compare_with_hugging_face PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 900 COST 100
    ENVIRONMENT OMP_NUM_THREADS=1)
endif()
