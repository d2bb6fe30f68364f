#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Installs what stox needs and this Debian system lacks, and says why. Silent when nothing is missing.
# Packages are installed with their services held down, so that no server of the system is started.
#
# usage: sh .ci/prerequisites.sh build|test|sanitize|debian13
#   build: what building stox.so needs; test: that, and what make test and make run need; sanitize: that, and what
#   make sanitize needs; debian13: what makes a Debian 13 beside this system.
# Without root and without sudo it prints the commands to run, and fails.
set -eu

policy=/usr/sbin/policy-rc.d
saved=$policy.saved-by-stox
mark="made by stox while it installs packages"

fail() {
    echo "prerequisites: $*" >&2
    exit 1
}

# Each line: a package, and what for.
packages() {
    if [ "$1" = debian13 ]; then
        echo 'debootstrap          makes a Debian 13 below target/'
        return 0
    fi
    cat <<'LIST'
kamailio             the SIP server that loads stox.so
dpkg-dev             fetches and unpacks the headers of the installed Kamailio
libclang-dev         reads Kamailio's headers (bindgen)
clang                supplies the compiler headers that libclang looks for
gcc                  compiles the shim for Kamailio's macros
libc6-dev            C headers
make                 prints the definitions that Kamailio was built with
pkg-config           is asked by Kamailio's Makefile.defs
libssl-dev           is looked for by Kamailio's Makefile.defs, and changes the flags a module must have
binutils             reads the symbols of the finished module (nm)
LIST
    [ "$1" != build ] || return 0
    cat <<'LIST'
kamailio-presence-modules  Kamailio's presence server, which the example configuration uses
kamailio-sqlite-modules    keeps the accounts of the example configuration
kamailio-tls-modules       speaks TLS to the clients of the scenarios
prosody              the XMPP server to connect to
lua-unbound          lets Prosody ask a DNS server of the scenarios' own
ejabberd             another XMPP server to connect to
libnss-wrapper       tells ejabberd the addresses that are the scenarios' own
dnsmasq-base         answers DNS in the scenarios
linphone-cli         a real SIP user agent (linphonec)
baresip              another real SIP user agent
profanity            a real XMPP client
sip-tester           plays SIP that no user agent plays (sipp)
libxml2-utils        checks presence documents against their schema (xmllint)
sqlite3              makes the database of the example configuration
python3              runs the end-to-end scenarios
python3-venv         keeps the scenarios' Python packages apart from the system's
LIST
    [ "$1" = sanitize ] || return 0
    cat <<'LIST'
valgrind             watches the memory of Kamailio's processes, its own code included
LIST
}

check_rust() {
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    found=$(rustc --version 2>/dev/null | sed -n 's/^rustc \([0-9]*\.[0-9]*\).*/\1/p')
    [ -n "$found" ] ||
        fail "Rust $wanted or later is needed and there is none: install it from https://rustup.rs (Debian's own is too old)"
    oldest=$(printf '%s\n%s\n' "$wanted" "$found" | sort -V | head -n 1)
    [ "$oldest" = "$wanted" ] ||
        fail "Rust $wanted or later is needed and rustc is $found: update it with rustup (Debian's own is too old)"
}

is_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Whether the policy file is one that an earlier, killed run left.
is_ours() {
    [ -f "$policy" ] && grep -q "$mark" "$policy"
}

hold_services() {
    if is_ours; then
        $as_root rm -f "$policy"
    fi
    # An earlier, killed run may have put it there: it is the system's own.
    if [ -e "$policy" ] || [ -L "$policy" ]; then
        [ ! -e "$saved" ] && [ ! -L "$saved" ] || fail "both $policy and $saved exist: remove the one that is not yours"
        $as_root mv "$policy" "$saved"
    fi
    printf '#!/bin/sh\n# %s\nexit 101\n' "$mark" | $as_root tee "$policy" >/dev/null
    $as_root chmod 755 "$policy"
}

release_services() {
    if is_ours; then
        $as_root rm -f "$policy"
    fi
    if { [ -e "$saved" ] || [ -L "$saved" ]; } && [ ! -e "$policy" ]; then
        $as_root mv "$saved" "$policy"
    fi
}

install_all() {
    trap release_services EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    hold_services
    log=target/prerequisites.log
    mkdir -p target
    if ! $as_root apt-get -q update >"$log" 2>&1; then
        echo "prerequisites: the package lists could not be updated (see $log); trying with those there are" >&2
    fi
    # shellcheck disable=SC2086
    $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -q -y --no-install-recommends install $missing >>"$log" 2>&1 ||
        fail "installing failed; the end of $log says why: $(tail -n 1 "$log")"
}

case ${1:-} in
build | test | sanitize | debian13) ;;
*) fail "usage: sh .ci/prerequisites.sh build|test|sanitize|debian13" ;;
esac
cd "$(dirname "$0")/.."
check_rust
command -v dpkg-query >/dev/null ||
    fail "this is no Debian system: install the counterparts of these yourself: $(packages "$1" | sed 's/ .*//' | tr '\n' ' ')"

missing=$(packages "$1" | while read -r package reason; do
    if ! is_installed "$package"; then
        printf '%s ' "$package"
        printf 'prerequisites: %s: %s\n' "$package" "$reason" >&2
    fi
done)
missing=${missing% }
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -eq 0 ]; then
    as_root=
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root="sudo -n"
else
    cat >&2 <<HOWTO
prerequisites: these packages are missing, and installing them takes root. Run as root, then make again:
    printf '#!/bin/sh\nexit 101\n' > $policy && chmod 755 $policy   # holds services down
    apt-get update
    apt-get install --no-install-recommends $missing
    rm $policy
HOWTO
    [ ! -e "$policy" ] || echo "prerequisites: $policy exists: leave out the first and the last line, and see what it allows" >&2
    exit 1
fi
echo "prerequisites: installing, services held down: $missing"
install_all
