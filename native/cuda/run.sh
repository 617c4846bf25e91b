#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh [STEP…]: tries Reverie on this machine's CUDA device; all of doctor laws check quickstart
# bench, or those that are named. What each says is kept in results/. DEVICE=cpu rehearses check and
# quickstart where there is no device.
set -uo pipefail
cd "$(dirname "$0")"
mkdir -p results
classpath=$(printf '%s:' lib/*.jar)
readonly classpath java=(runtime/bin/java --add-modules=jdk.incubator.vector
  --enable-native-access=ALL-UNNAMED --sun-misc-unsafe-memory-access=allow -Djava.awt.headless=true)

reverie() { "${java[@]}" -Xmx8g -cp "$classpath" reverie.app.Main "$@"; }

doctor() { reverie doctor; }

laws() {
  "${java[@]}" -Xmx8g -jar tests/junit-platform-console-standalone.jar execute \
    --class-path "tests/tensor:$classpath" --details=tree --disable-banner \
    --select-class 'reverie.tensor.cuda.CudaBackendLawsTest$OnADevice' \
    --reports-dir results/laws
}

check() { reverie check --device "${DEVICE:-cuda}" --tolerance 1e-4 vectors/*.safetensors; }

quickstart() { reverie quickstart --device "${DEVICE:-cuda}" --out results/quickstart; }

bench() { reverie bench --cuda --json results/cuda.json; }

failed=()
for step in "${@:-doctor laws check quickstart bench}"; do
  for name in $step; do
    printf '\n== %s\n' "$name"
    "$name" 2>&1 | tee "results/$name.txt" || failed+=("$name")
  done
done
printf '\n%s\n' "${failed[*]:+failed: ${failed[*]}}"
((${#failed[@]} == 0))
