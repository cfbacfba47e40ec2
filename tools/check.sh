#!/bin/sh
# What can be checked at home without a server: builds with gcc and clang, warnings as errors, runs lint
# and unit tests, then once more under the address and undefined behaviour sanitizers.
#
#     tools/check.sh           all of it
#     tools/check.sh quick     gcc, lint and unit tests only: before every commit
set -eu

cd "$(dirname "$0")/.."
out=${PGSINKD_CHECK_DIR:-build-check}

# check NAME COMPILER SUITES [MESON OPTIONS]
check() {
    name=$1 compiler=$2 suites=$3
    shift 3
    echo "== $name"
    if [ ! -f "$out/$name/build.ninja" ]; then
        case $compiler in
        gcc) CC=gcc CXX=g++ meson setup "$out/$name" -Dwerror=true "$@" >/dev/null ;;
        clang) CC=clang CXX=clang++ meson setup "$out/$name" -Dwerror=true "$@" >/dev/null ;;
        esac
    fi
    ninja -C "$out/$name" --quiet
    # shellcheck disable=SC2086 # a list of suites
    meson test -C "$out/$name" --no-rebuild --print-errorlogs $suites
}

check gcc gcc "--suite lint --suite unit"
if [ "${1:-}" = quick ]; then
    exit 0
fi
check clang clang "--suite unit"
check clang-asan clang "--suite unit" -Db_sanitize=address,undefined
check clang-tsan clang "--suite unit" -Db_sanitize=thread
check gcc-failpoints-no-systemd gcc "--suite unit" -Dfailpoints=true -Dsystemd=disabled
