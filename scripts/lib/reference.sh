# The program that esmscale is compared with: Hugging Face's transformers, in a folder of its own. Only tests and
# scripts use it.

TRANSFORMERS_VERSION=${ESMSCALE_TRANSFORMERS:-4.57.6}
REFERENCE=$DEPS/transformers-$TRANSFORMERS_VERSION

# Python with transformers, and with torch from LibTorch's own wheel when all of that is there.
reference_python() { (exec_reference_python "$@"); }
# … in place of this script, so that whoever stops it stops Python.
exec_reference_python() {
  PYTHONPATH=$ROOT/scripts:$REFERENCE:$DEPS/libtorch HF_HUB_OFFLINE=1 exec python3 -W ignore "$@"
}

can_import() { reference_python -m esmtools.can_import "$@" >/dev/null 2>&1; } # MODULE…

has_python_header() {
  [ -e "$(python3 -m sysconfig | sed -n 's/^\tinclude = "\(.*\)"$/\1/p')/Python.h" ]
}

# setup_reference [--small]: --small leaves it (status 1) when that would mean fetching torch, 4 GB.
setup_reference() {
  # One process, as an import takes seconds.
  ! can_import torch transformers || return 0
  exec 9>"$DEPS/.lock"
  flock 9
  if ! can_import transformers; then
    note "fetching transformers $TRANSFORMERS_VERSION into $REFERENCE"
    rm -rf "$REFERENCE.partial"
    pip_install "$DEPS/transformers.log" "$REFERENCE.partial" "transformers==$TRANSFORMERS_VERSION" || return 1
    rm -rf "$REFERENCE"
    mv "$REFERENCE.partial" "$REFERENCE"
  fi
  if ! can_import torch; then
    [ "${1-}" != --small ] || return 1
    note "LibTorch here is the one without CUDA, which Python cannot import: fetching torch $TORCH_VERSION"
    pip_install "$DEPS/transformers.log" "$REFERENCE" "torch==$TORCH_VERSION" || return 1
  fi
  exec 9>&-
  can_import transformers
}
