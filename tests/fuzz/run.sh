#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Fuzzes each target, or those named, for FUZZ_MINUTES each (10), beginning with the seeds and with what earlier
# runs found. Needs a C++ compiler for libFuzzer, and installs cargo-fuzz below the build folder. With a nightly
# toolchain every access to memory is checked too (AddressSanitizer); without one it says so and goes on.
#
# usage: sh tests/fuzz/run.sh [TARGET...]
# A finding is left in target/fuzz/artifacts/TARGET/. Made small (cargo fuzz tmin) it becomes a seed.
set -eu
cd "$(dirname "$0")/../.."

version=0.13.2
minutes=${FUZZ_MINUTES:-10}
out=$(realpath -m "${CARGO_TARGET_DIR:-target}")
tool=$out/cargo-fuzz/bin/cargo-fuzz
work=target/fuzz

command -v c++ >/dev/null || {
    echo "fuzz: libFuzzer is C++ and there is no compiler (c++): install g++" >&2
    exit 1
}
if [ ! -x "$tool" ]; then
    echo "fuzz: installing cargo-fuzz $version in $out/cargo-fuzz"
    CARGO_TARGET_DIR="$out/cargo-fuzz/build" \
        cargo install --quiet --locked --version "$version" --root "$out/cargo-fuzz" cargo-fuzz
fi
if cargo +nightly --version >/dev/null 2>&1; then
    toolchain=+nightly
    sanitizer=address
else
    echo "fuzz: no nightly toolchain: without AddressSanitizer" >&2
    toolchain=
    sanitizer=none
fi
# What is fuzzed is built of the same crates as what is shipped.
cp Cargo.lock tests/fuzz/Cargo.lock

fuzz() {
    command=$1
    shift
    # shellcheck disable=SC2086
    PATH="$(dirname "$tool"):$PATH" cargo $toolchain fuzz "$command" \
        --fuzz-dir tests/fuzz --target-dir "$out/fuzz-$sanitizer" -s "$sanitizer" "$@"
}

[ $# -gt 0 ] || set -- $(ls tests/fuzz/seeds)
fuzz build
failed=
for target; do
    mkdir -p "$work/corpus/$target" "$work/artifacts/$target"
    echo "fuzz: $target for $minutes minutes"
    fuzz run "$target" "$work/corpus/$target" "tests/fuzz/seeds/$target" tests/vectors/cpim tests/vectors/pidf tests/vectors/rfc5438 tests/vectors/rfc8048 -- \
        -max_total_time=$((minutes * 60)) -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="$work/artifacts/$target/" || failed="$failed $target"
done
[ -z "$failed" ] || {
    echo "fuzz: broken:$failed: see $work/artifacts/" >&2
    exit 1
}
