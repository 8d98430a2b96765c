#!/bin/bash
# session.sh: Kafka's console tools and kcat, each doing what it can, against $KOP_BOOTSTRAP: what the corpora start from.
# KOP_E2E_CAPTURE=target/captured target/debug/with-gateway fuzz/session.sh && cargo run --bin seeds target/captured
set -euo pipefail
cache=${KOP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kop} b=${KOP_BOOTSTRAP:?}
version=${1:-3.9.1}; work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
# What a tool says is not looked at: some ask for what is not served, and their requests count all the same.
kafka() { timeout 60 java -Xmx128m -XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.defaultLogLevel=error \
  -cp "$cache/java/lib/kafka-$version/*" "$@" >>"$work/out" 2>&1 || true; }
tools=org.apache.kafka.tools
printf '%s\n' one two '' four | sed 's/^/key:/' >"$work/lines"
kafka $tools.TopicCommand --bootstrap-server "$b" --create --topic orders --partitions 3 --config retention.ms=3600000
kafka $tools.TopicCommand --bootstrap-server "$b" --create --topic bills
kafka $tools.TopicCommand --bootstrap-server "$b" --alter --topic bills --partitions 4
kafka $tools.TopicCommand --bootstrap-server "$b" --describe
for codec in none gzip snappy lz4 zstd; do
  kafka kafka.tools.ConsoleProducer --bootstrap-server "$b" --topic orders --compression-codec $codec \
    --property parse.key=true --property key.separator=: --property parse.headers=true --property headers.delimiter='|' \
    < <(sed 's/^/h:v,g:|/' "$work/lines")
  timeout 60 kcat -b "$b" -P -t bills -z $codec -K: -H header=value -H none -l "$work/lines" >>"$work/out" 2>&1 || true
done
timeout 60 kcat -b "$b" -P -t bills -X enable.idempotence=true -Z -k key /dev/null >>"$work/out" 2>&1 || true
timeout 60 kcat -b "$b" -L >>"$work/out" 2>&1 || true
timeout 60 kcat -b "$b" -Q -t bills:0:1 >>"$work/out" 2>&1 || true
timeout 20 kcat -b "$b" -G kcat-group -X auto.offset.reset=earliest -e bills >>"$work/out" 2>&1 || true
for old in 0.10.0 0.11.0 1.0.0; do # versions that librdkafka chooses where it must guess
  fallback=(-X api.version.request=false -X broker.version.fallback=$old.0)
  timeout 20 kcat -b "$b" -P -t bills "${fallback[@]}" -X client.id=librdkafka-$old -K: -l "$work/lines" >>"$work/out" 2>&1 || true
  timeout 20 kcat -b "$b" -G kcat-$old "${fallback[@]}" -X client.id=librdkafka-$old -X auto.offset.reset=earliest -e bills >>"$work/out" 2>&1 || true
done
timeout 60 kcat -b "$b" -C -t orders -e >>"$work/out" 2>&1 || true
for strategy in RangeAssignor CooperativeStickyAssignor; do
  kafka org.apache.kafka.tools.consumer.ConsoleConsumer --bootstrap-server "$b" --topic orders --from-beginning --group "$strategy" \
    --consumer-property partition.assignment.strategy=org.apache.kafka.clients.consumer.$strategy \
    --consumer-property group.instance.id=static --timeout-ms 3000
done
groups=$tools.consumer.group.ConsumerGroupCommand
kafka $groups --bootstrap-server "$b" --list --state
kafka $groups --bootstrap-server "$b" --describe --all-groups --members --verbose
kafka $groups --bootstrap-server "$b" --reset-offsets --to-earliest --group RangeAssignor --topic orders --execute
kafka $groups --bootstrap-server "$b" --delete-offsets --group RangeAssignor --topic orders
kafka $groups --bootstrap-server "$b" --delete --group RangeAssignor
kafka $tools.GetOffsetShell --bootstrap-server "$b" --time -3
kafka kafka.admin.ConfigCommand --bootstrap-server "$b" --describe --all --topic orders
kafka kafka.admin.ConfigCommand --bootstrap-server "$b" --alter --topic orders --add-config retention.ms=7200000
kafka kafka.admin.ConfigCommand --bootstrap-server "$b" --describe --broker 0 --all
echo '{"partitions":[{"topic":"orders","partition":0,"offset":1}],"version":1}' >"$work/delete"
kafka kafka.admin.DeleteRecordsCommand --bootstrap-server "$b" --offset-json-file "$work/delete"
kafka org.apache.kafka.tools.DeleteRecordsCommand --bootstrap-server "$b" --offset-json-file "$work/delete"
kafka org.apache.kafka.tools.LeaderElectionCommand --bootstrap-server "$b" --election-type PREFERRED --all-topic-partitions
kafka org.apache.kafka.tools.reassign.ReassignPartitionsCommand --bootstrap-server "$b" --list
kafka $tools.LogDirsCommand --bootstrap-server "$b" --describe
kafka $tools.ClusterTool cluster-id --bootstrap-server "$b"
kafka $tools.TransactionsCommand --bootstrap-server "$b" describe-producers --topic orders --partition 0
kafka $tools.TransactionsCommand --bootstrap-server "$b" list
kafka $tools.VerifiableProducer --bootstrap-server "$b" --topic orders --max-messages 3
kafka $tools.EndToEndLatency "$b" orders 2 all 100
kafka $tools.TopicCommand --bootstrap-server "$b" --delete --topic bills
grep -c . "$work/out" >&2
