"""tooloo replay, as it is typed."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app.cli.replay import replay
from app.domain.replay import thresholds
from tests.benchmark.test_benchmark import run_round
from tests.domain.replay.trace_lines import call, lines, request_row, round_row
from tests.support.system import System


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    calls = {"a": call(600), "b": call(200)}
    path = tmp_path / "made.jsonl.gz"
    with gzip.open(path, "wt") as file:
        file.writelines(lines([round_row(0, calls), *(request_row(n, calls) for n in range(40))]))
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(replay, [str(each) for each in arguments], terminal_width=200)


def test_the_table_names_trace_policy_and_figures(trace: Path) -> None:
    shown = run(trace, "--policy", "tooloo", "--policy", "fixed:a")

    assert shown.exit_code == 0, shown.output
    tooloo, fixed = [line.split() for line in shown.output.splitlines() if "simulated" in line]
    assert tooloo[:7] == ["made", "(simulated)", "tooloo", "40", "1.000", "0.00%", "200"]
    assert fixed[:5] == ["made", "(simulated)", "fixed:a", "40", "-1.000"]


def test_json_holds_one_result_per_trace_and_policy(trace: Path) -> None:
    shown = json.loads(run(trace, trace, "--policy", "tooloo", "--policy", "random", "--seed", 3, "--json").output)

    assert [(each["policy"], each["seed"]) for each in shown["results"]] == [("tooloo", 3), ("random", 3)] * 2
    assert shown["results"][0]["captured"] == 1
    assert shown["results"][0]["trace"] == "made"


def test_a_replay_for_machines_loads_nothing_that_it_does_not_use(trace: Path) -> None:
    loaded = (
        "import sys; from app.cli.main import cli; cli(standalone_mode=False); print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", loaded, "replay", trace, "--json"], capture_output=True, text=True, check=True
    )

    unused = {"app.domain.grading", "celery", "flask", "kombu", "redis", "requests", "rich", "sqlalchemy", "urllib3"}
    assert json.loads(done.stdout)["results"][0]["captured"] == 1
    assert "app.domain.replay.replay" in done.stderr.split()
    assert unused.isdisjoint(done.stderr.split())


def test_decisions_are_written_one_provider_per_line(trace: Path, tmp_path: Path) -> None:
    assert run(trace, "--decisions", tmp_path / "chosen").exit_code == 0
    assert (tmp_path / "chosen").read_text() == "b\n" * 40


def test_a_plain_file_is_read_as_well(tmp_path: Path) -> None:
    (tmp_path / "plain.jsonl").write_text("".join(lines([request_row(0, {"a": call(1), "b": call(1)})])))

    assert run(tmp_path / "plain.jsonl").exit_code == 0


def test_the_bars_are_printed_beside_the_baselines_and_missing_one_fails(trace: Path, tmp_path: Path) -> None:
    impossible = tmp_path / "never.jsonl"
    fast_then_dead = [round_row(0, {"a": call(200), "b": call(600)})]
    rows = [request_row(n, {"a": call(900, ok=n % 2 == 0), "b": call(600)}) for n in range(40)]
    impossible.write_text("".join(lines([*fast_then_dead, *rows], name="hopeless")))

    met, failed = run(trace, "--bars"), run(trace, impossible, "--bars", "--json")

    assert met.exit_code == 0, met.output
    assert "met" in met.output
    assert all(name in met.output for name in ("tooloo 2", "static", "ucb1", "thompson"))
    assert failed.exit_code == 1
    assert list(json.loads(failed.output)["missed"]) == ["hopeless"]


def test_what_was_recorded_here_is_exported_and_replayed(
    system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", system.services.settings.database_url or "")
    monkeypatch.chdir(tmp_path)
    nothing = run("--from-history", "7d")
    run_round(system)
    shown = run("--from-history", "7d", "--export", tmp_path / "history.jsonl", "--json")

    assert (nothing.exit_code, "no finished round" in nothing.output) == (1, True)
    assert shown.exit_code == 0, shown.output
    results = json.loads(shown.output)["results"]
    assert [(each["trace"], each["policy"], each["simulated"]) for each in results] == [
        ("history", name, True) for name in ("tooloo", "static", "random")
    ]
    assert run(tmp_path / "history.jsonl").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "Missing argument"),
        (("--from-history", "yesterday"), 2, "write 30m, 12h, 7d or 2w"),
        (("missing.jsonl",), 2, "does not exist"),
        (("{trace}", "--policy", "best"), 2, "known are: tooloo"),
        (("{trace}", "--policy", "fixed:c"), 1, "providers of this trace are a, b"),
        (("{trace}", "{trace}", "--decisions", "x"), 2, "one trace and one policy"),
        (("{broken}",), 1, "line 1: not JSON"),
        (("{cut}",), 1, "cut.jsonl.gz: "),
        (("{binary}",), 1, "binary.jsonl: "),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    trace: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    files = {name: tmp_path / f"{name}.jsonl" for name in ("broken", "binary")} | {"cut": tmp_path / "cut.jsonl.gz"}
    files["broken"].write_text("{")
    files["binary"].write_bytes(b"\xff\xfe\x00")
    files["cut"].write_bytes(trace.read_bytes()[:200])

    shown = run(*(each.format(trace=trace, **files) for each in arguments))

    assert shown.exit_code == code
    assert said in " ".join(shown.output.split())
    assert "Traceback" not in shown.output


REGIME = """
[regimes.mine]
about = "two hours of two targets"
source = "made up"
hours = 2
targets.good = {latency_ms = 300, cost_usd = 0.001, quality = 0.9}
targets.worse = {latency_ms = 600, cost_usd = 0.002, quality = 0.7}

[regimes.drawn]
about = "some at random"
source = "made up"
hours = 0.2
draw = {targets = 3, draws = 2}
"""


@pytest.fixture
def regimes(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(REGIME)
    return path


def test_a_regime_shows_what_each_policy_captured_and_whether_the_bars_are_met(regimes: Path) -> None:
    shown = run("--regimes", "--file", regimes, "--regime", "mine", "--seeds", "0,1")

    assert shown.exit_code == 0, shown.output
    (row,) = [line for line in shown.output.splitlines() if "mine" in line]
    assert row.split()[-1] == "met"
    assert "1.000" in row


def test_regimes_as_json_name_seed_and_policy(regimes: Path) -> None:
    shown = json.loads(run("--regimes", "--file", regimes, "--regime", "mine", "--seeds", "4", "--json").output)

    (result,) = shown["results"]
    assert (result["regime"], result["seed"], result["bestFixed"], result["simulated"]) == ("mine", 4, "good", True)
    assert result["policies"]["fixed:best"]["captured"] == 1
    assert {"captured", "regret", "failRate", "limitedRate"} <= {*result["policies"]["tooloo"]}
    assert shown["missed"] == {}


def test_a_draw_is_chosen_as_a_whole_and_a_bar_that_is_missed_fails(
    regimes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(thresholds.REGIMES, "drawn", 1.1)  # type: ignore[index]
    shown = run("--regimes", "--file", regimes, "--regime", "drawn", "--seeds", "0", "--markdown")

    assert shown.exit_code == 1
    head, _, *rows = shown.output.splitlines()
    assert head.startswith("| regime | tooloo | static | greedy |")
    assert [row.split(" | ")[0] for row in rows] == ["| drawn-1", "| drawn-2"]
    assert all("missed: captured" in row for row in rows)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--regimes", "--regime", "none"], "'none' is no regime; known are: base"),
        (["--regimes", "--seeds", "a"], "'a' is no list of whole numbers, such as 0,1,2"),
        (["--regimes", "--bars"], "--regimes takes --regime, --file, --seeds, --json and --markdown alone"),
        (["--regime", "base"], "are for --regimes"),
    ],
)
def test_wrong_use_of_regimes_is_named(arguments: list[str], words: str) -> None:
    shown = run(*arguments)

    assert shown.exit_code == 2
    assert words in " ".join(shown.output.replace("│", " ").split())


def test_a_wrong_file_of_regimes_is_named_with_its_field(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text(REGIME.replace("quality = 0.7", "quality = 7"))
    shown = run("--regimes", "--file", tmp_path / "bad.toml")

    assert shown.exit_code == 1
    assert "bad.toml: regimes.mine.targets.worse.quality" in shown.output
