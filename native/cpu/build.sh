#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# build.sh make-arguments…: runs make where there is a compiler for this kind of processor. Without
# one nothing is built, and Reverie computes with the Vector API.
cd "$(dirname "$0")" || exit 1
case $(uname -s -m) in
  "Linux x86_64") ;;
  *) echo "native kernels: none for $(uname -s -m); the Vector API will be used"; exit 0 ;;
esac
for CC in "${CC:-}" gcc clang; do
  if [ -n "$CC" ] && command -v "$CC" >/dev/null && command -v make >/dev/null; then
    exec make -s -j2 CC="$CC" "$@"
  fi
done
echo "native kernels: no make with gcc or clang found; the Vector API will be used"
