"""What decisions are worth in simulated regimes: `tooloo replay --regimes`, and how long that takes.

python -m tests.bench.regimes [--regime NAME]... [--seeds 0,1,2] [--file FILE] [--markdown | --json]
"""

from __future__ import annotations

import sys
import time

from app.cli.replay import replay


def main(arguments: list[str]) -> None:
    begun = time.monotonic()
    try:
        replay(["--regimes", *arguments])
    finally:
        print(f"{time.monotonic() - begun:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
