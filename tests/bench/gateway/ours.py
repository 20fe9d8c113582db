"""TooLoo with all it does: four targets ranked, keys checked, outcomes and requests recorded in Redis and Postgres."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.bench.gateway.load import KEY
from tests.bench.gateway.processes import PROCESSES, ROOT, NotStarted, Server, run, wait_for
from tests.support.ports import free_port

PROVIDER = """
[{name}]
format = "openai"
base_url = "http://127.0.0.1:{port}"
models = ["bench"]
priority = {priority}
prices."bench" = {{input = 0.3, output = 1.1}}
"""


@contextmanager
def tooloo(upstream_port: int, folder: Path, log: Path) -> Iterator[Server]:
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
        command = [sys.executable, "-m", "app.cli.main"]
        ran = subprocess.run([*command, "migrate"], env={**os.environ, **environment}, cwd=ROOT, check=False)
        if ran.returncode:
            raise NotStarted("its migrations failed")
        stack.enter_context(run("control", [*command, "worker", "-q", "control,optimizer"], environment, log))
        stack.enter_context(run("beat", [*command, "beat"], environment, log))
        process = stack.enter_context(run("tooloo", [*command, "api"], environment, log))
        server = Server("TooLoo", int(environment["TOOLOO_PORT"]), "/v1/chat/completions", "auto", process)
        wait_for(server, "/healthz", log / "tooloo.log")
        yield server
