#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A run on a standalone cluster of Spark 4.2 whose machines need nothing but Spark and Java 25.0.3: executors get the jar
# of ./reverie package-spark from the driver, which is this process. Its command was tried on one machine, this script NOT.
#
# Before it, with a distribution of Spark: on one machine sbin/start-master.sh, on each sbin/start-worker.sh MASTER.
#
#   SPARK_HOME=… packaging/spark/standalone.sh spark://HOST:7077 --set update.shards=8 --spark-conf spark.executor.cores=8
set -euo pipefail
master=${1:?spark://HOST:7077, then arguments of finetune}
shift
root=$(CDPATH='' cd -P "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
jar=$root/spark/target/reverie-spark.jar
[[ -f $jar ]] || { printf '%s is missing: run ./reverie package-spark\n' "$jar" >&2; exit 66; }
exec "${SPARK_HOME:?the folder of a distribution of Spark}/bin/spark-submit" --master "$master" --class reverie.app.Main \
  --driver-java-options '--add-modules=jdk.incubator.vector --enable-native-access=ALL-UNNAMED' \
  "$jar" finetune --spark "$master" --spark-conf "spark.jars=$jar" "$@"
