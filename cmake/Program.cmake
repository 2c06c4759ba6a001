# The executable, the benchmarks, and an installation that runs from anywhere.

find_package(Git QUIET)
add_custom_target(esmscale_revision
  COMMAND ${CMAKE_COMMAND} -DGIT=${GIT_EXECUTABLE} -DSOURCE=${CMAKE_CURRENT_SOURCE_DIR}
    -DOUTPUT=${CMAKE_BINARY_DIR}/generated/esmscale_revision.h -DVERSION=${PROJECT_VERSION}
    -P ${CMAKE_CURRENT_SOURCE_DIR}/cmake/Revision.cmake
  BYPRODUCTS ${CMAKE_BINARY_DIR}/generated/esmscale_revision.h
  COMMENT "Reading the git revision")
add_dependencies(esmscale_core esmscale_revision)
target_include_directories(esmscale_core PRIVATE ${CMAKE_BINARY_DIR}/generated)

add_executable(esmscale src/main.cpp src/openmp_wait.cpp)
esmscale_program(esmscale)
target_include_directories(esmscale PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/src)
target_link_libraries(esmscale PRIVATE esmscale_cli)
# spdlog's fmt: an installed program finds by its rpath only what it names itself.
if(TARGET fmt::fmt)
  target_link_options(esmscale PRIVATE LINKER:--push-state,--no-as-needed $<TARGET_FILE:fmt::fmt> LINKER:--pop-state)
endif()

# Some tests of the command line need processes of their own.
if(TARGET cli_test)
  add_dependencies(cli_test esmscale)
endif()

set(system_libraries "(^|/)(ld-linux.*|libc|libm|libdl|librt|libutil|libpthread|libgcc_s|libstdc[+][+])[.]so")

# Without CUDA the installed tree carries every library except those of C and C++, so it runs wherever it is moved.
# LibTorch's CUDA libraries are gigabytes; a CUDA build keeps using those that it was built with.
if(DEFINED SKBUILD_SCRIPTS_DIR)
  include(Wheel)
elseif(ESMSCALE_HAS_CUDA)
  set_target_properties(esmscale PROPERTIES INSTALL_RPATH ${ESMSCALE_TORCH_LIB})
  install(TARGETS esmscale)
else()
  set_target_properties(esmscale PROPERTIES INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
  install(TARGETS esmscale RUNTIME_DEPENDENCIES POST_EXCLUDE_REGEXES ${system_libraries})
endif()
install(DIRECTORY configs/ DESTINATION ${CMAKE_INSTALL_DATADIR}/esmscale/configs)
install(DIRECTORY scripts/slurm/ DESTINATION ${CMAKE_INSTALL_DATADIR}/esmscale/slurm)
install(FILES LICENSE NOTICE README.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR})

# The shells' completion and the manual come from the program itself.
set(completions ${CMAKE_BINARY_DIR}/generated/completions)
set(manual ${CMAKE_BINARY_DIR}/generated/man1)
file(MAKE_DIRECTORY ${completions})
set(program $<TARGET_FILE:esmscale>)
add_custom_command(OUTPUT ${completions}/esmscale
  COMMAND ${program} completion bash > ${completions}/esmscale
  COMMAND ${program} completion zsh > ${completions}/_esmscale
  COMMAND ${program} completion fish > ${completions}/esmscale.fish
  COMMAND ${CMAKE_COMMAND} -E rm -rf ${manual}
  COMMAND ${program} manual --output ${manual}
  DEPENDS esmscale COMMENT "Writing completions and manual pages" VERBATIM)
add_custom_target(esmscale_manual ALL DEPENDS ${completions}/esmscale)
install(FILES ${completions}/esmscale DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${completions}/_esmscale DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES ${completions}/esmscale.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
install(DIRECTORY ${manual}/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)

if(ESMSCALE_BENCHMARKS)
  esmscale_parallel(benchmarks/attention.cpp benchmarks/rows.cpp)
  file(GLOB benchmarks CONFIGURE_DEPENDS benchmarks/*.cpp)
  foreach(source ${benchmarks})
    get_filename_component(name ${source} NAME_WE)
    add_executable(benchmark_${name} ${source})
    target_link_libraries(benchmark_${name} PRIVATE esmscale_cli)
  endforeach()
endif()
