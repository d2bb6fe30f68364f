#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs a command of make in a Debian 13 of its own below target/, made once with debootstrap: another Kamailio, another
# Prosody, other phones. The repository is seen there read-only, with a target/ of its own. Processes and mounts
# live in namespaces of their own, so that none outlives the run.
#
# usage: sh .ci/debian13.sh MAKE-ARGUMENT...
# DEBIAN_MIRROR overrides where the packages come from; STOX_REQUIRE_PEERS is passed on. Takes root.
set -eu

release=trixie
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}

fail() {
    echo "debian13: $*" >&2
    exit 1
}

# In namespaces of our own: mounts what the chroot needs, and runs make in it.
inside() {
    mount --bind "$repository" "$root/stox"
    mount -o remount,bind,ro "$root/stox"
    mount --bind "$work" "$root/stox/target"
    mount --bind "$toolchains" "$root/rust/rustup"
    mount --bind "$cargo" "$root/rust/cargo"
    mount --rbind /dev "$root/dev"
    mount --rbind /sys "$root/sys"
    mount -t proc proc "$root/proc"
    exec chroot "$root" /usr/bin/env -i \
        HOME=/stox/target RUSTUP_HOME=/rust/rustup CARGO_HOME=/rust/cargo \
        PATH=/rust/cargo/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1 \
        CARGO_TARGET_DIR=/stox/target/cargo STOX_REQUIRE_PEERS="${STOX_REQUIRE_PEERS:-}" PYTEST_ADDOPTS="${PYTEST_ADDOPTS:-}" DEBIAN_MIRROR="$mirror" \
        ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} \
        make -C /stox --no-print-directory "$@"
}

# The release itself; what the project needs is installed in it by .ci/prerequisites.sh, as anywhere.
bootstrap() {
    log=target/debian13.log
    echo "debian13: making a Debian 13 in $root (see $log)"
    rm -rf "$root.new"
    debootstrap --variant=minbase --include=ca-certificates,make "$release" "$root.new" "$mirror" >"$log" 2>&1 ||
        fail "debootstrap failed; the end of $log says why: $(tail -n 1 "$log")"
    mv "$root.new" "$root"
}

# How this machine reaches the network, which may have changed.
settle() {
    cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
    cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
    [ ! -f /etc/pip.conf ] || cp -L /etc/pip.conf "$root/etc/"
    mkdir -p "$work" "$root/stox" "$root/rust/rustup" "$root/rust/cargo"
}

[ $# -ge 1 ] || fail "usage: sh .ci/debian13.sh MAKE-ARGUMENT..."
cd "$(dirname "$0")/.."
repository=$(pwd)
root=$repository/target/debian13
work=$repository/target/debian13-target
toolchains=${RUSTUP_HOME:-$HOME/.rustup}
cargo=${CARGO_HOME:-$HOME/.cargo}

if [ "${STOX_INSIDE_NAMESPACES:-}" = yes ]; then
    inside "$@"
fi
[ "$(id -u)" -eq 0 ] || fail "a Debian 13 is made with debootstrap and entered with chroot, which take root: run this as root"
sh .ci/prerequisites.sh debian13
[ -d "$toolchains" ] && [ -d "$cargo" ] || fail "Rust is not installed by rustup: set RUSTUP_HOME and CARGO_HOME"
[ -d "$root" ] || bootstrap
settle
STOX_INSIDE_NAMESPACES=yes exec unshare --mount --pid --fork --kill-child sh "$repository/.ci/debian13.sh" "$@"
