#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Tries what ./reverie package has made from outside: unpacks both archives into folders with a space in their names, and
# runs the command with no JDK and nothing on the path: the version, the machine, images, a short fine-tuning with its report.
set -euo pipefail
root=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() { printf 'try-package: %s\n' "$1" >&2; exit 1; }
alone() { env -i HOME="$work" PATH=/nowhere "$@"; }

shopt -s nullglob
archives=("$root"/target/reverie-*.tar.gz "$root"/target/reverie-*.zip)
((${#archives[@]} > 0)) || fail "there is no archive in target: run ./reverie package"
for archive in "${archives[@]}"; do
  folder="$work/from ${archive##*.}"
  mkdir "$folder"
  case $archive in
    *.zip) unzip -q "$archive" -d "$folder" ;;
    *) tar -xzf "$archive" -C "$folder" ;;
  esac
  command=("$folder"/*/reverie)
  for file in LICENSE NOTICE CHANGELOG.md reverie.bat; do
    [[ -s ${command[0]%/*}/$file ]] || fail "$archive has no $file"
  done
  cd "$folder"
  alone "${command[0]}" --version
done

alone "${command[0]}" doctor
alone "${command[0]}" sample --prompt 'camera add' --images 2 --out sample.png
alone "${command[0]}" quickstart --out run --set epochs=1 --set prompts.per_epoch=2 --set prompts.images_each=2 \
  --set evaluation.samples=4 --set evaluation.every_samples=2
for file in sample.png run/report.html run/model/unet/config.json; do
  [[ -s $file ]] || fail "$file was not made"
done
