#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# package.sh JDK: packs the command with the Java that it needs, for machines with neither Maven nor JDK:
# target/reverie-VERSION-SYSTEM.tar.gz and .zip. That Java is for this system; jars and scripts are for all. Called by
# ./reverie package, after it has built.
set -euo pipefail
jdk=$1
root=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$root/packaging/java.sh"
version=$(sed -n 's|^  <version>\(.*\)</version>|\1|p' "$root/pom.xml")
system=$(system_name)
name=reverie-$version-$system
home=$root/target/$name

rm -rf "$home" "$home.tar.gz" "$home.zip"
mkdir -p "$home/lib"
IFS=: read -ra entries <<<"$root/app/target/classes:$(<"$root/app/target/runtime.classpath")"
for entry in "${entries[@]}"; do
  if [[ -d $entry ]]; then
    module=${entry%/target/classes}
    "$jdk/bin/jar" --create --file "$home/lib/reverie-${module##*/}-$version.jar" -C "$entry" .
  elif [[ -f $entry ]]; then
    cp "$entry" "$home/lib"
  fi
done
cp "$root"/{LICENSE,NOTICE,CHANGELOG.md} "$root"/packaging/reverie{,.bat} "$home"
cp "$root/packaging/java.sh" "$home/lib"
revision=$(git -C "$root" describe --always --abbrev=40 --dirty=+changes --exclude '*' 2>/dev/null || printf unknown)
printf '%s\n' "$revision" >"$home/lib/revision"

# What classes and libraries use, the server for choices (httpserver) and file systems of archives (zipfs) among it.
modules=java.desktop,java.logging,java.management,java.net.http,jdk.httpserver,jdk.incubator.vector,jdk.management,jdk.unsupported,jdk.zipfs
"$jdk/bin/jlink" --output "$home/runtime-$system" --add-modules "$modules" \
  --strip-java-debug-attributes --no-header-files --no-man-pages --compress zip-6

tar -C "$root/target" -czf "$home.tar.gz" "$name"
if command -v zip >/dev/null; then
  (cd "$root/target" && zip -qry "$name.zip" "$name")
else
  printf 'reverie: no zip was made: install the program zip for it\n' >&2
fi
rm -rf "$home"
ls -sh "$home".*
