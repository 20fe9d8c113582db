"""`tooloo up`."""

from __future__ import annotations

import signal
import sys
from types import FrameType

import click

from app import settings
from app.cli import local
from app.errors import TooLooError


@click.command()
def up() -> None:
    """Run everything on this machine: PostgreSQL, Redis, lab, API, workers, beat and Flower.

    Ctrl-C stops it all; the data stays in TOOLOO_DATA_DIR (.tooloo). Without a provider key in the environment or in
    .env, all providers are simulated. With DATABASE_URL or REDIS_URL set, that server is used instead of our own.

    \b
    Exit codes: 0 stopped by a signal, 1 could not start, or an essential process failed for good.

    \b
    Example:
      TOOLOO_PORT=4001 TOOLOO_FLOWER_PORT=5556 TOOLOO_LAB_PORT=4011 TOOLOO_DATA_DIR=.second tooloo up
    """
    signal.signal(signal.SIGTERM, _interrupt)  # until the supervisor takes over: initdb must not outlive us
    try:
        sys.exit(local.start(settings.load()))
    except TooLooError as error:
        raise click.ClickException(str(error)) from None


def _interrupt(signal_number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
