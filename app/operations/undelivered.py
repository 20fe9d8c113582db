"""What to do where the alerts' own webhook does not take them: by what it answered, or how it could not be reached."""

from __future__ import annotations

URL, SECRET = "TOOLOO_ALERT_URL", "TOOLOO_ALERT_SECRET"

_REDIRECT = f"put the address it redirects to into {URL}: a redirect is not followed"
_REFUSED = f"see that {SECRET} is the one that the server checks with, and that {URL} holds what else it wants"
_WRONG = f"correct {URL}: there is nothing of this kind at that address"
_BUSY = f"see what ails the server of {URL}; messages are tried again for a day, ever more seldom"
_CURES = {401: _REFUSED, 403: _REFUSED, 404: _WRONG, 405: _WRONG, 410: _WRONG, 429: _BUSY}
_AWAY = {
    "SSLError": f"mend the certificate of the server of {URL}, or name the host that it is for",
    "ConnectTimeout": f"see that the server of {URL} can be reached from here: firewall, proxy, network",
    "ReadTimeout": f"have the server of {URL} answer within ten seconds, and do its work afterwards",
    "ConnectionError": f"start the server of {URL}, or correct the name and port in it",
}
_OTHER = f"correct {URL}: it cannot be called as it stands"


def cure(problem: str) -> str:
    """`problem`: as Webhook.send says it."""
    if not problem.startswith("HTTP "):
        return _AWAY.get(problem, _OTHER)
    status = int(problem.removeprefix("HTTP "))
    if 300 <= status < 400:
        return _REDIRECT
    return _CURES.get(status, _BUSY if status >= 500 else _REFUSED)
