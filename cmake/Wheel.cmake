# The program as a Python wheel (scripts/wheel.sh): the command in the environment's bin, the small libraries that it is
# built with in lib/esmscale, LibTorch and CUDA from the torch package of the same environment.

set(packages)
foreach(library lib lib64)
  foreach(minor RANGE 10 14)  # the versions of Python that torch 2.11 has wheels for
    list(APPEND packages "$ORIGIN/../${library}/python3.${minor}/site-packages")
  endforeach()
endforeach()
set(rpath "$ORIGIN/../lib/esmscale")
foreach(package ${packages})
  list(APPEND rpath ${package}/torch/lib)
  if(ESMSCALE_HAS_CUDA)
    list(APPEND rpath ${package}/nvidia/cu13/lib)  # the runtime; LibTorch finds its own
  endif()
endforeach()
set_target_properties(esmscale PROPERTIES INSTALL_RPATH "${rpath}")

install(TARGETS esmscale RUNTIME_DEPENDENCIES
  PRE_EXCLUDE_REGEXES "^lib(torch|c10|cu|nv|nccl|gomp)" ${system_libraries}
  POST_EXCLUDE_REGEXES ${system_libraries}
  RUNTIME DESTINATION ${SKBUILD_SCRIPTS_DIR}
  LIBRARY DESTINATION ${SKBUILD_DATA_DIR}/lib/esmscale)
set(CMAKE_INSTALL_DATADIR ${SKBUILD_DATA_DIR}/share)
set(CMAKE_INSTALL_MANDIR ${SKBUILD_DATA_DIR}/share/man)
set(CMAKE_INSTALL_DOCDIR ${SKBUILD_DATA_DIR}/share/doc/esmscale)
