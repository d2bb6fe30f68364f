#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Puts the source of exactly the installed Kamailio, whose headers the module is built against, into
# DESTDIR/kamailio-VERSION. Needs no root: apt works on a source list and lists of its own under DESTDIR.
#
# usage: sh include/fetch-headers.sh DESTDIR
# DEBIAN_MIRROR and DEBIAN_SECURITY_MIRROR override where the source comes from.
set -eu

fail() {
    echo "fetch-headers: $*" >&2
    exit 1
}

[ $# -eq 1 ] || fail "usage: sh include/fetch-headers.sh DESTDIR"
command -v dpkg-query >/dev/null || fail "this is no Debian system: set KAMAILIO_SRC to the source tree of the installed Kamailio"
command -v dpkg-source >/dev/null || fail "dpkg-source is missing: apt-get install dpkg-dev"

version=$(dpkg-query -W -f '${Version}' kamailio 2>/dev/null) && [ -n "$version" ] ||
    fail "the package kamailio is not installed: apt-get install kamailio"
upstream=${version#*:}
upstream=${upstream%-*}
upstream=${upstream%%+*}
upstream=${upstream%%~*}

mkdir -p "$1" || fail "cannot make the folder $1"
dest=$(cd "$1" && pwd)
tree=$dest/kamailio-$upstream
stamp=$tree/.package-version
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$version" ]; then
    exit 0
fi

codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
[ -n "$codename" ] || fail "/etc/os-release names no Debian release: set KAMAILIO_SRC instead"
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
security=${DEBIAN_SECURITY_MIRROR:-http://deb.debian.org/debian-security}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

apt=$dest/apt
mkdir -p "$apt/lists/partial" "$apt/archives/partial"
cat >"$apt/sources.list" <<LIST
deb-src [signed-by=$keyring] $mirror $codename main
deb-src [signed-by=$keyring] $mirror $codename-updates main
deb-src [signed-by=$keyring] $security $codename-security main
LIST

private_apt() {
    apt-get -qq \
        -o Dir::Etc::SourceList="$apt/sources.list" \
        -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::State::Lists="$apt/lists" \
        -o Dir::Cache="$apt" \
        -o APT::Sandbox::User="$(id -un)" \
        "$@"
}

# Some mirrors lack the upstream author's signature of the tarball, without which apt does not unpack. What it has
# fetched it has checked against its own signed lists, and dpkg-source checks it against the package's.
unpack_unsigned() {
    sed '/\.asc$/d' "kamailio_${version#*:}.dsc" >unsigned.dsc && dpkg-source -x unsigned.dsc "$tree"
}

echo "fetch-headers: fetching the source of kamailio $version, whose headers the module is built against"
log=$apt/log
# A mirror without one of the suites is no failure yet: what counts is whether the source is found.
private_apt update >"$log" 2>&1 || true
rm -rf "$tree"
(cd "$dest" && { private_apt source "kamailio=$version" || unpack_unsigned; }) >>"$log" 2>&1 ||
    fail "the source of kamailio $version could not be fetched from $mirror (see $log): set DEBIAN_MIRROR, or KAMAILIO_SRC to a source tree"
[ -f "$tree/src/core/sr_module.h" ] ||
    fail "the source package did not unpack to $tree (see $log): set KAMAILIO_SRC to its source tree"
echo "$version" >"$stamp"
