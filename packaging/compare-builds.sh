#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds the release of the last commit twice, in two folders with other names, languages and time zones, and compares
# the jars byte for byte: prints those that differ, and fails if there are any. With another umask they would differ in
# the permissions of pom.properties.
set -euo pipefail
root=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

build() { # folder
  local folder=$work/$1
  git clone -q "$root" "$folder"
  (
    cd "$folder"
    mvn -B -ntp -q -P release -DskipTests verify
    find ./*/target -maxdepth 1 -name '*.jar' -exec sha256sum {} + | sort -k 2
  ) >"$folder.sums"
}

umask 022
build first
(
  export TZ=Pacific/Auckland MAVEN_OPTS='-Duser.language=tr -Duser.country=TR'
  build another-folder
)
printf '%d jars\n' "$(wc -l <"$work/first.sums")"
diff "$work/first.sums" "$work/another-folder.sums"
