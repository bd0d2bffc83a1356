# Read by script/demo, script/test and the Makefile: everything they stand on. POSIX sh; says what it does on stderr.
#
#   ground demo|dev       makes .venv with that set of packages; a second call with nothing changed does nothing
#   want demo|test        installs the programs that are missing, when root or sudo is at hand; otherwise names them
#
# TRAM_VENV   another folder than .venv
# PYTHON      another interpreter than the first fitting python3

VENV=${TRAM_VENV:-.venv}
PATH=$PATH:/usr/sbin:/sbin

say() { printf '%s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# An interpreter this project runs on, with venv and ensurepip (Debian ships those two apart, as python3-venv).
python_fits() {
  "$1" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' >/dev/null 2>&1
}

find_python() {
  for candidate in "${PYTHON:-}" python3 /usr/bin/python3 python3.13 python3.12 python3.11; do
    if [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1 && python_fits "$candidate"; then
      command -v "$candidate"
      return 0
    fi
  done
  return 1
}

has() { command -v "$1" >/dev/null 2>&1; }

has_postgres() {
  has initdb && has postgres && return 0
  for folder in /usr/lib/postgresql/*/bin; do [ -x "$folder/initdb" ] && [ -x "$folder/postgres" ] && return 0; done
  return 1
}

has_vietnamese_font() {
  for font in /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf /usr/share/fonts/truetype/noto/NotoSans-Regular.ttf; do
    [ -e "$font" ] && return 0
  done
  has fc-list && [ -n "$(fc-list ':lang=vi' family 2>/dev/null)" ]
}

# The node program inside the playwright package needs it, and no Debian 12 package of ours brings it.
has_atomic() {
  for folder in /lib /usr/lib /lib/*-linux-gnu /usr/lib/*-linux-gnu /usr/lib64; do [ -e "$folder/libatomic.so.1" ] && return 0; done
  return 1
}

# The decoder of QR codes that the box's camera needs (kiosk/codes.py).
has_zbar() {
  for folder in /usr/lib /usr/lib/*-linux-gnu /usr/lib64; do [ -e "$folder/libzbar.so.0" ] && return 0; done
  return 1
}

# A software TPM, and the libraries by which systemd speaks to it (tests/test_cli_key.py).
has_tpm() {
  has swtpm || return 1
  for lib in libtss2-tcti-swtpm.so.0 libtss2-esys.so.0 libtss2-rc.so.0; do
    found=no
    for folder in /usr/lib /usr/lib/*-linux-gnu /usr/lib64; do [ -e "$folder/$lib" ] && found=yes; done
    [ "$found" = yes ] || return 1
  done
}

# The Debian packages that $1 (demo or test) still needs, one word each.
missing() {
  find_python >/dev/null || printf 'python3 python3-venv '
  [ -e /etc/ssl/certs/ca-certificates.crt ] || printf 'ca-certificates '
  [ "$1" = test ] || return 0
  has mosquitto || printf 'mosquitto '
  has_postgres || printf 'postgresql '
  has chromium || printf 'chromium '
  has Xvfb || printf 'xvfb '
  has xdotool || printf 'xdotool '
  has_vietnamese_font || printf 'fonts-dejavu-core '
  has_atomic || printf 'libatomic1 '
  has setpriv || printf 'util-linux '
  has nginx || printf 'nginx '
  has cupsd || printf 'cups-daemon '
  has lpadmin || printf 'cups-client '
  has_zbar || printf 'libzbar0 '
  has_tpm || printf 'swtpm libtss2-tcti-swtpm0 libtss2-esys-3.0.2-0 libtss2-rc0 '
  # The packet filter is tried in a network of its own, which is root's to make.
  [ "$(id -u)" = 0 ] || return 0
  has nft || printf 'nftables '
  has ip || printf 'iproute2 '
}

# "" for root, "sudo -n" where that works without a password; fails where neither does.
root_way() {
  if [ "$(id -u)" = 0 ]; then return 0; fi
  if has sudo && sudo -n true >/dev/null 2>&1; then printf 'sudo -n'; return 0; fi
  return 1
}

want() {
  packages=$(missing "$1")
  [ -n "$packages" ] || return 0
  if ! has apt-get || ! way=$(root_way); then
    say "Before this can run, these Debian packages must be installed (there is no root or sudo at hand to do it now):"
    die "    apt-get update && apt-get install --no-install-recommends $packages"
  fi
  say "Installing Debian packages: $packages(this can take some minutes)"
  log=$(mktemp)
  # $way is one or two words or none, $packages a list: both are meant to be split.
  # shellcheck disable=SC2086
  if $way apt-get -q -o DPkg::Lock::Timeout=400 update >"$log" 2>&1 </dev/null; then :; else
    tail -n 5 "$log" >&2
    say "apt-get update did not succeed; trying with the lists there are"
  fi
  # shellcheck disable=SC2086
  if $way env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=400 install --no-install-recommends $packages >"$log" 2>&1 </dev/null; then :; else
    tail -n 40 "$log" >&2
    rm -f "$log"
    die "apt-get could not install: $packages"
  fi
  rm -f "$log"
  left=$(missing "$1")
  [ -z "$left" ] || die "still missing after the installation: $left (this project needs Python 3.11, 3.12 or 3.13)"
}

# What .venv must hold for the set $1, in one line: the same line again means nothing to do.
fingerprint() {
  { cat "requirements/$1.txt" requirements/build.txt pyproject.toml; pwd -P; "$2" -VV; } | sha256sum | cut -d' ' -f1
}

# True when .venv holds the set $1 (dev holds everything that demo does).
stands() {
  [ -x "$VENV/bin/python" ] || return 1
  for set in "$1" dev; do
    [ "$(cat "$VENV/.ground-$set" 2>/dev/null)" = "$(fingerprint "$set" "$VENV/bin/python")" ] && return 0
  done
  return 1
}

pip_install() { "$VENV/bin/python" -m pip --disable-pip-version-check install -qq "$@" >&2; }

# Every package is pinned by its hash; no package is built from source; our own code is linked, not copied.
build() {
  if ! python_fits "$VENV/bin/python"; then
    python=$(find_python) || die "no Python 3.11, 3.12 or 3.13 with venv found"
    say "Making $VENV with $("$python" -V)"
    "$python" -m venv --clear "$VENV" >&2 || die "could not make $VENV"
  fi
  say "Installing Python packages (requirements/$1.txt) into $VENV"
  rm -f "$VENV"/.ground-*
  pip_install --require-hashes --no-deps --only-binary :all: -r requirements/build.txt -r "requirements/$1.txt" || die "pip could not install requirements/$1.txt"
  pip_install --no-deps --no-build-isolation -e . || die "pip could not install the project itself"
  fingerprint "$1" "$VENV/bin/python" >"$VENV/.ground-$1"
}

ground() {
  stands "$1" && return 0
  mkdir -p "$VENV"
  # One set-up at a time; the lock ends with the brackets, so nothing started later holds it.
  (
    if has flock; then flock 9; fi
    stands "$1" || build "$1"
  ) 9>"$VENV.lock"
}
