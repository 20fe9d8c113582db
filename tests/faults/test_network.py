"""Providers, all of them at once, and the line to them."""

from __future__ import annotations

import signal

import pytest

from tests.faults.oracle import Allowed
from tests.faults.story import Record, story
from tests.faults.test_processes import PROBES, send
from tests.faults.world import World
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.faults, pytest.mark.timeout(600)]


def test_all_providers_are_unreachable_at_once(world: World, record: Record) -> None:
    weights = world.stack.get("/api/v1/system/runtime-config")["global"]
    with story(
        world, record, "no network", "the line to all providers refuses in mid-round", Allowed(failed=60)
    ) as told:
        round_id = told.round(done=8)
        world.to_lab.refuse()
        told.chats.go_on(8)
        told.ends()
        world.to_lab.resume()
        assert "our own trouble" in str(world.stack.get(f"/api/v1/system/benchmarks/{round_id}"))
        now = world.stack.get("/api/v1/system/runtime-config")["global"]
        assert (now["providerWeights"], now["explorationRate"]) == (
            weights["providerWeights"],
            weights["explorationRate"],
        )


@pytest.mark.parametrize("latency", [4000])
def test_the_best_provider_is_slow(world: World, record: Record, latency: int) -> None:
    with story(world, record, "F16", f"the best provider takes {latency} ms") as told:
        world.lab.set("deepseek", latency=latency)
        told.round(done=20)
        told.chats.go_on(16)
        world.lab.set("deepseek", latency=300)


@pytest.mark.parametrize("kind", ["overloaded", "rate_limited", "server_error"])
def test_a_provider_fails(world: World, record: Record, kind: str) -> None:
    with story(world, record, f"F16 {kind}", f"deepseek answers every call with {kind}") as told:
        world.lab.set("deepseek", error_rate=1, error_kind=kind)
        told.round(done=20)
        told.chats.go_on(12)
        world.lab.set("deepseek", error_rate=0)


def test_nobody_takes_probes(world: World, record: Record) -> None:
    """Said after two turns of the reaper, by what needs a person."""
    with story(world, record, "no worker", "all probe workers frozen") as told:
        send(world, PROBES, signal.SIGSTOP)
        told.round()

        def is_said() -> bool:
            items = world.stack.get("/api/v1/system/attention")
            return "no_worker" in str(items)

        wait_until(is_said, 60, what="it is told that no worker takes probes")
        send(world, PROBES, signal.SIGCONT)
