#!/bin/bash
# java.sh pulsar VERSION | kop-pulsar VERSION | kafka VERSION | kafka-clients VERSION: the jars of that server with its
# client (kop-pulsar: the build of Pulsar that KoP is made for), or of a client alone, from Maven Central into
# $KOP_CACHE/java/lib/NAME-VERSION. Safe to run again.
set -euo pipefail
usage='java.sh pulsar|kop-pulsar|kafka|kafka-clients VERSION'
what=${1:?$usage} version=${2:?$usage}
dir=${KOP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kop}/java/lib/$what-$version
[ ! -e "$dir/.done" ] || exit 0
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
dependency() { echo "<dependency><groupId>$1</groupId><artifactId>$2</artifactId><version>$3</version>${4:-}</dependency>"; }
managed=
case $what in
pulsar)   # its own BOM decides versions that its POMs leave open; without it the broker dies with NoSuchMethodError
  managed="<dependencyManagement><dependencies>$(dependency org.apache.pulsar pulsar "$version" '<type>pom</type><scope>import</scope>')</dependencies></dependencyManagement>"
  wanted=$(dependency org.apache.pulsar pulsar-broker "$version") ;;
kop-pulsar) # some of its gRPC's parts are on no public registry in the version that it names
  managed="<dependencyManagement><dependencies>$(dependency io.streamnative pulsar "$version" '<type>pom</type><scope>import</scope>')</dependencies></dependencyManagement>"
  exclusions=
  for part in grpc-all grpc-core grpc-testing grpc-auth; do
    exclusions+="<exclusion><groupId>io.grpc</groupId><artifactId>$part</artifactId></exclusion>"
  done
  wanted=$(dependency io.streamnative pulsar-broker "$version" "<exclusions>$exclusions</exclusions>"
    dependency io.grpc grpc-all 1.45.1) ;;
kafka)
  case $version in
  2.0.*) wanted=$(dependency org.apache.kafka kafka_2.12 "$version"; dependency org.slf4j slf4j-simple 1.7.36) ;; # with its tools
  *) wanted=$(dependency org.apache.kafka kafka_2.13 "$version"; dependency org.apache.kafka kafka-tools "$version"
    dependency org.slf4j slf4j-simple 1.7.36) ;;
  esac ;;
kafka-clients)
  wanted=$(dependency org.apache.kafka kafka-clients "$version"; dependency org.slf4j slf4j-simple 1.7.36) ;;
*) echo "$usage: not $what" >&2; exit 2 ;;
esac
# Some POMs name repositories that do not answer, and the resolve would wait for them.
cat > "$work/settings.xml" <<'S'
<settings><mirrors><mirror>
  <id>central-only</id><mirrorOf>*,!central</mirrorOf><url>http://127.0.0.1:9/</url><blocked>true</blocked>
</mirror></mirrors></settings>
S
finished() { touch "$dir/.done"; echo "$dir: $(find "$dir" -name '*.jar' | wc -l) jars, $(du -sm "$dir" | cut -f1) MB"; }
rm -rf "$dir"; mkdir -p "$dir"
case $what-$version in
pulsar-4.0.*) # its POMs do not resolve; the whole distribution does
  timeout 900 mvn -q -B -s "$work/settings.xml" org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy \
    "-Dartifact=org.apache.pulsar:pulsar-server-distribution:$version:tar.gz:bin" -DoutputDirectory="$work"
  tar -xzf "$work"/pulsar-server-distribution-*.tar.gz -C "$work"
  mv "$work/apache-pulsar-$version"/lib/* "$dir"
  finished; exit 0 ;;
esac
cat > "$work/pom.xml" <<P
<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>kop.e2e</groupId><artifactId>$what</artifactId><version>1</version><packaging>pom</packaging>
$managed<dependencies>$wanted</dependencies></project>
P
timeout 900 mvn -q -B -s "$work/settings.xml" -f "$work/pom.xml" \
  org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$dir"
rm -f "$dir"/slf4j-reload4j* "$dir"/reload4j* "$dir"/slf4j-log4j12* "$dir"/log4j-1.2*   # one logger: the one chosen above
finished
