"""Markup that carries no meaning, taken out: HTML, LaTeX around numbers, signs that stand for bullets and digits."""

from __future__ import annotations

import html
import re

_BREAK = re.compile(r"<br\s?/?>|</(?:p|div|li|h[1-6]|tr|blockquote|pre|table|section)\s?>", re.IGNORECASE)
_CELL = re.compile(r"</(?:td|th)\s?>\s{0,20}(?=<t[dh]\b)", re.IGNORECASE)
_ITEM = re.compile(r"<li(?:\s[^<>]{0,200})?>", re.IGNORECASE)
_TAG = re.compile(
    r"</?(?:a|b|strong|i|em|u|h[1-6]|p|div|span|ul|ol|li|table|t[dhr]|thead|tbody|hr|blockquote|section|article|center|"
    r"font|mark|small|code|pre|details|summary|html|body|head|main|poem|stanza|dl|dt|dd)(?:\s[^<>]{0,200})?/?>",
    re.IGNORECASE,
)
_ENTITY = re.compile(r"&(?:#\d{1,6}|#x[0-9a-f]{1,6}|[a-z]{2,8});", re.IGNORECASE)

_UNWRAPPED = re.compile(
    r"\\(?:text|mathrm|mathbf|textbf|mathit|operatorname|mbox|bf|rm|displaystyle)\s?\{([^{}]{0,200})\}"
)
_FRACTION = re.compile(r"\\[dt]?frac\s?\{(-?\d{1,12})\}\s?\{(\d{1,12})\}")
_THIN = re.compile(r"\\[,;:! ]|\\quad\b|~(?=[^~])")
_SIGNS = (
    ("{,}", ","),
    ("\\$", "$"),
    ("\\%", "%"),
    ("\\approx", "≈"),
    ("\\times", "×"),
    ("\\rightarrow", "->"),
    ("\\to ", "-> "),
)

#: 1️⃣ and ① as `1.`
_KEYCAP = re.compile("(\\d)\ufe0f?\u20e3")
_CIRCLED = re.compile("[\u2460-\u2473]")
#: pictures and arrows
PICTURE = "\u2190-\u21ff\u2300-\u23ff\u25a0-\u27bf\u2900-\u297f\u2b00-\u2bff\U0001f000-\U0001faff\ufe0f\u200d"
_PICTURES = re.compile(f"[{PICTURE}]+")
#: `═══`, `---`, `~~~~` beside a heading, and rows of box drawing
_RULE = re.compile("[\u2500-\u259f=~_]{3,200}")


def without_html(text: str) -> str:
    if "<" in text:
        text = _CELL.sub(" | ", text)
        text = _ITEM.sub("\n- ", _BREAK.sub("\n", text))
        text = _TAG.sub("", text)
    return _ENTITY.sub(lambda found: html.unescape(found[0]), text) if "&" in text else text


def without_latex(text: str) -> str:
    """`$43{,}6\\,\\text{min}$` as 43,6 min: what stands around numbers, no more."""
    if "\\" not in text and "{,}" not in text:
        return text
    for sign, plain in _SIGNS:
        text = text.replace(sign, plain)
    text = _UNWRAPPED.sub(r"\1", _FRACTION.sub(r"\1/\2", text))
    return _THIN.sub(" ", text)


def with_plain_numbers(text: str) -> str:
    return _CIRCLED.sub(lambda found: f"{ord(found[0]) - 0x245F}. ", _KEYCAP.sub(r"\1. ", text))


def without_pictures(text: str) -> str:
    return _PICTURES.sub(" ", text)


def without_rules(text: str) -> str:
    return _RULE.sub(" ", text)
