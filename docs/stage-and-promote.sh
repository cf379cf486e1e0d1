#!/usr/bin/env bash
# Stages a component, waits until it was built and compared with the release that serves, shows what it changes for readers, and
# promotes it where no more rows differ than were agreed to. Needs bash, curl and sed; the host says `policy = "hold"`.
#
#   LATERNA_URL=http://127.0.0.1:7070 LATERNA_TOKEN=laterna_… stage-and-promote.sh FILE [ROWS]
#
# FILE   the component; its name is that of its component
# ROWS   rows that may differ [default: 0]
#
# Ends with 0 where the release serves, and otherwise with 1: then it was given up, and what served goes on.
set -euo pipefail

file=$1
name=$(basename "$file" .wasm)
allowed=${2:-0}
projection=$LATERNA_URL/projections/$name

api() {
    curl --silent --show-error --fail-with-body --header "Authorization: Bearer ${LATERNA_TOKEN:-}" "$@"
}

# The number that stands behind a member in JSON.
number() {
    sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p"
}

echo "== plan"
api --data-binary @"$file" "$LATERNA_URL/components?name=$name&plan=true"
echo

echo "== stage"
release=$(api --data-binary @"$file" "$LATERNA_URL/components?name=$name" | number release)

# Each step as it is taken; the feed ends when the release has come to rest.
rest=held,live,rejected,failed,retired
state=$(
    api --no-buffer --header 'Accept: text/event-stream' "$projection/releases?release=$release&until=$rest" |
        sed -un 's/^data: .*"state":"\([a-z]*\)".*/\1/p' | tee /dev/stderr | tail -1
)
if [ "$state" = live ]; then
    echo "release $release serves; its policy did not hold it"
    exit
fi
if [ "$state" != held ]; then
    echo "release $release is $state" >&2
    exit 1
fi

echo "== difference"
if api "$projection" | grep -q '"live":null'; then
    # The first release of a component has nothing to be compared with.
    difference='{"different_rows":0,"newly_sequences":0}'
else
    difference=$(api "$projection/diff?release=$release")
fi
echo "$difference"
differ=$(number different_rows <<<"$difference")
parked=$(number newly_sequences <<<"$difference")
if [ "$differ" -gt "$allowed" ] || [ "$parked" -gt 0 ]; then
    echo "$differ rows differ, and events of $parked sequences are newly set aside: release $release is given up" >&2
    api --request POST "$projection/abort?release=$release" >/dev/null
    exit 1
fi

echo "== promote"
api --request POST "$projection/promote?release=$release&timeout=30" >/dev/null
echo "release $release serves; laterna rollback $name goes back"
