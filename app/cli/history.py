"""The installation's own history, for commands: read from its database, wherever that is. And `tooloo rebuild`."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from datetime import timedelta

import click
import structlog
from sqlalchemy.orm import sessionmaker

from app import bootstrap, settings
from app.cli import servers
from app.cli.main import print_json
from app.cli.place import place
from app.cli.terminal import say
from app.domain.policy import Policy
from app.domain.replay.recorded import trace_lines
from app.evidence import scorecard
from app.settings import Settings
from app.store import database, history

# what a command shows is for programs too; asked for at each line, as whoever runs us may put another in its place
structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def age(text: str) -> timedelta:
    """`7d`, `12h`, `30m`, `2w`."""
    found = re.fullmatch(r"([1-9]\d{0,4})([mhdw])", text)
    if found is None:
        raise click.BadParameter(f"{text!r} is no age: write 30m, 12h, 7d or 2w", param_hint="--from-history")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def database_url(configured: Settings) -> str:
    """The one that is configured, else the embedded one of this data folder, which `make up` must be running."""
    return configured.database_url or servers.postgres_url(place(configured.data_dir))


def recorded_lines(since: str, policy: Policy) -> list[str]:
    """What was recorded since then, as a trace."""
    span = age(since)
    engine = database.create(database_url(settings.load()))
    try:
        with database.transaction(sessionmaker(engine)) as session:
            start = database.now(session) - span
            simulated = history.is_simulated(session, start)
            return list(trace_lines(history.events(session, start), policy, simulated=simulated))
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    finally:
        engine.dispose()


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def rebuild(as_json: bool) -> None:
    """Learn anew from the database: the scorecard, and what the optimizer remembers of past rounds.

    The reaper does so by itself where the scorecard is lost or cannot be read.

    \b
    Example:  tooloo rebuild
    """
    configured = settings.load()
    redis_url = configured.redis_url or servers.redis_url(place(configured.data_dir))
    services = bootstrap.build(replace(configured, database_url=database_url(configured), redis_url=redis_url))
    card = scorecard.rebuild(services)
    if as_json:
        print_json({"targets": [str(target) for target in card.evidence]})
    else:
        say(f"scorecard rebuilt: {len(card.evidence)} targets")
