"""Looks for a regular expression in a text: a program of its own, `python -I matching.py`.

Reads {"pattern", "flags", "text", "full"} as JSON from stdin, writes "true" or "false". No pattern can be told to be
quick, and Python's own engine cannot be interrupted: here the kernel ends it when its CPU time is over.
"""

from __future__ import annotations

import json
import re
import resource
import sys

#: CPU seconds on top of what the start took
CPU_S = 1


def main() -> None:
    job = json.load(sys.stdin)
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = round(CPU_S + used.ru_utime + used.ru_stime + 0.5)
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 1))
    compiled = re.compile(job["pattern"], job["flags"])
    found = compiled.fullmatch(job["text"]) if job["full"] else compiled.search(job["text"])
    print("true" if found else "false", flush=True)


if __name__ == "__main__":
    main()
