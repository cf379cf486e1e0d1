#!/usr/bin/env bash
# Stages a component, waits until it was built and compared with the release that serves, shows what it changes for readers, and
# promotes it where that was agreed to. Needs bash, curl, grep and sed; the host says `policy = "hold"`.
#
#   LATERNA_URL=http://127.0.0.1:7070 LATERNA_TOKEN=laterna_… stage-and-promote.sh FILE [ROWS]
#
# FILE            the component; its name is that of its component
# ROWS            rows that may differ [default: 0]
# LATERNA_TOKEN   a token with the roles deploy and read, where the host asks for one
#
# Whatever ROWS says, nothing is promoted that takes something away that readers could ask, asks it otherwise, has other keys, or
# leaves events out. Ends with 0 where the release serves. Otherwise what served goes on; a release that was not agreed to is given up.
set -euo pipefail

if [ ! -f "${1:-}" ]; then
    echo "usage: $0 FILE [ROWS]" >&2
    exit 2
fi
file=$1
name=$(basename "$file" .wasm)
allowed=${2:-0}
projection=$LATERNA_URL/projections/$name

api() {
    curl --silent --show-error --fail-with-body ${LATERNA_TOKEN:+--header "Authorization: Bearer $LATERNA_TOKEN"} "$@" || {
        echo >&2
        return 1
    }
}

# The number that stands behind a member in JSON.
number() {
    sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p"
}

give_up() {
    echo "$1: release $release is given up" >&2
    api --request POST "$projection/abort?release=$release" >/dev/null
    exit 1
}

echo "== plan"
api --data-binary @"$file" "$LATERNA_URL/components?name=$name&plan=true"
echo

echo "== stage"
staged=$(api --data-binary @"$file" "$LATERNA_URL/components?name=$name") || {
    echo "$staged" >&2
    exit 1
}
release=$(number release <<<"$staged")

# Each step that it takes, with its reason; the feed ends when the release has come to rest.
steps=$(api --no-buffer --header 'Accept: text/event-stream' "$projection/releases?release=$release&until=held,live" |
    sed -un 's/^data: .*"state":"\([a-z]*\)".*"reason":"\(.*\)","position".*/\1: \2/p' | tee /dev/stderr)
case $(tail -1 <<<"$steps") in
live:*)
    echo "release $release serves: it did so before, or its policy does not hold it"
    exit
    ;;
held:*) ;;
*)
    echo "release $release does not serve" >&2
    exit 1
    ;;
esac

echo "== difference"
if api "$projection" | grep -q '"live":null'; then
    echo "it is the first release: there is nothing to compare it with"
else
    difference=$(api "$projection/diff?release=$release") || give_up "it could not be compared"
    echo "$difference"
    differ=$(number different_rows <<<"$difference")
    [ "$differ" -le "$allowed" ] || give_up "$differ rows differ"
    [ "$(number newly_sequences <<<"$difference")" -eq 0 ] || give_up "events are newly set aside"
    grep -q '"removed":\[\],"changed":\[\]},"tables"' <<<"$difference" || give_up "readers cannot ask what they could"
    ! grep -q '"comparable":false' <<<"$difference" || give_up "a table has another key"
fi

echo "== promote"
api --request POST "$projection/promote?release=$release&timeout=30" >/dev/null
echo "release $release serves; laterna rollback $name goes back"
