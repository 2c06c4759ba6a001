# The plan of the house, ground floor first. A room uses only rooms above it in this list.

esmscale_room(core LIBRARIES spdlog::spdlog)
esmscale_room(config USES core)
esmscale_room(data USES core LIBRARIES esmscale::compression)
esmscale_room(assays USES data core)
esmscale_room(accounting USES config core)
esmscale_room(run USES config core)
esmscale_room(laws USES core LIBRARIES esmscale::lbfgs)
esmscale_room(study USES laws run accounting assays data config core)
esmscale_room(report USES study laws run accounting assays core)

esmscale_room(kernels USES core)
esmscale_room(model TORCH USES kernels data config core)
esmscale_parallel(src/model/cpu_ops.cpp src/model/weights.cpp)
esmscale_room(dist TORCH USES model config core)
# Gloo's headers are the system's, the code is LibTorch's: one file sees them, and nothing of theirs leaves it.
set_source_files_properties(src/dist/gloo_backend.cpp PROPERTIES
  SKIP_PRECOMPILE_HEADERS ON COMPILE_OPTIONS "-fvisibility=hidden;-fvisibility-inlines-hidden")
esmscale_room(optim TORCH USES dist model config core)
esmscale_room(checkpoint TORCH USES optim dist model run data config core)
esmscale_room(interop TORCH USES checkpoint model run data config core)
esmscale_room(eval TORCH USES model dist data core)
esmscale_room(downstream TORCH USES assays model data core)
esmscale_room(train TORCH USES downstream eval interop checkpoint optim dist model kernels run accounting assays data
  config core)
esmscale_room(cli TORCH USES train downstream interop eval checkpoint dist report study laws run accounting assays
  data config core
  LIBRARIES CLI11::CLI11)
target_compile_definitions(esmscale_config PRIVATE ESMSCALE_SOURCES="${CMAKE_CURRENT_SOURCE_DIR}")

# No room: tests of several against another program's numbers, and a probe for scripts/compare_with_hf.sh.
esmscale_room(golden TORCH USES interop checkpoint optim dist model data core)
