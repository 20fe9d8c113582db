"""Runs the JavaScript of an answer in QuickJS: a program of its own, `python -I sandbox.py`.

Reads {"function", "sources", "calls"} as JSON from stdin; writes the line `ready: ` with what confines it (jail.py),
then one JSON line per call, {"value": JSON text} or {"error": text}. Of the application it imports the jail alone.

Why not in the worker: QuickJS looks at its time limit between byte codes only, so a native loop
(`new Array(4294967295).join()`) is never interrupted, its clock counts the CPU time of every thread of the process,
and an engine in C may be broken out of. Here the kernel holds the limits, and what is killed is this process, which
never had a key. CPU time is what is limited: a busy machine fails no answer.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import _quickjs as quickjs  # its package would start a thread, which would stay outside

if TYPE_CHECKING:
    from app.domain.grading import jail
else:  # by its path: to import the packages around it would take longer than the grade
    sys.path.insert(0, str(Path(__file__).parent))
    import jail

#: CPU seconds of the answer's code, all cases together; reached only by code that QuickJS cannot interrupt. What the
#: start of Python took comes on top: on a slow machine it takes as long as that itself
CPU_S = 2
#: CPU seconds of one source or one call
CALL_S = 0.25
#: bytes of address space on top of what Python and QuickJS need themselves
ADDRESS_SPACE = 512 << 20
HEAP = 64 << 20
STACK = 1 << 20
#: characters of a result that are written out; the expected ones are shorter
RESULT_CHARS = 4_000
#: bytes of all that is written, beyond which the kernel refuses
OUTPUT = 4 << 20

#: what browsers and Node offer and answers use, mostly in an example behind the function; nothing in it reaches out
PRELUDE = """
var console = new Proxy({}, {get: () => () => undefined});
var module = {exports: {}}, exports = module.exports;
var setTimeout = () => 0, setInterval = setTimeout, setImmediate = setTimeout;
var clearTimeout = () => undefined, clearInterval = clearTimeout, clearImmediate = clearTimeout;
var process = {argv: ["node", "answer.js"], env: {}, platform: "linux", stdout: {write: () => true}, on: () => process,
  exit: () => { throw new Error("process.exit was called"); }};
var require = ((checks) => (name) => {
  const known = /^(?:node:)?(?:assert(?:\\/strict)?|test)$/.test(name);
  if (!known) throw new Error(`Cannot find module '${name}'`);
  return checks;
})(new Proxy(() => undefined, {get: (_, name, checks) => name === "default" ? checks : () => undefined}));
"""
#: an error that ends the program wherever it happens; any other one ends what stands behind it
FATAL = ("InternalError: interrupted", "InternalError: out of memory", "Failed obtaining QuickJS error string")
#: where NAME was not declared but exported
EXPORTED = """
if (typeof NAME !== "function") {
  globalThis.NAME = typeof module.exports === "function" ? module.exports
    : module.exports.NAME || exports.NAME || module.exports.default || exports.default;
}
typeof NAME === "function"
"""
#: bound before the answer runs, so that no answer can replace JSON.stringify under us
OBSERVER = """
((stringify) => (call) => {
  const value = call();
  if (value === undefined) return "undefined";
  if (typeof value === "number" && (value !== value || value === Infinity || value === -Infinity)) return "NaN";
  return stringify(value);
})(JSON.stringify)
"""


def main() -> None:
    job = json.load(sys.stdin)
    print("ready:", ", ".join(_confine()), flush=True)
    source, error = _first_usable(job["function"], job["sources"])
    for call in job["calls"]:
        result = {"error": error} if source is None else _run(job["function"], source, call)
        print(json.dumps(result), flush=True)


def _confine() -> list[str]:
    """No CPU, memory, files, sockets or other processes beyond what a function needs; whatever QuickJS lets through."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = round(CPU_S + used.ru_utime + used.ru_stime)
    return jail.enter(cpu_s=cpu_s, address_space=ADDRESS_SPACE, output=OUTPUT)


def _first_usable(function: str, sources: list[str]) -> tuple[str | None, str]:
    """The first source that runs and defines the function, and what was wrong with the first of them."""
    errors = []
    for source in sources:
        try:
            if _loaded(function, source):
                return source, ""
            errors.append(f"no function {function}")
        except (quickjs.JSException, ValueError, MemoryError) as error:
            errors.append(_short(error))
    return None, errors[0] if errors else "no code"


def _run(function: str, source: str, call: str) -> dict[str, Any]:
    """One call in a fresh context: what one call breaks, the next does not see."""
    try:
        observer = _loaded(function, source)
        if observer is None:
            return {"error": f"no function {function}"}
        return {"value": _observed(observer, call)}
    except (quickjs.JSException, ValueError, MemoryError) as error:
        return {"error": _short(error)}


def _loaded(function: str, source: str) -> Callable[[str], Any] | None:
    """A context in which the source has run, as a function from call text to result; None without the function."""
    context = quickjs.Context()
    context.set_memory_limit(HEAP)
    context.set_max_stack_size(STACK)
    context.set_time_limit(CALL_S)
    observe = context.eval(OBSERVER)
    context.eval(PRELUDE)
    failure = _evaluated(context, source)
    if not context.eval(EXPORTED.replace("NAME", function)):
        if failure is not None:
            raise failure
        return None
    return lambda call: observe(context.eval(f"() => ({call})"))


def _evaluated(context: quickjs.Context, source: str) -> quickjs.JSException | None:
    """What the source raised: an example behind the function that fails does not undo the function."""
    try:
        context.eval(source)
    except quickjs.JSException as error:
        if any(text in str(error) for text in FATAL):
            raise
        return error
    return None


def _observed(observer: Callable[[str], Any], call: str) -> str:
    value = observer(call)
    return value[:RESULT_CHARS] if isinstance(value, str) else "undefined"


def _short(error: BaseException) -> str:
    if "Failed obtaining QuickJS error string" in str(error):  # the heap has no room left for the message
        return "InternalError: out of memory"
    return str(error).strip().split("\n")[0][:200] or type(error).__name__


if __name__ == "__main__":
    main()
