"""Exit codes: one for each kind of end, the same in every command. docs/cli.md has the table."""

from __future__ import annotations

import click

DONE = 0
#: it was tried and did not succeed; a round that is partial or failed
FAILED = 1
#: what was asked for is not there, or not a value: nothing was tried
WRONG_USAGE = 2
#: nothing answers, or not as it should
NOT_REACHABLE = 3
#: `tooloo status`
NEEDS_YOU = 4
#: no key, a wrong one, or one without the scope
NOT_ALLOWED = 5
#: not now: budget, a conflict, a rate
REFUSED = 6

#: by code of an error of the API
BY_CODE = {
    **dict.fromkeys(("invalid_request", "not_found", "model_not_found", "bad_request", "unsupported"), WRONG_USAGE),
    **dict.fromkeys(("dependency_unavailable", "busy"), NOT_REACHABLE),
    **dict.fromkeys(("unauthorized", "forbidden"), NOT_ALLOWED),
    **dict.fromkeys(("over_budget", "conflict", "precondition_failed", "too_many_requests", "rate_limited"), REFUSED),
}
#: what is to be done, where the API speaks to programs
HINTS = {
    NOT_ALLOWED: " (commands send TOOLOO_ADMIN_KEY, else TOOLOO_API_KEY, from the environment or .env)",
}


class Refused(click.ClickException):
    """An error that the API answered."""

    def __init__(self, code: str, message: str) -> None:
        exit_code = BY_CODE.get(code, FAILED)
        super().__init__(f"{message} [{code}]{HINTS.get(exit_code, '')}")
        self.code = code
        vars(self)["exit_code"] = exit_code  # click declares one for all of a class
