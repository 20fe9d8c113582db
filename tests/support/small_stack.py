"""`tooloo up` with other processes: python -m tests.support.small_stack JSON

JSON: {"children": {NAME: SHELL COMMAND}, "once": [NAME…], "essential": [NAME…], "retries": N}; data folder and the rest
come from the environment, as for the real command.
"""

from __future__ import annotations

import json
import sys

import click

from app import settings
from app.cli import local
from app.cli.place import place
from app.cli.supervise import Child
from app.errors import TooLooError


def main(specification: str) -> int:
    given = json.loads(specification)
    configured = settings.load(dotenv=None)
    children = [
        Child(
            name=name,
            command=["/bin/sh", "-c", command],
            once=name in given.get("once", ()),
            essential=name in given.get("essential", ()),
            retries=given.get("retries", 3),
            stop_wait_s=1,
        )
        for name, command in given["children"].items()
    ]
    try:
        return local.serve(configured, place(configured.data_dir), [], children)
    except TooLooError as error:
        click.echo(f"Error: {error}", err=True)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
