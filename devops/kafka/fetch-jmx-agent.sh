#!/bin/sh
# Fetch the JMX agent by version and checksum: fetch-jmx-agent.sh [folder]
#
# docker-compose.dev.yml runs it once before the broker starts. A file that is there and right is
# kept; one that is not what the checksum names never gets its final name.
set -eu

folder=${1:-.}
here=$(cd "$(dirname "$0")" && pwd)
read -r checksum name < "$here/jmx_prometheus_javaagent.sha256"
version=${name#jmx_prometheus_javaagent-}
version=${version%.jar}
url=https://repo1.maven.org/maven2/io/prometheus/jmx/jmx_prometheus_javaagent/$version/$name
jar=$folder/jmx_prometheus_javaagent.jar

is_right() {
    [ -f "$1" ] && [ "$(sha256sum "$1" | cut -d ' ' -f 1)" = "$checksum" ]
}

if is_right "$jar"; then
    echo "$jar is there."
    exit 0
fi
curl --fail --silent --show-error --location --retry 3 --output "$jar.part" "$url"
if ! is_right "$jar.part"; then
    rm -f "$jar.part"
    echo "What $url gave is not what the checksum in $here names; nothing was kept." >&2
    exit 1
fi
chmod 644 "$jar.part"
mv "$jar.part" "$jar"
echo "$jar fetched, version $version."
