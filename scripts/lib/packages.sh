# Debian packages: only those missing are installed, and apt is not asked when none is.

BUILD_PACKAGES=(
  g++ cmake ninja-build ccache git ca-certificates python3
  libcli11-dev libspdlog-dev nlohmann-json3-dev
  libzstd-dev libisal-dev libxxhash-dev
  liblbfgs-dev libgloo-dev
  libgtest-dev libgmock-dev
)

is_installed() {
  [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

install_packages() {
  command -v apt-get >/dev/null && command -v dpkg-query >/dev/null ||
    fail "this set-up knows Debian and Ubuntu (apt-get); neither is here" \
      "Install a C++20 compiler and the libraries named in scripts/lib/packages.sh, then use cmake --preset release"
  local package
  missing_packages=()
  for package in "$@"; do
    is_installed "$package" || missing_packages+=("$package")
  done
  if [ ${#missing_packages[@]} -eq 0 ]; then
    note "all $# Debian packages are installed"
    return
  fi
  note "installing ${missing_packages[*]}"
  as_root true
  local log
  log=$(mktemp)
  with_log "$log" as_root apt-get update ||
    fail "apt-get update failed: is there a network? (log: $log)"
  with_log "$log" as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install --yes --no-install-recommends "${missing_packages[@]}" ||
    fail "apt-get could not install ${missing_packages[*]} (log: $log)"
  rm -f "$log"
}
