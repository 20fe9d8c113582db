"""Who can do what, in Markdown; below it the reasons of what failed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.clients.catalogue import FEATURES
from tests.clients.running import Report, Result

#: how the gateway says that it does not serve what was called
_NOT_SERVED = ("there is no POST /v1/", "there is no GET /v1/")


def is_missing(result: Result) -> bool:
    return result.error is not None and any(words in result.error for words in _NOT_SERVED)


def failures(report: Report) -> list[Result]:
    return [result for result in report.results if result.error is not None]


def rows(reports: Sequence[Report]) -> Iterator[str]:
    yield f"| client | version | its default protocol | {' | '.join(FEATURES[:-1])} |"
    yield "|---" * (len(FEATURES) + 2) + "|"
    for report in reports:
        cells = [cell(report, feature) for feature in FEATURES]
        client = report.client
        versions = ", ".join(f"{name} {version}" for name, version in client.versions.items())
        yield f"| {client.name} | {versions} | {client.protocol}: {cells[-1]} | {' | '.join(cells[:-1])} |"


def cell(report: Report, feature: str) -> str:
    """— where the client has no such thing, or no case shows it."""
    if report.not_installed is not None:
        return "not installed"
    results = [result for result in report.results if result.feature == feature]
    failed = [result for result in results if result.error is not None]
    if not results:
        return "—"
    if not failed:
        return "ok"
    word = "missing" if all(map(is_missing, failed)) else "failed"
    return word if len(failed) == len(results) else f"{word} ({len(failed)} of {len(results)})"


def reasons(report: Report) -> Iterator[str]:
    if report.not_installed is not None:
        yield f"{report.client.name} was not installed: {report.not_installed}"
    for result in failures(report):
        yield f"{report.client.name}, {result.feature}, {result.case}: {result.error}"
    if failures(report) and report.stderr:
        yield "  its stderr ended:\n" + "\n".join(f"  | {line}" for line in report.stderr.splitlines())
