"""What stands beside it: pass-throughs and other people's gateways, each in an environment of its own under build/.

None of them is a dependency of ours, not even of development. Where one cannot be installed or started, NotStarted says
why.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from tests.bench.gateway.load import KEY
from tests.bench.gateway.processes import PROCESSES, ROOT, NotStarted, Server, run, wait_for
from tests.support.ports import free_port

LITELLM = "litellm[proxy]==1.106.0"
PORTKEY = "@portkey-ai/gateway@1.15.2"
FERRO = "ferrogw==1.5.10"
PYCURL = "pycurl==7.49.0"
CHAT = "/v1/chat/completions"
INSTALL_S = 1200


def installed(name: str, packages: Sequence[str]) -> Path:
    """The bin/ of an environment that holds them, made the first time."""
    folder = ROOT / "build" / name
    stamp = folder / f".{'+'.join(packages)}"
    if not stamp.exists():
        print(f"installing {' '.join(packages)} into {folder} (once)", flush=True)
        _step([sys.executable, "-m", "venv", "--clear", str(folder)])
        _step([str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", *packages])
        stamp.touch()
    return folder / "bin"


def _step(command: list[str]) -> None:
    try:
        ran = subprocess.run(command, check=False, capture_output=True, text=True, timeout=INSTALL_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotStarted(f"it cannot be installed: {error}") from None
    if ran.returncode:
        raise NotStarted(f"it cannot be installed: {(ran.stderr.strip().splitlines() or ['?'])[-1][:200]}")


def _granian(python: Path | str, interface: str, app: str) -> tuple[int, list[str]]:
    port = free_port()
    return port, [
        str(python), "-m", "granian", "--interface", interface, "--port", str(port), "--workers", str(PROCESSES),
        "--blocking-threads", "256", "--backlog", "1024", "--no-ws", "--factory", app,
    ]  # fmt: skip


@contextmanager
def bare_flask(upstream_port: int, folder: Path, log: Path) -> Iterator[Server]:
    port, command = _granian(sys.executable, "wsgi", "tests.bench.gateway.pass_through:create")
    with run("flask", command, {"BENCH_UPSTREAM": f"http://127.0.0.1:{upstream_port}"}, log) as process:
        server = Server("bare Flask", port, CHAT, "bench", process)
        wait_for(server, "/", log / "flask.log")
        yield server


def wsgi_packages() -> tuple[str, ...]:
    return PYCURL, f"granian=={version('granian')}"


@contextmanager
def bare_wsgi(upstream_port: int, folder: Path, log: Path) -> Iterator[Server]:
    """No framework, and libcurl as the client: what Python can do on this server."""
    bin_ = installed("wsgi", wsgi_packages())
    port, command = _granian(bin_ / "python", "wsgi", "tests.bench.gateway.bare_wsgi:create")
    with run("wsgi", command, {"BENCH_UPSTREAM": f"http://127.0.0.1:{upstream_port}"}, log) as process:
        server = Server("bare WSGI", port, CHAT, "bench", process)
        wait_for(server, "/", log / "wsgi.log")
        yield server


@contextmanager
def ferro(upstream_port: int, folder: Path, log: Path) -> Iterator[Server]:
    """A gateway in Go. One process of it uses all cores."""
    binary = installed("ferro", (FERRO,)) / "ferrogw"
    config = folder / "ferro.yaml"
    config.write_text("strategy: {mode: fallback}\ntargets: [{virtual_key: openai}]\n")
    port = free_port()
    environment = {
        "GATEWAY_CONFIG": str(config),
        "OPENAI_API_KEY": KEY,
        "OPENAI_BASE_URL": f"http://127.0.0.1:{upstream_port}",
        "MASTER_KEY": KEY,
        "PORT": str(port),
        "RATE_LIMIT_RPS": "0",
        "LOG_LEVEL": "error",
        "GOMAXPROCS": str(PROCESSES),
    }
    with run("ferro", [str(binary), "serve"], environment, log) as process:
        # a model it knows to be OpenAI's: others have no provider there
        server = Server("ferro", port, CHAT, "gpt-4o", process)
        wait_for(server, "/readyz", log / "ferro.log")
        yield server


#: as many processes of it as of the others, on one port
CLUSTER = """
import cluster from "node:cluster";
if (cluster.isPrimary) {{ for (let n = 0; n < {processes}; n++) cluster.fork(); }} else {{ await import("{server}"); }}
"""


@contextmanager
def portkey(upstream_port: int, folder: Path, log: Path) -> Iterator[Server]:
    """Portkey's open gateway; needs npm."""
    if shutil.which("npm") is None:
        raise NotStarted("npm is not installed")
    place = ROOT / "build" / "portkey"
    module = place / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    if not module.exists():
        print(f"installing {PORTKEY} into {place} (once)", flush=True)
        place.mkdir(parents=True, exist_ok=True)
        _step(["npm", "install", "--prefix", str(place), "--no-audit", "--no-fund", "--silent", PORTKEY])
    script = folder / "portkey.mjs"
    script.write_text(CLUSTER.format(processes=PROCESSES, server=module))
    port = free_port()
    command = ["node", str(script), f"--port={port}", "--headless"]
    with run("portkey", command, {"TRUSTED_CUSTOM_HOSTS": "127.0.0.1"}, log) as process:
        headers = {"x-portkey-provider": "openai", "x-portkey-custom-host": f"http://127.0.0.1:{upstream_port}"}
        server = Server("Portkey", port, CHAT, "bench", process, headers)
        wait_for(server, "/", log / "portkey.log")
        yield server


CONFIG = """
model_list:
  - model_name: bench
    litellm_params: {{model: openai/bench, api_base: "http://127.0.0.1:{port}", api_key: bench}}
general_settings: {{master_key: {key}}}
litellm_settings: {{telemetry: false}}
"""


@contextmanager
def litellm(upstream_port: int, folder: Path, log: Path) -> Iterator[Server]:
    binary = installed("litellm", (LITELLM,)) / "litellm"
    config = folder / "litellm.yaml"
    config.write_text(CONFIG.format(port=upstream_port, key=KEY))
    port = free_port()
    command = [
        str(binary), "--config", str(config), "--host", "127.0.0.1", "--port", str(port),
        "--num_workers", str(PROCESSES),
    ]  # fmt: skip
    environment = {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOG": "ERROR",
        "PATH": f"{binary.parent}:{os.environ['PATH']}",
    }
    with run("litellm", command, environment, log) as process:
        server = Server("LiteLLM", port, CHAT, "bench", process)
        wait_for(server, "/health/liveliness", log / "litellm.log")
        yield server
