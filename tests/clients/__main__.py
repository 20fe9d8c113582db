"""python -m tests.clients [CLIENT …]: real client software in front of a real stack.

Exit code 1 where a client cannot be installed, or a case fails that is not known to. CLIENT: a folder of tests/clients.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

import requests

from tests.clients import table
from tests.clients.catalogue import CLIENTS, Client
from tests.clients.running import Report, report
from tests.support.stack import Stack, stack
from tests.support.system import ROOT

KEY = "key-of-a-test-client"
#: longer than a test's stack may take: nobody looks at how fast it is, and the machine may have much else to do
READY_S = 300
#: prompt, fast and without failures; a model that is offered tools calls the first
PROFILE = {"latency": 5, "error_rate": 0, "tokens_per_s": 5000, "tool_rate": 1}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clients", nargs="*", metavar="CLIENT", help="all, where none is named")
    arguments = parser.parse_args()
    known = {client.folder: client for client in CLIENTS}
    if unknown := set(arguments.clients) - known.keys():
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
    chosen = [known[name] for name in arguments.clients] or list(CLIENTS)
    folder = Path(tempfile.mkdtemp(prefix="tooloo-clients-"))
    folder.chmod(0o755)  # root's PostgreSQL runs as another user
    try:
        with stack(folder, ready_s=READY_S, TOOLOO_API_KEY=KEY) as running:
            reports = list(_reports(running, chosen))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print("\n" + "\n".join(table.rows(reports)) + "\n")
    return _verdict(reports)


def _reports(running: Stack, chosen: list[Client]) -> list[Report]:
    lab = f"http://127.0.0.1:{running.environment['TOOLOO_LAB_PORT']}"
    access = {"CLIENTS_URL": running.url, "CLIENTS_KEY": KEY, "CLIENTS_LAB": lab}
    for provider in requests.get(f"{lab}/lab/profiles", timeout=10).json()["data"]["providers"]:
        requests.patch(f"{lab}/lab/profiles/{provider}", json=PROFILE, timeout=10).raise_for_status()
    return [_timed(client, access) for client in chosen]


def _timed(client: Client, access: dict[str, str]) -> Report:
    """One after the other: what is looked at is what they can do, not how fast."""
    began = time.monotonic()
    made = report(client, access)
    failed = len(table.failures(made))
    told = f", see {made.log.relative_to(ROOT)}" if failed and made.log else ""
    seconds = time.monotonic() - began
    print(f"{client.name}: {len(made.results)} cases, {failed} failed, {seconds:.0f} s{told}", flush=True)
    for line in table.reasons(made):
        print(line, flush=True)
    return made


def _verdict(reports: list[Report]) -> int:
    results = [result for made in reports for result in made.results]
    failed = [(made.client, result) for made in reports for result in table.failures(made)]
    surprises = sum(not table.is_expected(client, result) for client, result in failed)
    absent = sum(made.not_installed is not None for made in reports)
    known = len(failed) - surprises
    print(f"clients: {len(results) - len(failed)} passed, {surprises + absent} failed, {known} skipped")
    return int(bool(surprises or absent or not results))


if __name__ == "__main__":
    sys.exit(main())
