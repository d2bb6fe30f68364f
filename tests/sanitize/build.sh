#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Builds stox.so with AddressSanitizer, its C code too, and what a program that loads it must preload, here and for
# valgrind; leaves them in target/asan/. With arguments, runs cargo with them in the same setting instead.
#
# usage: sh tests/sanitize/build.sh [CARGO-ARGUMENT...]
set -eu
cd "$(dirname "$0")/../.."
target=x86_64-unknown-linux-gnu
out=target/asan
source=${KAMAILIO_SRC:-$(echo target/kamailio-src/kamailio-*)}/src
mkdir -p "$out"

fail() {
    echo "sanitize: $*" >&2
    exit 1
}

# The sanitizers of the stable compiler are there, behind a switch.
export RUSTC_BOOTSTRAP=1
export RUSTFLAGS="-Zsanitizer=address -Cforce-frame-pointers=yes"
export CFLAGS_x86_64_unknown_linux_gnu="-fsanitize=address -fno-omit-frame-pointer -g1"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/asan"
export CARGO_PROFILE_DEV_OPT_LEVEL=1
if [ $# -gt 0 ]; then
    # For a test that measures memory.
    export STOX_SANITIZED=1
    exec "${CARGO:-cargo}" "$@" --features module --target "$target"
fi

"${CARGO:-cargo}" build --lib --bins --features module --target "$target"
cp "$CARGO_TARGET_DIR/$target/debug/libstox.so" "$out/stox.so.new"
mv -f "$out/stox.so.new" "$out/stox.so"
nm -D --undefined-only "$out/stox.so" >"$out/symbols"
for check in __asan_init __asan_report_load8 __asan_report_store8; do
    grep -qw "$check" "$out/symbols" || fail "$out/stox.so is not instrumented: it does not call $check"
done

# A library has no runtime of its own: it must be there before all else, so that it is preloaded. Debian's is of
# another age than the compiler, which brings its own as an archive for programs.
archive=$(echo "$(rustc --print sysroot)/lib/rustlib/$target/lib/"librustc-*_rt.asan.a)
[ -f "$archive" ] || fail "$archive is missing: this Rust has no AddressSanitizer"
cp "$archive" "$out/runtime.a"
# It starts the runtime in a way that only programs have.
ar d "$out/runtime.a" asan_preinit.cpp.o
"${CC:-cc}" -shared -fPIC -O1 -Wall -Wextra -Werror tests/sanitize/leaks.c -o "$out/runtime.so" \
    -Wl,--whole-archive "$out/runtime.a" -Wl,--no-whole-archive -lpthread -ldl -lm -lrt
"${CC:-cc}" -shared -fPIC -O1 -Wall -Wextra -Werror -D_GNU_SOURCE -DPKG_MALLOC -DDBG_SR_MEMORY -I"$source" \
    tests/sanitize/pkg.c -o "$out/pkg.so" -ldl
"${CC:-cc}" -shared -fPIC -O1 -Wall -Wextra -Werror -D_GNU_SOURCE tests/sanitize/pidfd.c -o "$out/pidfd.so" -ldl
echo "sanitize: $out/stox.so, instrumented"
