"""TypeScript as JavaScript: the types taken out of a source, as far as answers write them.

No compiler: it is tried beside the source as it stands, so what it spoils costs nothing.
"""

from __future__ import annotations

import re

_NAME = r"[A-Za-z_$][\w$.]{0,80}"
_ONE = (
    rf"(?:{_NAME}(?:<(?:[^<>;]|<[^<>;]{{0,100}}>){{0,200}}>)?|\"[^\"\n]{{0,80}}\"|'[^'\n]{{0,80}}'|-?\d{{1,12}}"
    r"|\{[^{}]{0,300}\}|\[[^\[\]]{0,200}\]|\([^()]{0,200}\)\s?=>\s?[\w$]{1,80})(?:\[\]){0,3}"
)
_TYPE = rf"(?:readonly\s|keyof\s|typeof\s)?{_ONE}(?:\s{{0,20}}[|&]\s{{0,20}}{_ONE}){{0,12}}"

_SIGNS = re.compile(
    r":\s?(?:string|number|boolean|unknown|any|null|void|never|object|Record|Map|Array|RegExp)\b"
    r"|\binterface\s|^\s{0,8}type\s\w+\s?=|\sas\s(?:const|string|number|unknown|any|\w+)\b",
    re.MULTILINE,
)
_REMOVED = (
    (re.compile(r"^[ \t]{0,8}(?:export\s)?(?:declare\s)?interface\s[^{]{1,120}\{[^{}]{0,2000}\}[ \t]*;?", re.M), ""),
    (
        re.compile(
            rf"^[ \t]{{0,8}}(?:export\s)?type\s[\w$<>, ]{{1,80}}=\s{{0,20}}\|?\s{{0,20}}{_TYPE}\s{{0,4}};?", re.M
        ),
        "",
    ),
    (re.compile(rf"\)\s{{0,4}}:\s{{0,4}}{_TYPE}(?=\s{{0,4}}(?:\{{|=>))"), ")"),
    (
        re.compile(
            rf"\b((?:const|let|var)\s+(?:[\w$]{{1,80}}|\{{[^{{}}]{{0,200}}\}}"
            rf"|\[[^\[\]]{{0,200}}\]))\s?:\s?{_TYPE}(?=\s?[=;])"
        ),
        r"\1",
    ),
    (re.compile(rf"([(,]\s{{0,20}}(?:\.\.\.)?[\w$]{{1,80}})\??\s?:\s?{_TYPE}(?=\s{{0,20}}(?:[,)]|=[^=>]))"), r"\1"),
    (re.compile(rf"\s+(?:as|satisfies)\s+{_TYPE}"), ""),
    (re.compile(r"\b(?:private|public|protected|readonly)\s+(?=[\w$#])"), ""),
    (re.compile(rf"(\b(?:new\s+)?[A-Za-z_$][\w$]{{0,80}})<{_TYPE}(?:,\s?{_TYPE}){{0,4}}>(?=\()"), r"\1"),
    (re.compile(r"(?<=[\w)\]])!(?=[.;,)\]\[])"), ""),
)


def is_typed(source: str) -> bool:
    return _SIGNS.search(source) is not None


def without_types(source: str) -> str:
    for pattern, kept in _REMOVED:
        source = pattern.sub(kept, source)
    return source
