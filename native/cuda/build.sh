#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# build.sh target make-arguments…: runs make where it and what the target needs are there. What is
# not built is said; then there is no CUDA device, or its tests on the processor are skipped.
cd "$(dirname "$0")" || exit 1
missing() { echo "cuda $1: not built, for there is no $2"; exit 0; }
target=$1
[ "$(uname -s -m)" = "Linux x86_64" ] || missing "$target" "Linux on x86-64"
command -v make >/dev/null || missing "$target" "make"
for CC in "${CC:-}" gcc clang; do [ -n "$CC" ] && command -v "$CC" >/dev/null && break; done
case $target in
  kernels) command -v nvcc >/dev/null || missing "$target" "nvcc" ;;
  *) command -v "$CC" >/dev/null || missing "$target" "gcc or clang" ;;
esac
exec make -s -j2 CC="$CC" "$@"
