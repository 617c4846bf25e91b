# SPDX-License-Identifier: Apache-2.0
#
# How Java is started, for ./reverie in a checkout and in a package. Bash 3.2 suffices.
# shellcheck shell=bash

# Whose Java it is, linux-x86_64 or darwin-aarch64: bash itself calls one processor by two names.
system_name() {
  printf '%s-%s\n' "${OSTYPE%%[-0-9.]*}" "${HOSTTYPE/arm64/aarch64}"
}

# The JVM announces the incubating Vector API first of all, and has no flag against it. The rest passes as it comes.
without_incubator_warning() {
  trap '' INT
  local line
  IFS= read -r line || true
  while [[ $line == 'Picked up '* || $line == 'NOTE: Picked up '* ]]; do
    printf '%s\n' "$line"
    IFS= read -r line || true
  done
  [[ $line == 'WARNING: Using incubator modules'* || -z $line ]] || printf '%s\n' "$line"
  command -p cat
}

start_java() { # java, class path, JVM options, --, arguments
  local program=$1 entries=$2 options=() own=()
  shift 2
  while [[ $1 != -- ]]; do
    own+=("$1")
    shift
  done
  shift

  # The user's heap and collector win, wherever they are set; a second choice beside them would be an error.
  read -ra options <<<"${REVERIE_JAVA_OPTS:-}"
  local chosen=" ${JAVA_TOOL_OPTIONS:-} ${JDK_JAVA_OPTIONS:-} ${REVERIE_JAVA_OPTS:-}"
  local heap=' -Xm| -XX:(Max|Min|Initial)(Heap|RAM)' collector=' -XX:[+]Use[A-Za-z0-9]+GC'
  [[ $chosen =~ $heap ]] || own+=(-Xmx2g -Xms96m -Xmn64m)
  [[ $chosen =~ $collector ]] || own+=(-XX:+UseParallelGC)

  # Java reads arguments and file names by the locale, and in the C locale loses letters beyond ASCII.
  case $(command -p locale charmap 2>/dev/null || true) in
    ANSI_X3.4* | US-ASCII) export LC_ALL=C.UTF-8 ;;
  esac

  exec "$program" \
    --add-modules=jdk.incubator.vector --enable-native-access=ALL-UNNAMED \
    ${own[@]+"${own[@]}"} -Djava.awt.headless=true ${options[@]+"${options[@]}"} \
    -cp "$entries" reverie.app.Main "$@" \
    2> >(without_incubator_warning >&2)
}
