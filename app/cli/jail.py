"""What `tooloo doctor` says about the sandbox in which code of answers runs."""

from __future__ import annotations

import sys

from app.domain.grading import javascript
from app.errors import LocalFailure
from app.providers.checkup import Finding, Status


def finding() -> Finding:
    try:
        holds = javascript.confinement()
    except LocalFailure as error:
        return Finding("graders", "jail", Status.FAILED, str(error), "code of answers gets no grade; install anew")
    if "seccomp" in holds:
        return Finding("graders", "jail", Status.OK, f"code of answers runs in a process of its own: {holds}")
    where = f"this kernel ({sys.platform}) filters no system calls"
    advice = (
        "leave the prompt code-javascript out, or measure on Linux, where answers come from people you do not trust"
    )
    return Finding("graders", "jail", Status.WARNING, f"{where}: {holds} alone confine code of answers", advice)
