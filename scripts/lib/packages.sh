# Debian packages: only those missing are installed, and apt is not asked when none is.

BUILD_PACKAGES=(
  g++ cmake ninja-build ccache git ca-certificates python3
  libcli11-dev libspdlog-dev nlohmann-json3-dev
  libzstd-dev libisal-dev libxxhash-dev
  liblbfgs-dev libgloo-dev
  libgtest-dev libgmock-dev
)

# A SLURM for the tests of scripts/slurm, which skip without it.
TEST_PACKAGES=(slurm-wlm munge)

is_installed() {
  [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

install_packages() {
  if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    note "not a Debian or Ubuntu: the equivalent of these packages must be here already: $*"
    return
  fi
  local package log missing_packages=()
  for package in "$@"; do
    is_installed "$package" || missing_packages+=("$package")
  done
  if [ ${#missing_packages[@]} -eq 0 ]; then
    note "installed already: $*"
    return
  fi
  note "installing ${missing_packages[*]}"
  require_root "installing Debian packages"
  log=$(mktemp)
  with_log "$log" as_root apt-get update || fail "apt-get update failed (log: $log)"
  with_log "$log" as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install --yes --no-install-recommends "${missing_packages[@]}" ||
    fail "apt-get could not install these packages: is there a network? (log: $log)"
  rm -f "$log"
}

# pip_install LOG FOLDER REQUIREMENT…: packages of Python, into a folder of their own.
pip_install() {
  with_log "$1" env PIP_USER=0 PIP_ROOT_USER_ACTION=ignore \
    python3 -m pip install --quiet --no-compile --disable-pip-version-check --target "$2" "${@:3}"
}

# Installs what only tests and checks need, if that needs no password.
install_if_allowed() { # PACKAGE…
  if [ "$(id -u)" -ne 0 ] && ! sudo -n true 2>/dev/null; then
    note "not root: not installing $*"
    return 1
  fi
  (install_packages "$@")
}

install_test_packages() {
  if command -v slurmctld >/dev/null && command -v munged >/dev/null; then
    note "there is a SLURM: $(command -v slurmctld)"
  elif ! install_if_allowed "${TEST_PACKAGES[@]}"; then
    note "the tests named slurm.* skip without ${TEST_PACKAGES[*]}"
  fi
}
