#!/bin/sh
# Lays out the C code with clang-format. With --check it changes nothing and fails on a difference.
#
# Versions of clang-format disagree in details; the one of Debian 12 decides. Another version may still
# format, but its --check is reported as skipped (exit 77, which meson understands).
set -eu

cd "$(dirname "$0")/.."
wanted=14

for clang_format in "${CLANG_FORMAT:-}" clang-format-$wanted clang-format; do
    if [ -n "$clang_format" ] && command -v "$clang_format" >/dev/null; then
        break
    fi
    clang_format=
done
if [ -z "$clang_format" ]; then
    echo "format: clang-format is not installed" >&2
    exit 1
fi
version=$("$clang_format" --version | sed 's/.*version \([0-9]*\).*/\1/')

list() {
    find src tests tools bench \( -name '*.c' -o -name '*.h' -o -name '*.cc' \) -print0 | sort -z
}

case "${1:-}" in
--check)
    if [ "$version" != "$wanted" ]; then
        echo "format: clang-format $version is installed, $wanted decides: not checked" >&2
        exit 77
    fi
    # One line per file: what differs in it is shown best by formatting and git diff.
    bad=$(list | xargs -0 -I{} sh -c '"$1" "$2" | cmp -s - "$2" || echo "$2"' - "$clang_format" {})
    if [ -n "$bad" ]; then
        echo "$bad"
        echo "format: the layout of these files is not clang-format's: run tools/format.sh" >&2
        exit 1
    fi
    ;;
'')
    list | xargs -0 "$clang_format" -i
    ;;
*)
    echo "usage: tools/format.sh [--check]" >&2
    exit 2
    ;;
esac
