"""What is measured: our API, a bare pass-through, LiteLLM's proxy; two processes each, in front of one upstream."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.bench.gateway.load import KEY, request
from tests.support.ports import free_port
from tests.support.system import ROOT

LITELLM = "litellm[proxy]==1.106.0"
LITELLM_VENV = ROOT / "build" / "litellm"
PORTKEY = "@portkey-ai/gateway@1.15.2"
PORTKEY_FOLDER = ROOT / "build" / "portkey"
PROCESSES = 2
READY_S = 300
#: LiteLLM writes its logs and callbacks for seconds after its last answer
SETTLE_S = 20


@dataclass(frozen=True)
class Server:
    name: str
    port: int
    path: str
    model: str
    process: subprocess.Popen[bytes] | None = None
    #: sent with each request
    headers: Mapping[str, str] = field(default_factory=dict)

    def message(self, *, stream: bool) -> bytes:
        return request(self.path, self.model, stream=stream, headers=self.headers)

    def _tree(self) -> list[psutil.Process]:
        if self.process is None:
            return []
        root = psutil.Process(self.process.pid)
        return [root, *root.children(recursive=True)]

    def cpu_s(self) -> float:
        times = [each.cpu_times() for each in self._tree()]
        return sum(each.user + each.system for each in times)

    def memory_mb(self) -> float:
        """Without what its processes share, counted twice."""
        return sum(each.memory_full_info().pss for each in self._tree()) / 1e6


@contextmanager
def run(name: str, command: list[str], environment: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (log / f"{name}.log").open("wb") as out:
        process = subprocess.Popen(command, env={**os.environ, **environment}, cwd=ROOT, stdout=out, stderr=out)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_for(server: Server, url: str, log: Path) -> None:
    end = time.monotonic() + READY_S
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - loopback
                return
        except OSError:
            if server.process is not None and server.process.poll() is not None:
                break
            time.sleep(0.1)
    raise SystemExit(f"{server.name} did not start; see {log}/{server.name}.log")


@contextmanager
def upstream(log: Path) -> Iterator[Server]:
    port = free_port()
    with run("upstream", [sys.executable, "-m", "tests.bench.gateway.upstream", str(port)], {}, log) as process:
        server = Server("direct", port, "/chat/completions", "bench", process)
        time.sleep(1)
        set_delay(port, 0)
        yield server


def settle(everything: Sequence[Server]) -> None:
    """Until none of them works any more: what one puts off until it has answered must not slow down the next one."""
    end = time.monotonic() + SETTLE_S
    before = sum(server.cpu_s() for server in everything)
    while time.monotonic() < end:
        time.sleep(0.5)
        now = sum(server.cpu_s() for server in everything)
        if now - before < 0.05:
            return
        before = now


def set_delay(port: int, ms: float) -> None:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/delay", data=str(ms).encode(), method="POST")
    urllib.request.urlopen(request, timeout=5).close()  # noqa: S310 - loopback


@contextmanager
def pass_through(upstream_port: int, log: Path) -> Iterator[Server]:
    port = free_port()
    command = [
        sys.executable, "-m", "granian", "--interface", "wsgi", "--port", str(port), "--workers", str(PROCESSES),
        "--blocking-threads", "256", "--backlog", "1024", "--no-ws", "--factory",
        "tests.bench.gateway.pass_through:create",
    ]  # fmt: skip
    with run("pass-through", command, {"BENCH_UPSTREAM": f"http://127.0.0.1:{upstream_port}"}, log) as process:
        server = Server("bare Flask", port, "/v1/chat/completions", "bench", process)
        time.sleep(3)
        yield server


PROVIDER = """
[{name}]
format = "openai"
base_url = "http://127.0.0.1:{port}"
models = ["bench"]
priority = {priority}
prices."bench" = {{input = 0.3, output = 1.1}}
"""


@contextmanager
def ours(upstream_port: int, folder: Path, log: Path) -> Iterator[Server]:
    """With all it does: four targets ranked, keys checked, outcomes and requests recorded in Redis and Postgres."""
    from tests.support import servers

    config = folder / "config"
    config.mkdir()
    for name in ("policy.toml", "prompts.toml"):
        (config / name).write_text((ROOT / "config" / name).read_text())
    blocks = [PROVIDER.format(name=f"bench{n}", port=upstream_port, priority=n) for n in range(1, 5)]
    (config / "providers.toml").write_text("\n".join(blocks))
    with ExitStack() as stack:
        place = stack.enter_context(servers.folder())
        environment = {
            "DATABASE_URL": stack.enter_context(servers.postgres(place)),
            "REDIS_URL": stack.enter_context(servers.redis(place)),
            "TOOLOO_CONFIG_DIR": str(config),
            "TOOLOO_DATA_DIR": str(folder / "data"),
            "TOOLOO_PORT": str(free_port()),
            "TOOLOO_API_PROCESSES": str(PROCESSES),
            "TOOLOO_ADMIN_KEY": f"{KEY}-admin",
            "TOOLOO_API_KEY": KEY,
        }
        tooloo = [sys.executable, "-m", "app.cli.main"]
        subprocess.run([*tooloo, "migrate"], env={**os.environ, **environment}, cwd=ROOT, check=True)
        stack.enter_context(run("control", [*tooloo, "worker", "-q", "control,optimizer"], environment, log))
        stack.enter_context(run("beat", [*tooloo, "beat"], environment, log))
        process = stack.enter_context(run("tooloo", [*tooloo, "api"], environment, log))
        server = Server("TooLoo", int(environment["TOOLOO_PORT"]), "/v1/chat/completions", "auto", process)
        wait_for(server, f"http://127.0.0.1:{server.port}/healthz", log)
        yield server


#: as many processes of it as of the others, on one port
CLUSTER = """
import cluster from "node:cluster";
if (cluster.isPrimary) {{ for (let n = 0; n < {processes}; n++) cluster.fork(); }} else {{ await import("{server}"); }}
"""


@contextmanager
def portkey(upstream_port: int, folder: Path, log: Path) -> Iterator[Server]:
    """Portkey's open gateway, in a folder of its own under build/; needs npm."""
    server = PORTKEY_FOLDER / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    if not server.exists():
        print(f"installing {PORTKEY} into {PORTKEY_FOLDER} (once)", flush=True)
        npm = ["npm", "install", "--prefix", str(PORTKEY_FOLDER), "--no-audit", "--no-fund", "--silent", PORTKEY]
        PORTKEY_FOLDER.mkdir(parents=True, exist_ok=True)
        subprocess.run(npm, check=True)
    script = folder / "portkey.mjs"
    script.write_text(CLUSTER.format(processes=PROCESSES, server=server))
    port = free_port()
    command = ["node", str(script), f"--port={port}", "--headless"]
    with run("portkey", command, {"TRUSTED_CUSTOM_HOSTS": "127.0.0.1"}, log) as process:
        headers = {"x-portkey-provider": "openai", "x-portkey-custom-host": f"http://127.0.0.1:{upstream_port}"}
        found = Server("Portkey", port, "/v1/chat/completions", "bench", process, headers)
        wait_for(found, f"http://127.0.0.1:{port}/", log)
        yield found


CONFIG = """
model_list:
  - model_name: bench
    litellm_params: {{model: openai/bench, api_base: "http://127.0.0.1:{port}", api_key: bench}}
general_settings: {{master_key: sk-bench}}
litellm_settings: {{telemetry: false}}
"""


@contextmanager
def litellm(upstream_port: int, folder: Path, log: Path) -> Iterator[Server]:
    """In an environment of its own under build/: it is no dependency of ours."""
    binary = LITELLM_VENV / "bin" / "litellm"
    if not binary.exists():
        print(f"installing {LITELLM} into {LITELLM_VENV} (once; a few minutes)", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(LITELLM_VENV)], check=True)
        pip = [str(LITELLM_VENV / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", LITELLM]
        subprocess.run(pip, check=True)
    (folder / "litellm.yaml").write_text(CONFIG.format(port=upstream_port).replace("sk-bench", KEY))
    port = free_port()
    command = [
        str(binary), "--config", str(folder / "litellm.yaml"), "--host", "127.0.0.1", "--port", str(port),
        "--num_workers", str(PROCESSES),
    ]  # fmt: skip
    environment = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
    with run("litellm", command, environment, log) as process:
        server = Server("LiteLLM", port, "/v1/chat/completions", "bench", process)
        wait_for(server, f"http://127.0.0.1:{port}/health/liveliness", log)
        yield server
