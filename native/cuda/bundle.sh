#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# bundle.sh [FILE]: packs everything that a machine with a CUDA device needs to try Reverie on it,
# if that machine has a driver, CUDA's libraries and Python with PyTorch but no JDK and no network:
#
#   tar xf reverie-cuda.tar.xz && reverie-cuda/run.sh
#
# run.sh leaves what it found in reverie-cuda/results.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
file=$(realpath -m "${1:-$root/target/reverie-cuda.tar.xz}")
readonly limit=60000000

for home in "${JAVA_HOME:-}" /usr/lib/jvm/*; do
  case $(sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$home/release" 2>/dev/null || true) in
    2[5-9] | [3-9][0-9]) jdk=$home && break ;;
  esac
done
: "${jdk:?JDK 25 or newer is needed}"

cd "$root"
mvn -B -q -DskipTests -pl bench -am test-compile >&2
[[ -f tensor/target/classes/reverie/tensor/cuda/driver/kernels.fatbin ]] || {
  echo "bundle: there are no kernels for CUDA: install nvcc and run this again" >&2
  exit 1
}
version=$(sed -n 's/.*<junit.version>\(.*\)<.*/\1/p' pom.xml)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bundle=$work/reverie-cuda
mkdir -p "$bundle"/{lib,tests,vectors} "$(dirname "$file")"

mvn -B -q dependency:copy -Dartifact="org.junit.platform:junit-platform-console-standalone:$version" \
  -DoutputDirectory="$bundle/tests" -Dmdep.stripVersion=true
cp -r tensor/target/test-classes "$bundle/tests/tensor"
find . -path '*/src/test/resources/*.safetensors' -exec cp {} "$bundle/vectors" \;
cp native/cuda/run.sh "$bundle"
git rev-parse HEAD >"$bundle/commit.txt" 2>/dev/null || true

# Ours as jars, and the libraries of the application.
for module in tensor autograd unet diffusion rl app bench; do
  "$jdk/bin/jar" --create --no-compress --file "$bundle/lib/reverie-$module.jar" -C "$module/target/classes" .
done
tr : '\n' <app/target/runtime.classpath | grep '\.jar$' | while read -r jar; do
  # Without what is for other platforms, and JCuda's compiler; uncompressed, for the archive is
  # compressed better as a whole.
  mkdir "$work/jar"
  unzip -q "$jar" -d "$work/jar" -x 'ai/onnxruntime/native/osx*' 'ai/onnxruntime/native/win*' \
    'ai/onnxruntime/native/linux-aarch64*' '*/libJNvPTXCompiler*' 2>/dev/null || (($? == 11))
  "$jdk/bin/jar" --create --no-compress --no-manifest --file "$bundle/lib/$(basename "$jar")" -C "$work/jar" .
  rm -r "$work/jar"
done

"$jdk/bin/jlink" --output "$bundle/runtime" --strip-debug --no-header-files --no-man-pages --compress zip-0 \
  --add-modules java.base,java.desktop,java.logging,java.management,java.xml,jdk.management,jdk.incubator.vector,jdk.unsupported,jdk.zipfs

tar -C "$work" -c reverie-cuda | xz --x86 --lzma2=preset=9e >"$file"
size=$(stat -c %s "$file")
echo "$file: $((size / 1000000)) MB"
((size < limit)) || { echo "bundle: more than $((limit / 1000000)) MB" >&2; exit 1; }
