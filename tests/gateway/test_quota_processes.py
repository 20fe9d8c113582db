"""Two API processes and a provider with a hard limit: it is filled, and hardly ever refuses."""

from __future__ import annotations

import json
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import requests

from tests.gateway.test_sixteen import ASKED
from tests.support.api_process import api_processes
from tests.support.lab import running_lab
from tests.support.system import ROOT

#: requests a minute that the preferred one takes, and how many are asked behind the burst that empties it
RPM, REQUESTS = 120, 600


def test_a_hard_limit_is_filled_by_two_processes_and_hardly_ever_hit(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    shutil.copytree(ROOT / "config", tmp_path / "config", ignore=shutil.ignore_patterns("runtime.json"))
    with running_lab() as lab:
        lab.set("openai", rpm=RPM)
        blocks = [
            f'[{name}]\nformat = "openai"\nbase_url = "{lab.url}/{name}"\npriority = {place}\nmodels = ["{model}"]\n'
            for place, (name, model) in enumerate({"openai": "gpt-4.1-mini", "deepseek": "deepseek-chat"}.items(), 1)
        ]
        (tmp_path / "config" / "providers.toml").write_text("\n".join(blocks))
        with api_processes(tmp_path, database_url, redis_url, 2) as urls:
            began_s, numbers = time.monotonic(), count()

            def ask(_: int) -> str:
                url = urls[next(numbers) % 2]
                body = {"model": "auto", "messages": ASKED}
                answer = requests.post(f"{url}/v1/chat/completions", json=body, timeout=60)
                assert answer.status_code == 200, answer.text
                return str(answer.json()["model"])

            with ThreadPoolExecutor(4) as threads:
                served = list(threads.map(ask, range(REQUESTS)))
            elapsed_s = time.monotonic() - began_s
        seen = lab.get("/lab/requests?last=0")["providers"]["openai"]

    allowed = RPM + elapsed_s * RPM / 60
    assert allowed < REQUESTS, "there was no more asked than it takes"
    preferred = sum(name.startswith("openai/") for name in served)
    assert preferred >= 0.9 * allowed
    print(json.dumps({**seen, "preferred": preferred, "allowed": allowed}))
    assert seen["errors"] <= 0.01 * REQUESTS
