"""An API process may open as many files as the system lets it, whatever the shell says that started it."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

ASK = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
from app.cli import processes
processes._allow_open_files()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(("soft", "hard", "then"), [(256, 4096, 4096), (4096, 4096, 4096)])
def test_the_soft_limit_goes_up_to_the_hard_one(soft: int, hard: int, then: int) -> None:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < hard:
        pytest.skip("the system allows fewer here")
    asked = [sys.executable, "-c", ASK.format(soft=soft, hard=hard)]
    found = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.split() == [str(then), str(hard)]
