#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# bundle.sh [FILE]: packs what device.sh needs on a machine with a CUDA device that has a driver,
# CUDA's libraries and Python with PyTorch but no JDK and no network: a Java runtime, Reverie and its
# benchmarks, the laws. Without the text encoder, ONNX Runtime and the icon model.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
file=$(realpath -m "${1:-$root/target/reverie-cuda.tar.xz}")
readonly limit=45000000

for home in "${JAVA_HOME:-}" /usr/lib/jvm/*; do
  case $(sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$home/release" 2>/dev/null || true) in
    2[5-9] | [3-9][0-9]) jdk=$home && break ;;
  esac
done
: "${jdk:?JDK 25 or newer is needed}"

cd "$root"
mvn -B -q -DskipTests -pl bench -am test-compile >&2
[[ -f tensor/target/classes/META-INF/reverie/cuda/kernels.fatbin ]] || {
  echo "bundle: there are no kernels for CUDA: install nvcc and run this again" >&2
  exit 1
}
version=$(sed -n 's/.*<junit.version>\(.*\)<.*/\1/p' pom.xml)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bundle=$work/reverie-cuda
mkdir -p "$bundle"/{lib,tests} "$(dirname "$file")"

mvn -B -q dependency:copy -Dartifact="org.junit.platform:junit-platform-console-standalone:$version" \
  -DoutputDirectory="$bundle/tests" -Dmdep.stripVersion=true
cp -r tensor/target/test-classes "$bundle/tests/tensor"
git rev-parse HEAD >"$bundle/commit.txt" 2>/dev/null || true

pack() { # folder, name: uncompressed, for the archive is compressed better as a whole
  "$jdk/bin/jar" --create --no-compress --no-manifest --file "$bundle/lib/$2" -C "$1" .
}

for classes in */target/classes; do
  mkdir "$work/jar"
  cp -r "$classes/." "$work/jar"
  rm -rf "$work/jar/reverie/app/models"
  pack "$work/jar" "reverie-${classes%%/*}.jar"
  rm -r "$work/jar"
done
tr : '\n' <app/target/runtime.classpath | grep '\.jar$' | grep -vE 'onnxruntime|minilm|langchain4j|webjars' |
  while read -r jar; do
    mkdir "$work/jar"
    # Without JCuda's compiler.
    unzip -q "$jar" -d "$work/jar" -x '*/libJNvPTXCompiler*' 2>/dev/null || (($? == 11))
    pack "$work/jar" "$(basename "$jar")"
    rm -r "$work/jar"
  done

"$jdk/bin/jlink" --output "$bundle/runtime" --strip-debug --no-header-files --no-man-pages --compress zip-0 \
  --add-modules java.base,java.desktop,java.logging,java.management,java.net.http,java.xml,jdk.management,jdk.incubator.vector,jdk.unsupported,jdk.zipfs

tar -C "$work" -c reverie-cuda | xz --x86 --lzma2=preset=9e >"$file"
size=$(stat -c %s "$file")
echo "$file: $((size / 1000000)) MB"
((size < limit)) || { echo "bundle: more than $((limit / 1000000)) MB" >&2; exit 1; }
