"""ES module syntax as that of CommonJS, for an engine that evaluates scripts here; no pattern backtracks far."""

from __future__ import annotations

import json
import re

_DECLARATION = r"(?:async[ \t]+)?(?:function[\s*]+[\w$]|class[ \t]+[\w$]|const\b|let\b|var\b)"
_EXPORT = re.compile(rf"^[ \t]*export[ \t]+(?:default[ \t]+)?(?={_DECLARATION})", re.M)
_EXPORT_DEFAULT = re.compile(r"^[ \t]*export[ \t]+default\b", re.M)
_FROM = r"""(?:from\s*)?["'](?P<module>[^"'\n]{1,200})["'][ \t]*(?:(?:with|assert)[ \t]*\{[^{}]{0,200}\})?[ \t]*;?"""
_EXPORT_FROM = re.compile(rf"^[ \t]*export\s*(?:\*[^;\n]{{0,200}}|\{{[^{{}}]{{0,2000}}\}})\s*{_FROM}", re.M)
_EXPORT_LIST = re.compile(r"^[ \t]*export\s*\{(?P<names>[^{}]{0,2000})\}[ \t]*;?", re.M)
_IMPORT = re.compile(rf"^[ \t]*import\b(?![ \t]*[(.])(?P<names>[^;\"'()=]{{0,2000}}?){_FROM}", re.M)
_AS = re.compile(r"([\w$]+)\s+as\s+([\w$]+)")


def as_script(source: str) -> str:
    """ES module syntax as that of CommonJS: QuickJS evaluates a script here."""
    source = _IMPORT.sub(_required, source)
    source = _EXPORT_LIST.sub(_exported, _EXPORT_FROM.sub("", source))
    return _EXPORT_DEFAULT.sub("module.exports.default =", _EXPORT.sub("", source))


def _required(statement: re.Match[str]) -> str:
    """`import a, { b as c } from "m"` → `const a = require("m").default, { b: c } = require("m");`"""
    module = f"require({json.dumps(statement['module'])})"
    default, _, names = statement["names"].partition("{")
    whole = [name.strip() for name in default.split(",") if name.strip()]
    bound = [name.partition(" as ")[2].strip() or f"{{default: {name}}}" for name in whole]
    if names:
        bound.append("{" + _AS.sub(r"\1: \2", names.rpartition("}")[0]) + "}")
    return f"var {', '.join(f'{name} = {module}' for name in bound)};" if bound else ""


def _exported(statement: re.Match[str]) -> str:
    """`export { a, b as c };` → `Object.assign(exports, { a, c: b });`"""
    names = _AS.sub(r'"\2": \1', statement["names"])
    return f"Object.assign(exports, {{{names}}});"
