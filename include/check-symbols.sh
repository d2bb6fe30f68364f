#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Every symbol that the module leaves open must be offered by the Kamailio that will load it, or by the
# libraries the module names itself: a header can declare what does not exist, and a weak reference to that
# is found by no linker.
#
# usage: sh include/check-symbols.sh MODULE.so [KAMAILIO]
set -eu

fail() {
    echo "check-symbols: $*" >&2
    exit 1
}

[ $# -ge 1 ] && [ $# -le 2 ] || fail "usage: sh include/check-symbols.sh MODULE.so [KAMAILIO]"
module=$1
command -v nm >/dev/null || fail "nm is missing: apt-get install binutils"
kamailio=${2:-$(PATH=$PATH:/usr/sbin:/usr/local/sbin command -v kamailio)} ||
    fail "kamailio is not installed: apt-get install kamailio"
[ -f "$module" ] || fail "there is no $module: make build"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

defined() {
    nm -D --defined-only -- "$1" | awk '{ sub(/@.*/, "", $NF); print $NF }'
}

nm -D --undefined-only -- "$module" >"$work/nm" || fail "$module cannot be read"
awk '{ sub(/@.*/, "", $NF); print $NF }' "$work/nm" | sort -u >"$work/open"
{
    defined "$kamailio"
    # ldd starts the module's libraries only; those of this system, which the module was just linked with.
    ldd "$module" | awk '/=> \// { print $3 } /^[ \t]*\// { print $1 }' | while read -r library; do
        defined "$library"
    done
    # Optional hooks of the C runtime, absent from every library.
    printf '%s\n' __gmon_start__ _ITM_deregisterTMCloneTable _ITM_registerTMCloneTable
} | sort -u >"$work/offered"

missing=$(comm -23 "$work/open" "$work/offered")
[ -z "$missing" ] ||
    fail "$module needs symbols that $kamailio does not have, and would crash when it calls them:" $missing

# What Kamailio looks for must be there.
for name in exports mod_register module_flags module_interface_ver module_version \
    stox_abi_version stox_matches stox_ports stox_request stox_result stox_run_port stox_set stox_start stox_stop; do
    defined "$module" | grep -qx "$name" || fail "$module does not offer $name"
done
echo "check-symbols: $(wc -l <"$work/open") open symbols, all offered"
