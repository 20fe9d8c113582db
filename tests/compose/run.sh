#!/usr/bin/env bash
# docker-compose.yml for real: build, two workers, a round and a chat from outside, each service restarted, and what was
# there is there again. COMPOSE names another program than `docker compose`, such as podman-compose.
#   make compose-test
set -euo pipefail
cd "$(dirname "$0")/../.."

read -r -a compose <<< "${COMPOSE:-docker compose}"
work=$(mktemp -d)
secret() { od -An -N16 -tx1 /dev/urandom | tr -d ' \n'; }
cat > "$work/env" <<ENV
POSTGRES_PASSWORD=$(secret)
POSTGRES_APP_PASSWORD=$(secret)
REDIS_PASSWORD=$(secret)
TOOLOO_ADMIN_KEY=$(secret)
TOOLOO_API_KEY=$(secret)
TOOLOO_FLOWER_AUTH=me:$(secret)
TOOLOO_LAB_URL=http://lab:4010
TOOLOO_PORT=${TOOLOO_PORT:-14000}
TOOLOO_FLOWER_PORT=${TOOLOO_FLOWER_PORT:-15555}
WORKERS=2
ENV
set -a; . "$work/env"; set +a
export COMPOSE_PROFILES=lab COMPOSE_PROJECT_NAME=tooloo-compose-test

dc() { "${compose[@]}" --env-file "$work/env" "$@"; }
api() { curl --silent --show-error --fail --max-time 20 --header "Authorization: Bearer $TOOLOO_ADMIN_KEY" "$@"; }
url=http://127.0.0.1:$TOOLOO_PORT
step() { printf '%s  %s\n' "$(date +%T)" "$*"; }
fail() { step "FAILED: $*"; dc logs --tail 40 || true; exit 1; }
trap 'dc down --volumes >/dev/null 2>&1 || true; rm -rf "$work"' EXIT

until_true() {  # seconds, what, command
  local end=$((SECONDS + $1)) what=$2; shift 2
  until "$@" >/dev/null 2>&1; do ((SECONDS < end)) || fail "not within time: $what"; sleep 1; done
}
ready() { api "$url/readyz" | grep -q '"status": *"ok"'; }
rounds() { api "$url/api/v1/system/benchmark-results?limit=1" | sed -n 's/.*"totalRounds": *\([0-9]*\).*/\1/p'; }
chat() { api "$url/api/v1/chat" --json '{"message": "Are you there?"}' | grep -q '"content"'; }
version() { api "$url/api/v1/system/runtime-config" | sed -n 's/.*"explorationRate": *\([0-9.]*\).*/\1/p'; }

step "build"; dc build --quiet
step "up, two workers"; dc up --detach
until_true 180 "ready" ready
(($(dc ps worker --quiet | wc -l) == 2)) || fail "not two workers"

step "a round"; before=$(rounds); dc exec -T api tooloo benchmark --wait >/dev/null || fail "the round"
(($(rounds) > before)) || fail "no round more than $before"
step "a chat, a change of the config"; chat || fail "the chat"
api "$url/api/v1/system/runtime-config" --json '{"explorationRate": 0.07, "reason": "compose-test"}' >/dev/null
[[ $(version) == 0.07 ]] || fail "the change is not there"

for service in redis postgres beat worker optimizer flower lab api; do
  step "restart $service"; dc restart "$service" >/dev/null
  until_true 120 "a chat after the restart of $service" chat
done
until_true 120 "ready again" ready
[[ $(version) == 0.07 ]] || fail "the config did not survive"

step "down and up"; dc down >/dev/null; dc up --detach
until_true 180 "ready after down and up" ready
[[ $(version) == 0.07 ]] || fail "the config did not survive down and up"
(($(dc ps worker --quiet | wc -l) == 2)) || fail "the second worker did not come back"
dc exec -T api tooloo benchmark --wait >/dev/null || fail "a round after it"
step "ok"
