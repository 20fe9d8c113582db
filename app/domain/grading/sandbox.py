"""Runs the JavaScript of an answer in QuickJS: a program of its own, `python -I sandbox.py`.

Reads {"function", "sources", "calls"} as JSON from stdin; writes the line `ready`, then one JSON line per call,
{"value": JSON text} or {"error": text}. It imports nothing of the application.

Why not in the worker: QuickJS looks at its time limit between byte codes only, so a backtracking regular expression
or a native loop (`new Array(4294967295).join()`) is never interrupted, its clock counts the CPU time of every thread
of the process, and big numbers under a memory limit crash it. Here the kernel holds the limits, and what is killed
is this process. CPU time is what is limited: a busy machine fails no answer.
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
from collections.abc import Callable
from typing import Any

import quickjs

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

#: what browsers and Node offer and answers use; nothing in it reaches the host
PRELUDE = """
var console = new Proxy({}, {get: () => () => undefined});
var module = {exports: {}}, exports = module.exports;
"""
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
    _confine()
    print("ready", flush=True)
    source, error = _first_usable(job["function"], job["sources"])
    for call in job["calls"]:
        result = {"error": error} if source is None else _run(job["function"], source, call)
        print(json.dumps(result), flush=True)


def _confine() -> None:
    """No CPU, memory, files, sockets or core dumps beyond what a function needs; whatever QuickJS lets through."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = round(CPU_S + used.ru_utime + used.ru_stime)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    with contextlib.suppress(ValueError, OSError):  # macOS refuses; the heap limit of QuickJS stands there alone
        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))


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
    context.eval(source)
    if not context.eval(EXPORTED.replace("NAME", function)):
        return None
    return lambda call: observe(context.eval(f"() => ({call})"))


def _observed(observer: Callable[[str], Any], call: str) -> str:
    value = observer(call)
    return value[:RESULT_CHARS] if isinstance(value, str) else "undefined"


def _short(error: BaseException) -> str:
    if "Failed obtaining QuickJS error string" in str(error):  # the heap has no room left for the message
        return "InternalError: out of memory"
    return str(error).strip().split("\n")[0][:200] or type(error).__name__


if __name__ == "__main__":
    main()
