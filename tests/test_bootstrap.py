from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from app import bootstrap, config_files, settings
from app.domain.catalog import Provider, WireFormat
from app.domain.policy import RoundPolicy
from app.errors import ConfigError
from app.server_urls import redis_address
from tests.support.system import ROOT

PROVIDERS = config_files.load_providers(ROOT / "config")
OLLAMA = Provider("ollama", WireFormat.OPENAI, "http://127.0.0.1:11434/v1", None, ("llama3.2",))
LAB = {"TOOLOO_LAB_URL": "http://127.0.0.1:4010/"}


def configured(**values: str) -> settings.Settings:
    return settings.load(values, dotenv=None)


def test_without_any_key_the_lab_serves_every_provider_and_all_is_simulated() -> None:
    reachable, simulated = bootstrap.endpoints(configured(**LAB), PROVIDERS)

    assert simulated
    assert {name: each.provider.base_url for name, each in reachable.items()} == {
        name: f"http://127.0.0.1:4010/{name}" for name in ("deepseek", "gemini", "anthropic", "openai")
    }
    assert all(each.provider.simulated for each in reachable.values())


def test_with_one_key_that_provider_is_real_and_none_is_simulated() -> None:
    reachable, simulated = bootstrap.endpoints(configured(**LAB, OPENAI_API_KEY="sk-1"), PROVIDERS)

    assert not simulated
    assert list(reachable) == ["openai"]
    assert reachable["openai"].provider.base_url == "https://api.openai.com/v1"
    assert "sk-1" not in repr(reachable)


def test_a_provider_that_needs_no_key_is_real() -> None:
    reachable, simulated = bootstrap.endpoints(configured(**LAB), (*PROVIDERS, OLLAMA))

    assert (list(reachable), simulated) == (["ollama"], False)


def test_a_block_may_want_the_lab_beside_what_is_real() -> None:
    trial = replace(OLLAMA, name="trial", key_env="TRIAL_KEY", simulated=True)
    reachable, simulated = bootstrap.endpoints(configured(**LAB, OPENAI_API_KEY="sk-1"), (*PROVIDERS, trial))

    assert not simulated
    assert {name: each.provider.simulated for name, each in reachable.items()} == {"openai": False, "trial": True}
    assert (reachable["trial"].provider.base_url, reachable["trial"].key) == ("http://127.0.0.1:4010/trial", "none")
    assert "trial" not in bootstrap.endpoints(configured(OPENAI_API_KEY="sk-1"), (*PROVIDERS, trial))[0]


def test_a_simulated_block_is_nothing_real() -> None:
    trial = replace(OLLAMA, name="trial", simulated=True)

    assert bootstrap.endpoints(configured(**LAB), (*PROVIDERS, trial))[1] is True


def test_a_trace_is_played_by_the_lab_whatever_needs_no_key(tmp_path: Path) -> None:
    trace = configured(**LAB, TOOLOO_LAB_TRACE=str(tmp_path / "trace.jsonl"))

    assert bootstrap.endpoints(trace, (OLLAMA,))[1] is True


def test_without_key_and_lab_nothing_can_be_called() -> None:
    assert bootstrap.endpoints(configured(), PROVIDERS) == ({}, False)


def test_a_placeholder_for_a_key_is_refused() -> None:
    with pytest.raises(ConfigError, match="GEMINI_API_KEY"):
        bootstrap.endpoints(configured(GEMINI_API_KEY="your-key"), PROVIDERS)


ONE = '[x]\nformat = "openai"\nbase_url = "http://x"\nmodels = ["m"]\n'


@pytest.mark.parametrize(
    ("redis_url", "broker_url"),
    [
        ("redis://:secret@redis:6379/1", "redis://:secret@redis:6379/1"),
        ("unix:///run/redis.sock", "redis+socket:///run/redis.sock?virtual_host=0"),
        ("unix:///run/redis.sock?db=3", "redis+socket:///run/redis.sock?virtual_host=3"),
    ],
)
def test_celery_is_told_the_same_redis_in_its_own_words(redis_url: str, broker_url: str) -> None:
    assert redis_address(redis_url).broker() == broker_url


def test_the_shipped_config_files_are_valid() -> None:
    assert [provider.name for provider in PROVIDERS] == ["deepseek", "gemini", "anthropic", "openai"]
    assert len(config_files.load_prompts(ROOT / "config")) == 10
    assert config_files.load_policy(ROOT / "config") == config_files.load_policy(Path("/nowhere"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "at least one provider"),
        ("[x\n", "providers.toml"),
        ('[x]\nformat = "soap"\nbase_url = "http://x"\nmodels = ["m"]', "x.format"),
        ('[x]\nformat = "openai"\nbase_url = "not a url"\nmodels = ["m"]', "x.base_url"),
        ('[x]\nformat = "openai"\nbase_url = "http://x"\nmodels = []', "x.models"),
        (
            '[x]\nformat = "openai"\nbase_url = "http://x"\nmodels = ["m"]\nrequests_per_minute = 0',
            "requests_per_minute",
        ),
        (
            '[x]\nformat = "openai"\nbase_url = "http://x"\nmodels = ["m"]\ntokens_per_minute = "1k"',
            "tokens_per_minute",
        ),
        ('[x]\nformat = "openai"\nbase_url = "http://x"\nmodels = ["m"]\ntimeout = 3', "x.timeout"),
        (ONE + "idle_ms = 0", "x.idle_ms: Input should be greater than or equal to 100"),
        (ONE + 'first_token_ms = "long"', "x.first_token_ms"),
        (ONE + "first_token_ms = 5000\nstream_ms = 1000", "x.stream_ms: the whole stream must have more time"),
        (ONE + '[x.limits."n"]\nidle_ms = 5000', "x.limits: 'n' is not among its models"),
        (ONE + '[x.limits."m"]\nidle = 5000', "x.limits.m.idle: Extra inputs"),
        (ONE + 'prefill = ["n"]', "x.prefill: 'n' is not among its models"),
        ('["X Y"]\nformat = "openai"\nbase_url = "http://x"\nmodels = ["m"]', "X Y"),
    ],
)
def test_a_wrong_providers_file_is_refused_by_file_key_and_reason(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "providers.toml").write_text(text)

    with pytest.raises(ConfigError, match=reason) as refusal:
        config_files.load_providers(tmp_path)

    assert "providers.toml" in str(refusal.value)


def test_the_ceiling_in_the_shipped_policy_is_off_and_works_once_its_line_counts(tmp_path: Path) -> None:
    shipped = (ROOT / "config" / "policy.toml").read_text()
    (tmp_path / "policy.toml").write_text(shipped.replace("# max_cost_usd", "max_cost_usd"))

    assert config_files.load_policy(ROOT / "config").objective.max_cost_usd is None
    assert config_files.load_policy(tmp_path).objective.max_cost_usd == 0.002


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[gates]\n", "gates: unknown table"),
        ("[gate]\nfloor = 1\n", "gate.floor: unknown key"),
        ('[gate]\nsuccess_floor = "low"\n', "gate.success_floor"),
        ("[rounds]\ninterval_s = 0\n", "rounds.interval_s: must be greater than 0"),
        ("[rounds]\nmax_attempts = 0\n", "rounds.max_attempts: must be greater than 0"),
        ("[objective]\nlatency_ref_ms = 0.0\n", "objective.latency_ref_ms: must be greater than 0"),
        ("[objective]\ncost = -0.3\n", "objective.cost: must be a number from 0 up"),
        ("[objective]\nmax_cost_usd = 0.0\n", "objective.max_cost_usd: must be greater than 0"),
        ("[objective]\nmax_cost_usd = -1.0\n", "objective.max_cost_usd: must be a number from 0 up"),
        ("[objective]\nmax_cost_usd = nan\n", "objective.max_cost_usd: must be a number from 0 up"),
        ('[objective]\nmax_cost_usd = "cheap"\n', "objective.max_cost_usd"),
        ("[ceiling]\nsave_share = 2.0\n", "ceiling.save_share: must be a share from 0 to 1"),
        ("[breaker]\nopen_s = inf\n", "breaker.open_s: must be a number"),
        ("[weights]\nbase = [0.4, 0.3, nan]\n", "weights.base"),
        ("[weights]\nbase = [0.4, 0.4, 0.4]\n", "weights.base: must be three shares that sum to 1"),
        ("[budget]\nday_usd = -1.0\n", "budget.day_usd: must be a number from 0 up"),
        ('[judge]\ntargets = ["openai"]\n', "judge.targets: must be a list of provider/model"),
        ("[retention]\nrounds_days = 0\n", "retention.rounds_days: must be greater than 0"),
        ("[gateway]\nhedge_share = 1.5\n", "gateway.hedge_share: must be a share from 0 to 1"),
        ("[gateway]\nhedge_least = 0\n", "gateway.hedge_least: must be greater than 0"),
        ("[gateway]\nin_flight = 800\n", "gateway.in_flight: must be less than 800, the threads of an API process"),
    ],
)
def test_a_wrong_policy_file_is_refused_by_file_key_and_reason(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "policy.toml").write_text(text)

    with pytest.raises(ConfigError, match=reason):
        config_files.load_policy(tmp_path)


@pytest.mark.parametrize(
    ("interval_s", "simulated", "allowed"),
    [(300, False, True), (86_400, False, True), (299, False, False), (86_401, False, False), (86_401, True, False),
     (4, True, True)],
)  # fmt: skip
def test_rounds_come_every_five_minutes_to_a_day(interval_s: int, simulated: bool, allowed: bool) -> None:
    policy = RoundPolicy(interval_s=interval_s)

    with nullcontext() if allowed else pytest.raises(ConfigError, match=r"rounds\.interval_s: must be from 300"):
        bootstrap.check_interval(policy, simulated=simulated)


def test_a_provider_may_have_several_models() -> None:
    two = replace(OLLAMA, models=("a", "b"))

    assert [str(target) for target in two.targets] == ["ollama/a", "ollama/b"]
