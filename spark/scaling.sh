#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# How an epoch of DDPO on the icons scales from one executor to two, each on a core of its own: the table of
# docs/scaling.md. Adds a line for each to OUT. Run it several times in turn for both kinds of weights, on a
# machine where nothing else runs.
#
#   spark/scaling.sh OUT full|lora [settings of finetune...]
set -euo pipefail

out=${1:?where results go} trained=${2:?full or lora}
shift 2
rank=0
[[ $trained == full ]] || rank=8
root=$(CDPATH='' cd -P "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Executors are children of the driver; number K gets core K.
pin() { # pid of the driver
  local line
  while kill -0 "$1" 2>/dev/null; do
    while read -r line; do
      [[ ! $line =~ ^([0-9]+)\ .*CoarseGrainedExecutorBackend.*--executor-id\ ([0-9]+) ]] ||
        taskset -apc "${BASH_REMATCH[2]}" "${BASH_REMATCH[1]}" >/dev/null 2>&1 || true
    done < <(ps -o pid=,args= --ppid "$1")
    sleep 1
  done
}

# Median of a number over the last epochs of a run; the first ones wait for Java's compiler, which has the same core.
median() { # run, name
  sed -n "s/.*\"$2\":\([0-9.E-]*\).*/\1/p" "$1/metrics.jsonl" | tail -n 6 | sort -g |
    awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'
}

for executors in 1 2; do
  run=$work/$executors
  "$root/reverie" finetune --out "$run" --spark "local-cluster[$executors,1,1536]" --spark-conf spark.ui.enabled=false \
    --set update.shards=2 --set "lora.rank=$rank" --set epochs=12 --set evaluation.samples=16 --set evaluation.every=12 \
    "${@/#/--set=}" >"$work/log.txt" 2>&1 &
  driver=$!
  pin "$driver"
  wait "$driver" || { cat "$work/log.txt" >&2; exit 1; }
  printf '{"trained": "%s", "executors": %d, "sampling_seconds": %s, "training_seconds": %s}\n' "$trained" "$executors" \
    "$(median "$run" sampling_seconds)" "$(median "$run" training_seconds)" | tee -a "$out"
done
