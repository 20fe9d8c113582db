"""`tooloo-trace/1` files: what each provider gave, or would have given, at every step of a recorded time."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from app.config_blocks import Name
from app.errors import ConfigError

FORMAT = "tooloo-trace/1"


@dataclass(frozen=True, slots=True)
class Sample:
    """One call as recorded."""

    latency_ms: float
    ok: bool
    cost_usd: float
    #: 0..1
    quality: float
    #: of the answer
    tokens: int


@dataclass(frozen=True, slots=True)
class Row:
    """A step of a trace: a benchmark round with any number of samples per provider, or one live request."""

    t_s: float
    is_round: bool
    samples: Mapping[str, tuple[Sample, ...]]


@dataclass(frozen=True, slots=True)
class Trace:
    name: str
    providers: tuple[str, ...]
    latency_ref_ms: float
    cost_ref_usd: float
    #: weights of latency and of cost in the objective U
    latency_weight: float
    cost_weight: float
    round_interval_s: float
    #: scripted, not recorded in the real world
    simulated: bool
    #: in order of time
    rows: tuple[Row, ...]

    @property
    def slowest_ms(self) -> float:
        return max(sample.latency_ms for row in self.rows for samples in row.samples.values() for sample in samples)


class _Objective(BaseModel):
    latency: Annotated[float, Field(ge=0)]
    cost: Annotated[float, Field(ge=0)]


class _Header(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)

    format: str
    name: str
    providers: Annotated[list[Name], Field(min_length=1)]
    latency_ref_ms: Annotated[float, Field(gt=0)]
    cost_ref_usd: Annotated[float, Field(gt=0)]
    objective: _Objective
    round_interval_s: Annotated[float, Field(gt=0)]
    simulated: bool = True


_Call = tuple[
    Annotated[float, Field(ge=0, allow_inf_nan=False)],
    Annotated[int, Field(ge=0, le=1)],
    Annotated[float, Field(ge=0, allow_inf_nan=False)],
    Annotated[float, Field(ge=0, le=1)],
    Annotated[float, Field(ge=0, allow_inf_nan=False)],
]


class _Row(BaseModel):
    t: float
    round: dict[str, Annotated[list[_Call], Field(min_length=1)]] | None = None
    request: dict[str, _Call] | None = None


_HEADER, _ROW = TypeAdapter(_Header), TypeAdapter(_Row)


def read_trace(path: Path) -> Trace:
    """The whole file, gzipped or not; raises ConfigError naming the line that is wrong."""
    lines = enumerate(_lines(path), start=1)
    number, text = next(lines, (1, ""))
    header = _checked(_HEADER, path, number, text)
    if header.format != FORMAT:
        raise ConfigError(f"{path.name}: format {header.format!r} is not {FORMAT}", field="format")
    rows = tuple(_row(header, path, number, text) for number, text in lines if text.strip())
    if not rows:
        raise ConfigError(f"{path.name}: the trace has no rows", field="rows")
    return Trace(
        name=header.name,
        providers=tuple(header.providers),
        latency_ref_ms=header.latency_ref_ms,
        cost_ref_usd=header.cost_ref_usd,
        latency_weight=header.objective.latency,
        cost_weight=header.objective.cost,
        round_interval_s=header.round_interval_s,
        simulated=header.simulated,
        rows=tuple(sorted(rows, key=lambda row: row.t_s)),
    )


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open("rb") as file:
            gzipped = file.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rt", encoding="utf-8") if gzipped else path.open(encoding="utf-8") as file:
            yield from file
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise ConfigError(f"{path}: {error}", field=path.name) from None


def _row(header: _Header, path: Path, number: int, text: str) -> Row:
    row = _checked(_ROW, path, number, text)
    if (row.round is None) == (row.request is None):
        raise ConfigError(f"{path.name}, line {number}: a row holds either a round or a request", field="row")
    calls = row.round if row.round is not None else {name: [call] for name, call in (row.request or {}).items()}
    missing = [name for name in header.providers if name not in calls]
    if missing:
        raise ConfigError(f"{path.name}, line {number}: nothing about {', '.join(missing)}", field="row")
    samples = {name: tuple(_sample(call) for call in calls[name]) for name in header.providers}
    return Row(row.t, row.round is not None, samples)


def _sample(call: _Call) -> Sample:
    latency_ms, ok, cost_usd, quality, tokens = call
    return Sample(latency_ms, bool(ok), cost_usd, quality, round(tokens))


def _checked(kind: TypeAdapter[Any], path: Path, number: int, text: str) -> Any:
    try:
        return kind.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{path.name}, line {number}: {where}: {first['msg']}", field=where) from None
