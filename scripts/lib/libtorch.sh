# LibTorch, from the Python wheel that holds all of it: headers, libraries, CMake files. Python itself is not used
# by esmscale. Two variants: "cpu" leaves out the wheel's CUDA packages (1.3 GB on disk), "cuda" has them (4.6 GB).

TORCH_VERSION=2.11.0
# What libtorch_cpu.so of this wheel itself is linked against.
CPU_RUNTIME=(nvidia-cuda-runtime==13.0.96 nvidia-cuda-cupti==13.0.85)

# The folder of a TorchConfig.cmake that Torch_DIR or CMAKE_PREFIX_PATH names; cmake/LibTorch.cmake searches in the same
# way.
named_torch() {
  local prefix suffix
  local IFS=':;'
  for prefix in ${Torch_DIR-} ${CMAKE_PREFIX_PATH-}; do
    for suffix in "" /share/cmake/Torch /lib/cmake/Torch; do
      if [ -e "$prefix$suffix/TorchConfig.cmake" ]; then
        printf '%s\n' "$prefix$suffix"
        return
      fi
    done
  done
  return 1
}

# The wheel is built with CUDA 13, so an nvcc of another major version cannot add to it.
find_nvcc_13() {
  local nvcc release
  nvcc=$(PATH=$PATH:${CUDA_HOME:-/usr/local/cuda}/bin command -v nvcc) || return 1
  release=$("$nvcc" --version | sed -n 's/.*release \([0-9.]*\).*/\1/p')
  if [[ $release != 13.* ]]; then
    note "nvcc is CUDA $release; LibTorch $TORCH_VERSION is built with 13, so this will be a CPU build"
    return 1
  fi
  printf '%s\n' "$nvcc"
}

wanted_variant() { if find_nvcc_13 >/dev/null; then echo cuda; else echo cpu; fi; }

require_space() { # FOLDER GIGABYTES
  local free
  free=$(df --output=avail -BG "$1" | tail -n 1 | tr -dc 0-9)
  [ "$free" -ge "$2" ] || fail "$1 has $free GB free; fetching LibTorch takes $2 GB" \
    "Free some, or set ESMSCALE_DEPS to a folder with room"
}

install_wheel() { # VARIANT FOLDER TMP
  local requirements=("torch==$TORCH_VERSION")
  if [ "$1" = cpu ]; then requirements=(--no-deps "${requirements[@]}" "${CPU_RUNTIME[@]}"); fi
  # pip unpacks in TMPDIR: next to the folder, as the last step is a rename and /tmp may be small.
  TMPDIR=$3 pip_install "$DEPS/libtorch.log" "$2" "${requirements[@]}" ||
    fail "pip could not fetch LibTorch: is there a network? (log: $DEPS/libtorch.log)" \
      "If you have a LibTorch $TORCH_VERSION, set Torch_DIR to its folder share/cmake/Torch"
  [ -e "$2/torch/lib/libtorch_cpu.so" ] || fail "the torch wheel holds no lib/libtorch_cpu.so"
  printf '%s\n' "torch $TORCH_VERSION $1" >"$2/esmscale.stamp"
}

# Whole or absent: installed aside, stamped, renamed. Clones that share ESMSCALE_DEPS wait for each other.
fetch_libtorch() { # VARIANT
  local target=$DEPS/libtorch aside=$DEPS/libtorch.partial
  exec 9>"$DEPS/.lock"
  flock 9
  if grep -qsxe "torch $TORCH_VERSION $1" -e "torch $TORCH_VERSION cuda" "$target/esmscale.stamp"; then
    note "$(cat "$target/esmscale.stamp") is in $target"
  else
    install_packages python3-pip
    if [ "$1" = cpu ]; then require_space "$DEPS" 4; else require_space "$DEPS" 12; fi
    note "fetching torch $TORCH_VERSION $1 into $target; this takes a minute or more"
    rm -rf "$aside"
    mkdir -p "$aside/tmp"
    install_wheel "$1" "$aside/libtorch" "$aside/tmp"
    rm -rf "$target"
    mv "$aside/libtorch" "$target"
    rm -rf "$aside"
  fi
  exec 9>&-
}

setup_libtorch() {
  local named
  if named=$(named_torch); then
    note "LibTorch is the one that Torch_DIR or CMAKE_PREFIX_PATH names: $named"
  else
    [ -z "${Torch_DIR-}" ] || fail "Torch_DIR is $Torch_DIR, and there is no TorchConfig.cmake there" \
      "Set it to the folder share/cmake/Torch of a LibTorch 2.11, or unset it to have one fetched"
    fetch_libtorch "$(wanted_variant)"
  fi
}
