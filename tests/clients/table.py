"""Who can do what, in Markdown; below it the reasons of what failed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tests.clients.catalogue import FEATURES, KNOWN, NOT_SERVED, Client
from tests.clients.running import Report, Result

#: how the gateway says that it does not serve what was called
_MISSING = re.compile(r"there is no (?:GET|POST) (/v1/[a-z_/]+) here")


def missing(result: Result) -> str | None:
    """The endpoint that is not there, if that is why it failed."""
    found = _MISSING.search(result.error or "")
    return found[1] if found else None


def failures(report: Report) -> list[Result]:
    return [result for result in report.results if result.error is not None]


def is_expected(client: Client, result: Result) -> bool:
    """Of a failure: an endpoint is missing of which that is known, or it is among the known ones."""
    if any((missing(result) or "").startswith(endpoint) for endpoint in NOT_SERVED):
        return True
    return any(folder == client.folder and result.case.startswith(case) for folder, case, _ in KNOWN)


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
    word = "missing" if all(map(missing, failed)) else "failed"
    return word if len(failed) == len(results) else f"{word} ({len(failed)} of {len(results)})"


def reasons(report: Report) -> Iterator[str]:
    """Of what was not expected."""
    if report.not_installed is not None:
        yield f"  not installed: {report.not_installed}"
    for result in failures(report):
        if not is_expected(report.client, result):
            yield f"  {result.feature}, {result.case}: {result.error}"
