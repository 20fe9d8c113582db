"""How figures stand on the page: with their unit, and a dash where nothing is known."""

from __future__ import annotations

import json
import unicodedata
from datetime import UTC, datetime

from jinja2 import Undefined
from markupsafe import Markup

from app.live import live_config

NOTHING = "–"
#: characters of a value of the config that a line shows
LONGEST = 120
#: categories of characters that a page shows as their number: controls, and what turns text around or hides in it
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def ms(value: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{value:,.0f} ms" if value < 10_000 else f"{value / 1000:,.1f} s"


def usd(value: float | None) -> str:
    """To three figures: costs of one call and of a month stand in one table."""
    if value is None:
        return NOTHING
    if value == 0 or abs(value) >= 100:
        return f"${value:,.2f}"
    return f"${value:.3g}" if abs(value) >= 0.001 else f"${value:.6f}".rstrip("0")


def share(value: float | None) -> str:
    return NOTHING if value is None else f"{value * 100:.1f} %"


def count(value: float | None) -> str:
    return NOTHING if value is None else f"{value:,.0f}"


def score(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3f}"


def when(epoch_ms: float | None) -> Markup | str:
    """With its zone; the page's script turns it into the reader's."""
    if epoch_ms is None:
        return NOTHING
    at = datetime.fromtimestamp(epoch_ms / 1000, UTC)
    text = f"{at.day} {at:%b %H:%M:%S} UTC"
    return Markup('<time datetime="{}">{}</time>').format(at.isoformat(timespec="seconds"), text)


def day(epoch_ms: float) -> str:
    """For a title, which no script turns into the reader's zone."""
    at = datetime.fromtimestamp(epoch_ms / 1000, UTC)
    return f"{at.day} {at:%b %Y %H:%M} UTC"


def ago(epoch_ms: float | None) -> str:
    if epoch_ms is None:
        return NOTHING
    return duration(live_config.epoch_ms() - epoch_ms)


def duration(length_ms: float) -> str:
    seconds = max(0, round(length_ms / 1000))
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def plain(text: object) -> Markup:
    """A text of somebody else's: no direction but its own, and what cannot be seen shown by its number."""
    return Markup("<bdi>{}</bdi>").format(visible(str(text)))


def visible(text: str) -> str:
    """The same where no element can stand, as in the legend of a chart."""
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    hidden = unicodedata.category(character) in HIDDEN and character not in "\n\t"
    return f"\\u{ord(character):04x}" if hidden else character


def value(given: object) -> str:
    """A value of the config as JSON writes it, cut where it is long; nothing: it was not there."""
    if isinstance(given, Undefined) or given is None:
        return NOTHING
    text = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
    shown = visible(text)
    return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}…"


def whole(given: object) -> Markup:
    """A value of the config as JSON, all of it."""
    if isinstance(given, Undefined):
        return Markup('<span class="quiet">not there</span>')
    text = json.dumps(given, ensure_ascii=False, indent=2)
    return Markup("<bdi><code>{}</code></bdi>").format(visible(text))


def setting(path: str) -> str:
    """The path of a change in the document, as `tooloo config set` calls it."""
    return path.replace("global.providerWeights.", "weights.").removeprefix("global.")
