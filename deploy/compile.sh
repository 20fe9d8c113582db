#!/bin/sh
# Compiles deploy/requirements*.txt from pyproject.toml: pinned, with hashes, for every platform and Python we support,
# and without the address of the registry they were resolved against. `make requirements` calls this.
set -eu
uv=$1
cd "$(dirname "$0")/.."

compile() {
    out=deploy/$1.txt
    shift
    "$uv" pip compile --quiet pyproject.toml "$@" --universal --python-version 3.11 \
        --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --output-file "$out"
    if grep -n '://' "$out"; then
        echo "$out names an address, see above: it must not" >&2
        exit 1
    fi
}

compile requirements --extra otlp
compile requirements-local --extra otlp --extra local
compile requirements-dev --extra otlp --extra local --extra dev
