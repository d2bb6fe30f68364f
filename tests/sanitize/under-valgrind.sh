#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs a program that loads stox.so under valgrind's memcheck. Each process writes what is found into a file of its
# own; reports.py judges them.
#
# usage: sh tests/sanitize/under-valgrind.sh REPORTS PROGRAM [ARGUMENT...]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
asan=$(cd "$here/../.." && pwd)/target/asan
mkdir -p "$1"
reports=$(cd "$1" && pwd)
shift
command -v valgrind >/dev/null || {
    echo "under-valgrind: valgrind is missing: apt-get install valgrind" >&2
    exit 1
}

export LD_PRELOAD="$asan/pkg.so:$asan/pidfd.so"
exec valgrind --quiet --log-file="$reports/valgrind.%p" --trace-children=yes --child-silent-after-fork=no \
    --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite --num-callers=40 \
    --fullpath-after= --suppressions="$here/valgrind.supp" "$@"
