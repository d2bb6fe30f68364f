#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds the C host and lets it drive one SUBSCRIBE through the hooks of a module, without Kamailio.
#
# usage: sh tests/chost/run.sh [STOX.SO]
# STOX_UNDER names a program that runs it under a memory checker: called with a folder for reports, then the command.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
module=${1:-$root/target/stox.so}
[ -f "$module" ] || {
    echo "chost: there is no $module: make build" >&2
    exit 1
}
module=$(cd "$(dirname "$module")" && pwd)/$(basename "$module")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${CC:-cc}" -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -I"$root/include" "$root/tests/chost/host.c" -o "$work/host" -ldl
if [ -n "${STOX_UNDER:-}" ]; then
    # A checker may end the program: its reports say why.
    status=0
    "$STOX_UNDER" "$work/reports" "$work/host" "$module" "$work/stox.db" || status=$?
    python3 "$root/tests/sanitize/reports.py" "$work/reports"
    exit "$status"
else
    "$work/host" "$module" "$work/stox.db"
fi
