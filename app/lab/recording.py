"""Bodies of calls on disk, to be looked at when the lab is gone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from app.errors import ConfigError
from app.lab.server import Witness


def recorder(file: Path) -> Witness:
    """Appends a line of JSON per call: path, client, body as text. Raises ConfigError: nothing can be written there.

    Of the headers only what the client calls itself: the others hold keys.
    """
    try:
        file.touch()
    except OSError as error:
        raise ConfigError(f"TOOLOO_LAB_RECORD: {error.strerror}: {file}", field="TOOLOO_LAB_RECORD") from None

    def witness(path: str, headers: Mapping[str, str], body: bytes) -> None:
        told = {"path": path, "client": headers.get("User-Agent", ""), "body": body.decode("utf-8", "replace")}
        with file.open("a", encoding="utf-8") as lines:  # closed each time: the lab may be killed
            lines.write(json.dumps(told) + "\n")

    return witness
