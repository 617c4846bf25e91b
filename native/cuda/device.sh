#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# device.sh facts|speed [BUNDLE]: tries Reverie on this machine's CUDA device, from a checkout and the
# file that bundle.sh made. What is worth most comes first; every step writes as it runs to at
# most 8 files in $OUT, and is ended when its time is up, so that a failure costs one step.
#
#   facts  270 s  does it work: libraries, doctor, vectors, our own steps by operation, laws, probes
#   speed  430 s  how fast: whole steps in turn with PyTorch, eager and compiled
#
# Environment: OUT (default target/device), LIMIT (seconds). REHEARSE=1 puts the kernels' emulation
# under the names of NVIDIA's libraries and skips what only a device can do; it needs a C compiler.
set -uo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root" || exit
OUT=$(realpath -m "${OUT:-target/device}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$OUT"
readonly OUT root work part=${1:-} bundle=${2:-target/reverie-cuda.tar.xz} most_bytes=$((15 << 20))
# The emulation is slow.
patience=1 && [[ -z ${REHEARSE:-} ]] || patience=6
case $part in
  facts) limit=${LIMIT:-$((270 * patience))} ;;
  speed) limit=${LIMIT:-430} ;;
  *) sed -n '4,13s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
esac

failed=()
# step LOG SECONDS NAME COMMAND…: one line about it here, what it says in the log.
step() {
  local log=$OUT/$1 most=$2 name=$3 from=$SECONDS status
  shift 3
  ((most <= limit - SECONDS - 3)) || most=$((limit - SECONDS - 3))
  if ((most < 5)); then
    printf '%-40s no time left\n' "$name"
    failed+=("$name")
    return 99
  fi
  printf '\n### %s (%s, at most %s s): %s\n' "$name" "$(date +%T)" "$most" "$*" >>"$log"
  timeout -k 3 "$most" "$@" >>"$log" 2>&1
  status=$?
  printf '%-40s status %-3s %4s s\n' "$name" "$status" $((SECONDS - from))
  ((status == 0)) || failed+=("$name")
  if (($(stat -c %s "$log") > most_bytes)); then
    { head -c 4M "$log" && printf '\n[cut]\n' && tail -c 8M "$log"; } >"$work/cut" && mv "$work/cut" "$log"
  fi
  return "$status"
}

finish() {
  printf '\n%s; %s s; logs in %s\n' "${failed[*]:+failed: ${failed[*]}}" "$SECONDS" "$OUT"
  ls -l "$OUT"
  ((${#failed[@]} == 0))
  exit
}

# --- PyTorch's libraries: cuDNN finds its parts, and both sides use the same ---
site=$(python3 -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])' 2>/dev/null)
export LD_LIBRARY_PATH=$site/nvidia/cudnn/lib:$site/nvidia/cu13/lib:$site/nvidia/cublas/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export PYTHONUNBUFFERED=1 TORCHINDUCTOR_CACHE_DIR=$work/inductor TRITON_CACHE_DIR=$work/triton

machine() {
  nvidia-smi -L
  nvidia-smi --query-gpu=driver_version,memory.used,clocks.sm,clocks.mem --format=csv
  uname -r
  ldd --version | head -1
  nproc
  free -g | head -2
  df -h /tmp | tail -1
  ls -l "$site"/nvidia/*/lib/lib{cudnn,cublas,nvrtc}*.so*
  ldconfig -p | grep -E 'libcuda\.so|cudnn|cublas'
  env | grep -iE 'cuda|nvidia|virtual_env|ld_library'
  command -v python3 xz cc java
} 2>&1
machine >"$OUT/$part-machine.txt"

[[ -f $bundle ]] || { echo "device: there is no $bundle: native/cuda/bundle.sh makes it" >&2; exit 1; }
tar -C "$work" -xf "$bundle" 2>/dev/null || python3 -m tarfile -e "$bundle" "$work" || exit
home=$work/reverie-cuda

if [[ -n ${REHEARSE:-} ]]; then
  sources=tensor/src/test/resources/reverie/tensor/cuda
  mkdir "$work/standins"
  for library in cuda.so.1 cublas.so.13 cudnn.so.9; do
    name=lib$library version=() links=()
    if [[ $library != cuda* ]]; then
      echo "$name { global: *; };" >"$work/standins/map"
      version=(-Wl,--version-script="$work/standins/map") links=(-L"$work/standins" -l:libcuda.so.1)
    fi
    cc -std=gnu17 -O2 -fPIC -shared -DVERSION="${library##*.}" -Wl,-soname,"$name" "${version[@]}" \
      -o "$work/standins/$name" "$sources/${name%%.*}.c" "${links[@]}" || exit
  done
  # cuDNN 9 loads its parts by name.
  echo | cc -shared -fPIC -x c -o "$work/standins/libcudnn_ops.so.9" - || exit
  export LD_LIBRARY_PATH=$work/standins
  export STANDIN_KERNELS=$home/tests/tensor/reverie/tensor/cuda/driver/libreverie-cuda-host.so
fi

classpath=$(printf '%s:' "$home"/lib/*.jar)
java=("$home/runtime/bin/java" --add-modules=jdk.incubator.vector --enable-native-access=ALL-UNNAMED
  --sun-misc-unsafe-memory-access=allow -Djava.awt.headless=true -Xmx72g -Xss16m
  "-XX:ErrorFile=$OUT/$part-hs_err.txt" "-Djava.io.tmpdir=$work")
reverie=("${java[@]}" -cp "$classpath" reverie.app.Main)

# Nothing below says anything without a device, or with one that computes wrongly.
step "$part-doctor.txt" 40 doctor "${reverie[@]}" doctor --require cuda || {
  tail -30 "$OUT/$part-doctor.txt"
  LD_DEBUG=libs timeout 40 "${reverie[@]}" doctor 2>&1 |
    grep -aE 'cuda|cudnn|cublas|error' | head -300 >>"$OUT/$part-doctor.txt"
  echo "device: no device that computes: stopping"
  finish
}

# With $attention in bfloat16.
bench() { # SECONDS ROW WAY ROUNDS [OPTION…]
  local most=$1 row=$2 way=$3 rounds=$4 status
  shift 4
  rm -f "$work/row.jsonl"
  step "$part-bench.txt" "$most" "$way $row${attention:+, $attention attention}" \
    "${java[@]}" "-Dreverie.cuda.attention=${attention:-own}" -cp "$classpath" reverie.app.Main \
    bench --cuda --way "$way" --only "$row" --rounds "$rounds" --json "$work/row.jsonl" "$@"
  status=$?
  cat "$work/row.jsonl" >>"$OUT/$part-bench.jsonl" 2>/dev/null
  return "$status"
}

# Tests that must have run: skipped ones say nothing.
tests() { # SECONDS NAME [OPTION OF JAVA…] -- SELECTION…
  local most=$1 name=$2 options=() said
  shift 2
  while [[ $1 != -- ]]; do options+=("$1") && shift; done
  step facts-laws.txt "$most" "$name" "${java[@]}" -Dreverie.cuda.required=true "${options[@]}" \
    -jar "$home/tests/junit-platform-console-standalone.jar" execute \
    --class-path "$home/tests/tensor:$classpath" --details=tree --disable-banner --disable-ansi-colors \
    "${@:2}"
  said=$(sed -n "/^### $name (/,\$p" "$OUT/facts-laws.txt")
  grep -aE '\[ *[0-9]+ tests (found|successful|failed|aborted)' <<<"$said"
  grep -aqE '\[ *[1-9][0-9]* tests successful' <<<"$said" || {
    echo "device: $name: no test ran to its end with success"
    failed+=("$name: none ran")
  }
}

facts() {
  local vectors=()
  while IFS= read -r file; do vectors+=("$file"); done < \
    <(find . -path '*/src/test/resources/*' \( -name 'unet*.safetensors' -o -name 'ddim*.safetensors' \) | sort)
  step facts-check.txt $((40 * patience)) check "${reverie[@]}" check --device cuda --tolerance 1e-4 "${vectors[@]}"
  if [[ -z ${REHEARSE:-} ]]; then
    for precision in bf16 tf32; do
      for kind in sampling ddpo; do
        bench 40 "sd-4-$kind-$precision" ours 5 --profile
      done
    done
  fi
  # All laws in float32, those of products in the other precisions too. The stand-ins compute in float32
  # alone, and slowly: there, an operation of each family of kernels.
  local laws='reverie.tensor.cuda.CudaBackendLawsTest$OnADevice' selection='.*'
  local classes=("$laws" "${laws}InTf32" "${laws}InBf16")
  if [[ -n ${REHEARSE:-} ]]; then
    classes=("$laws") selection='add|linear|conv2d|attention|group_norm|layer_norm|euclidean_norm|adam_w|concat'
  fi
  tests $((100 * patience)) laws "-Dreverie.laws=$selection" -- "${classes[@]/#/--select-class=}"
  [[ -n ${REHEARSE:-} ]] || tests 30 "cudnn attention" -Dreverie.cuda.attention=cudnn -- \
    '--select-method=reverie.tensor.cuda.kernels.AttentionGraphsTest#agreesOnADevice'
  step facts-probe.txt 20 "probe symbols" python3 native/cuda/probe.py symbols native/cuda/forward
  [[ -z ${REHEARSE:-} ]] || return
  step facts-probe.txt 60 "probe algorithms" python3 native/cuda/probe.py algorithms
  step facts-probe.txt 40 "probe capture" python3 native/cuda/probe.py capture
  step facts-probe.txt 25 "probe misaligned" python3 native/cuda/probe.py misaligned # may fault: last
}

speed() {
  [[ -z ${REHEARSE:-} ]] || { echo "device: speed wants a device"; return; }
  # torch.compile is the processor's work: its cache is filled before anything is timed.
  bench 150 sd-4-sampling-bf16 compiled 1
  bench 70 sd-4-sampling-bf16 compiled 7
  bench 60 sd-4-sampling-bf16 eager 7
  attention=cudnn bench 40 sd-4-sampling-bf16 ours 7
  bench 70 large-256-ddpo-bf16 compiled 7
  bench 35 large-256-ddpo-bf16 eager 7
  bench 50 large-64-sampling-bf16 compiled 7
  bench 45 icons-64-sampling-bf16 compiled 7
  bench 25 icons-64-sampling-bf16 eager 7
  bench 110 sd-4-ddpo-bf16 eager 3
  bench 50 large-256-sampling-tf32 compiled 7
  grep -ahE 'PyTorch|FAILED' "$OUT/speed-bench.txt"
}

"$part"
finish
