"""LiteLLM in an environment of its own under build/: nobody's dependency here, pinned, for these measurements alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

VERSION = "1.110.2"
#: time-machine: the virtual clock of routing_traces.py
PACKAGES = (f"litellm=={VERSION}", "time-machine==3.6.0")
#: not that of the gateway bench, which has another version, and the proxy's dependencies
VENV = Path("build/litellm-router")
ENVIRONMENT: Mapping[str, str] = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "PATH": "/usr/bin:/bin"}


def python() -> Path:
    """Its interpreter, installed the first time; raises CalledProcessError where that fails."""
    installed, interpreter = VENV / f".{'+'.join(PACKAGES)}", VENV / "bin" / "python"
    if not installed.exists():
        print(f"installing {' and '.join(PACKAGES)} into {VENV}, for this bench alone", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], check=True)
        pip = [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES]
        subprocess.run(pip, check=True, stderr=subprocess.DEVNULL)
        installed.touch()
    return interpreter
