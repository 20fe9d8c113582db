"""The Python API, and the optimizer of the documentation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import runtime
from app.domain.config.runtime_config import RuntimeConfig
from app.errors import InvalidRequest, PreconditionFailed
from app.live import live_config
from app.runtime import Runtime
from tests.benchmark.test_benchmark import run_round, takes
from tests.support.served import served
from tests.support.system import System, build
from tests.support.waiting import wait_until

DOCUMENTATION = Path(__file__).parents[1] / "docs" / "runtime-config.md"


@pytest.fixture
def mine(system: System) -> Iterator[Runtime]:
    """A program of a user's own, beside a running system."""
    live_config.recover(system.services.sessions, system.services.redis, Path("none"), system.services.providers)
    with runtime.connect(system.services.settings) as joined:
        yield joined


def test_every_setter_is_a_revision_by_its_author(mine: Runtime) -> None:
    mine.update_provider_weights({"latency": 0.6}, by="mine")
    mine.update_provider_weights({"cost": 1}, by="mine", provider="openai")
    mine.update_model_config({"temperature": 0.2}, by="mine")
    mine.update_model_config({"temperature": 0.1}, by="mine", task_type="code")
    mine.update_model_config({"maxTokens": 99}, by="mine", provider="gemini")
    mine.set_feature("explorationMode", True, by="mine")
    config = mine.set_exploration_rate(0.25, by="mine")

    assert mine.load() == config
    assert config.version == "8"
    assert config.global_.provider_weights.model_dump() == {"latency": 0.6, "cost": 0.2, "reliability": 0.2}
    assert config.providers["openai"].weights is not None
    assert config.providers["openai"].weights.cost == 1
    assert config.model_parameters("code", "gemini")["temperature"] == 0.1  # type: ignore[arg-type]  # a StrEnum's value
    assert config.model_parameters("code", "gemini")["max_tokens"] == 99  # type: ignore[arg-type]  # as above
    assert config.global_.default_model_config.temperature == 0.2
    assert (config.features.exploration_mode, config.global_.exploration_rate) == (True, 0.25)
    assert config.metadata.optimized_by == "mine"
    assert mine.get_optimization_score() == 0.5


def test_a_saved_document_is_refused_where_somebody_wrote_in_between(mine: Runtime) -> None:
    loaded = mine.load()
    edited = loaded.model_copy(update={"global_": loaded.global_.model_copy(update={"exploration_rate": 0.3})})

    assert mine.save(edited, by="mine").global_.exploration_rate == 0.3
    with pytest.raises(PreconditionFailed):
        mine.save(edited, by="mine")
    assert mine.load().version == "2"


def test_a_saved_document_is_validated(mine: Runtime) -> None:
    loaded = mine.load()
    wrong = loaded.model_copy(update={"global_": loaded.global_.model_copy(update={"exploration_rate": 7})})
    fewer = loaded.model_copy(update={"providers": {"openai": loaded.providers["openai"]}})

    with pytest.raises(InvalidRequest, match="explorationRate"):
        mine.save(wrong, by="mine")
    with pytest.raises(InvalidRequest, match="cannot be removed"):
        mine.save(fewer, by="mine")


def test_listeners_hear_what_others_write_until_they_leave(
    mine: Runtime, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    heard: list[RuntimeConfig] = []

    def broken(config: RuntimeConfig) -> None:
        raise RuntimeError("a listener of somebody else")

    mine.on_change(broken)
    leave = mine.on_change(heard.append)
    with runtime.connect(build(database_url, redis_url, tmp_path).services.settings) as other:
        written = other.set_exploration_rate(0.3, by="other")
        wait_until(lambda: heard == [written])
        leave()
        leave()
        last = other.set_exploration_rate(0.4, by="other")
        wait_until(lambda: mine.load() == last)

    assert heard == [written]


def test_the_optimizer_of_the_documentation_does_what_it_says(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    found = re.search(r"<!-- tested -->\n```python\n(.*?)```", DOCUMENTATION.read_text(), re.DOTALL)
    assert found is not None
    program = found[1]
    assert len(program.splitlines()) <= 10
    for name in ("deepseek", "gemini", "anthropic", "openai"):
        system.client.behaviours[name] = takes(400)
    with served(system) as url:
        run_round(system)
        monkeypatch.setattr(runtime.environment, "load", lambda: system.services.settings)

        exec(program.replace("http://127.0.0.1:4000", url), {})  # noqa: S102 - our own documentation

        system.services.config.refresh(system.services.redis)
        config = system.services.config.value
    assert config.global_.provider_weights.model_dump() == {"latency": 0.6, "cost": 0.2, "reliability": 0.2}
    assert config.metadata.optimized_by == "my-optimizer"
