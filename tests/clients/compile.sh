#!/bin/sh
# Compiles requirements.txt of each Python client, and package-lock.json of each Node client, anew: pinned down to what
# they bring along, without the address of the registry they were resolved against. `make requirements` calls this.
set -eu
uv=$1
cd "$(dirname "$0")"

for folder in */; do
    if [ -f "$folder/requirements.in" ]; then
        "$uv" pip compile --quiet "$folder/requirements.in" --universal --python-version 3.11 \
            --no-emit-index-url --no-emit-find-links --no-header --no-annotate --output-file "$folder/requirements.txt"
    elif [ -f "$folder/package.json" ]; then
        (cd "$folder" && npm install --package-lock-only --omit-lockfile-registry-resolved --no-audit --no-fund)
    fi
done
if grep -n '://' ./*/requirements.txt || grep -n '"resolved"' ./*/package-lock.json; then
    echo "a lock names an address, see above: it must not" >&2
    exit 1
fi
