#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Runs a program that loads target/asan/stox.so, with the runtime of AddressSanitizer. Each process writes what it
# finds into a file of its own; reports.py judges them.
#
# usage: sh tests/sanitize/under-asan.sh REPORTS PROGRAM [ARGUMENT...]
set -eu
asan=$(cd "$(dirname "$0")/../.." && pwd)/target/asan
mkdir -p "$1"
reports=$(cd "$1" && pwd)
shift

# Symbols are looked up by reports.py, only where they are wanted. The gateway process drops Kamailio's signal
# handlers, and must not drop the sanitizer's (handle_*=2). A small quarantine keeps memory bounded, which scenarios measure.
export ASAN_OPTIONS="log_path=$reports/asan:symbolize=0:leak_check_at_exit=0:handle_segv=2:handle_sigbus=2:\
handle_sigfpe=2:handle_sigill=2:detect_stack_use_after_return=1:strict_string_checks=1:quarantine_size_mb=8"
export LD_PRELOAD="$asan/runtime.so:$asan/pkg.so"
exec "$@"
