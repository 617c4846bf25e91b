#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Tries what mvn -P release verify has made from outside: lays it out as a repository, target/repository, looks
# for licences, and lets a Maven project that knows that repository and Central alone compile and run the README's example, on the
# class path and on the module path. Nothing of this machine's local repository is used. Prints the list of artifacts.
set -euo pipefail
root=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PATH=${JAVA_HOME:+$JAVA_HOME/bin:}$PATH # a JDK 25 or newer
version=$(sed -n 's|^  <version>\(.*\)</version>|\1|p' "$root/pom.xml")
repository=$root/target/repository
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() { printf 'try-release: %s\n' "$1" >&2; exit 1; }

[[ $(javac -version 2>&1) =~ ^javac\ (2[5-9]|[3-9][0-9]) ]] || fail "JAVA_HOME must name a JDK 25 or newer"

rm -rf "$repository"
for pom in "$root"/{,*/}pom.xml; do
  grep -q '<maven.deploy.skip>true' "$pom" && continue
  artifact=$(sed -n 's|^  <artifactId>\(.*\)</artifactId>|\1|p' "$pom")
  place=$repository/io/github/reverie/$artifact/$version
  mkdir -p "$place"
  cp "$pom" "$place/$artifact-$version.pom"
  grep -q '^  <packaging>pom' "$pom" && continue
  for kind in '' -sources -javadoc; do
    jar=${pom%/*}/target/$artifact-$version$kind.jar
    [[ -f $jar ]] || fail "$jar is missing: run mvn -P release -DskipTests clean verify"
    content=$(jar --list --file "$jar")
    for licence in LICENSE NOTICE; do
      grep -q "^META-INF/$licence$" <<<"$content" || fail "$jar has no $licence"
    done
    cp "$jar" "$place"
  done
done
(cd "$repository" && find . -type f | sort | xargs sha256sum)

mkdir -p "$work/src/main/java/stranger"
{
  echo 'package stranger;'
  sed -n '/^import /,$p' "$root/examples/src/main/java/reverie/examples/Red.java"
} >"$work/src/main/java/stranger/Red.java"
echo 'module stranger { requires reverie.rl; }' >"$work/src/main/java/module-info.java"
cat >"$work/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>stranger</groupId>
  <artifactId>stranger</artifactId>
  <version>1</version>
  <properties>
    <maven.compiler.source>25</maven.compiler.source>
    <maven.compiler.target>25</maven.compiler.target>
    <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
  </properties>
  <repositories>
    <repository>
      <id>release</id>
      <url>file://$repository</url>
    </repository>
  </repositories>
  <dependencyManagement>
    <dependencies>
      <dependency>
        <groupId>io.github.reverie</groupId>
        <artifactId>reverie-bom</artifactId>
        <version>$version</version>
        <type>pom</type>
        <scope>import</scope>
      </dependency>
    </dependencies>
  </dependencyManagement>
  <dependencies>
    <dependency>
      <groupId>io.github.reverie</groupId>
      <artifactId>reverie-rl</artifactId>
    </dependency>
  </dependencies>
</project>
POM
cd "$work"
mvn -B -ntp -q -Dmaven.repo.local="$work/local" dependency:build-classpath -Dmdep.outputFile="$work/classpath"
! grep -q natives "$work/classpath" || fail "a stranger gets libraries for devices unasked"
javac -d modular -p "$(<classpath)" $(find src -name '*.java')
javac -d plain -cp "$(<classpath)" src/main/java/stranger/Red.java
flags=(--add-modules=jdk.incubator.vector -Xmx512m)
java "${flags[@]}" --enable-native-access=ALL-UNNAMED -cp "plain:$(<classpath)" stranger.Red "$work"
java "${flags[@]}" --enable-native-access=reverie.tensor -p "modular:$(<classpath)" -m stranger/stranger.Red "$work"
