from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from app.errors import ConfigError
from app.lab.trace import Sample, read_trace
from tests.lab import traces
from tests.lab.traces import HEADER, ROWS

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared" / "traces"


def test_a_trace_is_read_with_its_rounds_and_requests(tmp_path: Path) -> None:
    trace = read_trace(traces.write(tmp_path))
    assert (trace.name, trace.providers, trace.simulated) == ("small", ("azure.west", "groq"), False)
    assert [row.is_round for row in trace.rows] == [True, False, False, True, False, False]
    assert trace.rows[2].samples["groq"] == (Sample(24, ok=True, cost_usd=0.001, quality=0.25, tokens=30),)
    assert len(trace.rows[3].samples["azure.west"]) == 3
    assert trace.slowest_ms == 29


def test_a_gzipped_trace_is_the_same_trace(tmp_path: Path) -> None:
    packed = tmp_path / "small.jsonl.gz"
    packed.write_bytes(gzip.compress(traces.lines().encode()))
    assert read_trace(packed) == read_trace(traces.write(tmp_path))


def without(values: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != name}


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        ({**HEADER, "format": "other/1"}, ROWS, "other/1"),
        (without(HEADER, "latencyRefMs"), ROWS, "line 1: latencyRefMs"),
        # a provider's name becomes part of a URL and of a queue's name
        ({**HEADER, "providers": ["../etc"]}, ROWS, "line 1: providers.0"),
        (HEADER, [], "no rows"),
        (HEADER, [*ROWS, {"t": 1.0}], "line 8: a row holds either a round or a request"),
        (HEADER, [{"t": 1.0, "request": {"groq": traces.call(1)}}], "line 2: nothing about azure.west"),
        (HEADER, [{**ROWS[0], "round": {"azure.west": [], "groq": []}}], "line 2: round.azure.west"),
        (HEADER, [{**ROWS[1], "request": {"azure.west": [1, 1, 0, 2, 3], "groq": traces.call(1)}}], "line 2: request"),
    ],
)
def test_a_wrong_trace_is_refused_by_line_and_key(
    tmp_path: Path, header: dict[str, Any], rows: list[dict[str, Any]], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        read_trace(traces.write(tmp_path, header, rows))


@pytest.mark.parametrize("content", [b"", b"\x1f\x8bbroken", b"{not json}", b"\xff\xfe"], ids=repr)
def test_what_is_no_trace_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.jsonl.gz"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="broken"):
        read_trace(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.gz"):
        read_trace(tmp_path / "nowhere.gz")


@pytest.mark.skipif(not SHARED.exists(), reason="the recorded traces are not on this machine")
@pytest.mark.parametrize("name", sorted(path.name for path in SHARED.glob("*.jsonl.gz")))
def test_every_recorded_trace_can_be_read(name: str) -> None:
    with gzip.open(SHARED / name, "rt", encoding="utf-8") as file:
        header, *rest = file
    trace = read_trace(SHARED / name)
    assert trace.providers == tuple(json.loads(header)["providers"])
    assert len(trace.rows) == len(rest)
