#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# package-spark.sh JDK: one jar of everything but Spark, for machines without this checkout; services of several jars
# are joined. Called by ./reverie package-spark, after it has built.
set -euo pipefail
jdk=$1
root=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=$root/spark/target/reverie-spark.jar
all=$(mktemp -d)
trap 'rm -rf "$all"' EXIT

IFS=: read -ra entries <<<"$root/spark/target/classes:$root/app/target/classes:$(<"$root/app/target/runtime.classpath")"
for entry in "${entries[@]}"; do
  mkdir "$all/part"
  if [[ -d $entry ]]; then
    cp -R "$entry/." "$all/part"
  elif [[ -f $entry ]]; then
    (cd "$all/part" && "$jdk/bin/jar" --extract --file "$entry")
  fi
  rm -rf "$all/part"/META-INF/{MANIFEST.MF,*.SF,*.RSA,*.DSA} "$all/part/module-info.class"
  for service in "$all/part"/META-INF/services/*; do
    [[ -f $service ]] || continue
    mkdir -p "$all/jar/META-INF/services"
    { cat "$service"; printf '\n'; } >>"$all/jar/META-INF/services/${service##*/}"
    rm "$service"
  done
  mkdir -p "$all/jar"
  cp -R "$all/part/." "$all/jar"
  rm -rf "$all/part"
done
printf 'Multi-Release: true\n' >"$all/manifest"
"$jdk/bin/jar" --create --file "$target" --manifest "$all/manifest" --main-class reverie.app.Main -C "$all/jar" .
printf '%s\n' "$target"
