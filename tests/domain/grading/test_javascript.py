"""Grader `javascript`: code is executed, and whatever it does ends as a grade."""

import dataclasses
import json
import re
import shutil
import sys
import threading
from pathlib import Path

import pytest

from app.domain.grading import grade, graded, jail, javascript
from app.errors import LocalFailure
from tests.domain.grading.standard import PERFECT, PROMPTS, assert_between, grade_of

P = "code-javascript"
CODE = PERFECT[P]
ARROW = CODE.replace("function parseDuration(text) {", "const parseDuration = (text) => {") + ";"

LAX = """function parseDuration(text) {
  const units = { d: 86400, h: 3600, m: 60, s: 1 };
  const parts = String(text).match(/\\d+[dhms]/gi);
  return parts && parts.reduce((sum, part) => sum + parseInt(part) * units[part.slice(-1).toLowerCase()], 0);
}"""


@pytest.mark.parametrize(
    ("answer", "low", "high"),
    [
        pytest.param(CODE, 1, 1, id="perfect"),
        pytest.param(f"```javascript\n{CODE}\n```", 1, 1, id="fenced"),
        pytest.param(f"~~~js\n{CODE}\n~~~", 1, 1, id="fenced with tildes"),
        pytest.param(f"```js\n{CODE}", 1, 1, id="fence not closed"),
        pytest.param(
            f"Here is the function:\n\n{CODE}\n\nIt returns null for invalid input.", 1, 1, id="chatty, no fence"
        ),
        pytest.param(
            f"Sure!\n```js\n{CODE}\n```\nUsage:\n```js\nconsole.log(parseDuration('1h'));\nrequire('fs');\n```",
            1,
            1,
            id="with a usage example",
        ),
        pytest.param(f"```js\nconst UNUSED = 1;\n```\nand then\n```js\n{CODE}\n```", 1, 1, id="two blocks"),
        pytest.param(f"```js\n{ARROW}\n```", 1, 1, id="arrow function"),
        pytest.param(f"export default {CODE}", 1, 1, id="ES module"),
        pytest.param(
            f"{ARROW}\nexport {{ parseDuration }};\nconsole.log(parseDuration('1h'));", 1, 1, id="export list"
        ),
        pytest.param(f"{CODE}\nmodule.exports = {{ parseDuration }};", 1, 1, id="CommonJS"),
        pytest.param("module.exports = " + CODE.replace("parseDuration", ""), 1, 1, id="only exported"),
        # partly right
        pytest.param(LAX, 0.7, 0.8, id="no validation"),
        pytest.param(CODE.replace("86400", "8640"), 0.75, 0.8, id="a day too short"),
        pytest.param(
            'function parseDuration(t) { return t === "45s" ? 45 : null; }', 0, 0.15, id="one case hard-coded"
        ),
        # wrong
        pytest.param("function parseDuration(text) { return null; }", 0, 0, id="always null"),
        pytest.param("function parseDuration(text) { return 0; }", 0, 0.06, id="always zero"),
        pytest.param("function parseDuration(text) { }", 0, 0, id="empty body: undefined is not null"),
        pytest.param("async " + CODE, 0, 0, id="a promise instead of a number"),
        pytest.param("```python\ndef parseDuration(text):\n    return 45\n```", 0, 0, id="Python"),
        pytest.param(CODE[:-30], 0, 0, id="cut off"),
        pytest.param("The function parseDuration splits the text and adds up the units.", 0, 0, id="words about code"),
        pytest.param(
            "function parseDuration regex match d h m s null trim return 86400 3600 60", 0, 0, id="keyword stuffing"
        ),
        pytest.param("parseDuration = parseDuration", 0, 0, id="nothing"),
        pytest.param(f"```js\n{CODE}\n```\n" * 50, 0, 0.1, id="repetition × 50"),
    ],
)
def test_code_is_graded_by_what_it_gives(answer: str, low: float, high: float) -> None:
    assert_between(P, answer, low, high)


#: what the function does before it returns
HOSTILE = {
    "endless loop": "while (true) {}",
    "endless loop in an error's text": "throw { toString() { while (true) {} } };",
    "backtracking regex": '/(a+)+$/.test("a".repeat(40) + "b");',
    "native loop": "Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1);",
    "sparse array joined": 'new Array(4294967295).join("x");',
    "long string": 'let s = "a"; while (true) s += s;',
    "deep recursion": "const f = (n) => f(n + 1) + 1; f(0);",
    "recursion, errors caught": "function g(n) { try { return g(n + 1); } catch (e) { return g(n + 1); } } g(0);",
    "deep nesting": "let x = []; for (let i = 0; i < 1e6; i++) x = [x]; JSON.stringify(x);",
    "big numbers": "BigInt(2) ** BigInt(100000000);",
    "engine crash": '"a".repeat(5e6).replace(/a/g, "bb");',
    "host: files": 'require("fs").readFileSync("/etc/passwd");',
    "host: process": "process.exit(0);",
    "host: network": 'fetch("http://127.0.0.1/");',
    "waiting without CPU time": "Atomics.wait(new Int32Array(new SharedArrayBuffer(8)), 0, 0);",
    "host: std module": 'std.exit(0); os.exec(["true"]);',
}


@pytest.mark.parametrize("code", HOSTILE.values(), ids=HOSTILE)
def test_hostile_code_ends_as_a_failed_grade(code: str) -> None:
    found = grade_of(P, f"```js\nfunction parseDuration() {{ {code}\nreturn 45; }}\n```")
    assert found.score <= 0.06
    assert "of 20 cases pass" in found.reasons[0]


DOUBLE = "function double(n) { return 2 * n; }"


@pytest.mark.parametrize(
    "answer",
    [
        # what engines of 2021 did not have
        "function double(n) { return [0, 2 * n].at(-1); }",
        'function double(n) { return Object.hasOwn({ n }, "n") ? 2 * n : 0; }',
        "const double = (n) => [2 * n, n + 1.5].findLast((x) => x % 1 === 0);",
        "const double = (n) => [3 * n, 2 * n].toSorted((a, b) => a - b)[0];",
        "const double = (n) => [0].with(0, 2 * n)[0];",
        "class Two { static factor; static { Two.factor = 2; } }\nconst double = (n) => Two.factor * n;",
        "class Two { #factor = 2; of(n) { return #factor in this ? this.#factor * n : 0; } }\n"
        "const double = (n) => new Two().of(n);",
        'const double = (n) => n * /(?<x>b+)/d.exec("abb").indices.groups.x.reduce((a, b) => b - a);',
        'const double = (n) => /^[\\p{L}--[a-c]]$/v.test("d") ? 2 * n : 0;',
        "const double = (n) => Object.groupBy([n, n], () => 1)[1].length * n;",
        "const double = (n) => new Set([1]).union(new Set([2])).size * n;",
        "const double = (n) => { let f; f ??= 2; return 1_0 / 5 * n * (f / 2); };",
        "const double = (n) => Iterator.from([n, n]).reduce((a, b) => a + b);",
        # module syntax
        f"{DOUBLE}\nexport {{\n  double\n}};",
        f"{DOUBLE}\nexport {{ double as default, double as twice }};",
        "function twice(n) { return 2 * n; }\nexport {\n  twice as double,\n};",
        "export default function (n) { return 2 * n; }",
        "export default (n) => 2 * n;",
        "export default async function unused() {}\nexport const double = (n) => 2 * n;",
        f"import assert from 'node:assert';\n{DOUBLE}\nassert.strictEqual(double(2), 4);",
        f"import assert, {{ equal as same }} from 'assert';\n{DOUBLE}\nassert(true); same(double(2), 4);",
        f"import * as assert from 'node:assert/strict';\n{DOUBLE}\nassert.deepEqual([double(2)], [4]);",
        f"import {{\n  test,\n  describe\n}} from 'node:test';\n{DOUBLE}\ndescribe('double', () => {{}});",
        f"import './setup.js';\n{DOUBLE}",
        f"export * from './other.js';\n{DOUBLE}",
        "exports.double = (n) => 2 * n;",
        # an example behind the function, which says nothing about the function
        f'{DOUBLE}\nconst assert = require("assert");\nassert.equal(double(2), 4);',
        f"{DOUBLE}\nconsole.log(double(Number(process.argv[2])));",
        f"{DOUBLE}\nif (require.main === module) {{ process.exit(double(0)); }}",
        f"{DOUBLE}\nprocess.exit(0);",
        f'{DOUBLE}\nimport("os"); require("child_process");',
        f"{DOUBLE}\nsetTimeout(() => console.log(double(2)), 10);",
        f'{DOUBLE}\ndocument.querySelector("#out").textContent = double(2);',
        f'{DOUBLE}\nthrow new Error("an example that fails");',
        "const double = (n) => 2 * n;\nundefinedThing();",
    ],
)
def test_javascript_of_today_runs(answer: str) -> None:
    cases = [{"call": "double(3)", "gives": "6"}, {"call": "double(4)", "gives": "8"}]
    prompt = dataclasses.replace(PROMPTS[P], expected={"function": "double", "cases": cases})

    assert grade(prompt, f"```js\n{answer}\n```") == graded(1, ["2 of 2 cases pass"])


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ('throw new Error("before all"); const double = (n) => 2 * n;', "double is not initialized|before all"),
        ('const fs = require("fs");\nconst double = (n) => 2 * n;', "Cannot find module 'fs'|not initialized"),
        ('function double(n) { return require("fs").readFileSync("/etc/passwd").length; }', "Cannot find module 'fs'"),
        ("function double(n) { process.exit(2 * n); }", "process.exit was called"),
        ('import { double } from "lodash";\nexport { double as twice };', "no code that defines double"),
        ("const double = (n) => 2 * n", "SyntaxError"),
    ],
)
def test_what_fails_before_the_function_or_in_it_is_said(answer: str, says: str) -> None:
    prompt = dataclasses.replace(
        PROMPTS[P], expected={"function": "double", "cases": [{"call": "double(3)", "gives": "6"}]}
    )
    broken = answer if "SyntaxError" not in says else f"{answer} }}"
    found = grade(prompt, f"```js\n{broken}\n```")

    assert found.score == 0
    assert re.search(says, " ".join(found.reasons)), found.reasons


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("for (;;) { try { while (true) {} } catch (e) {} }", "interrupted"),
        ('/(a+)+$/.test("a".repeat(40) + "b");', "interrupted"),
        ('new Array(4294967295).join("x");', "out of CPU time|out of memory|interrupted"),
        # which limit it meets first depends on the machine
        ("const a = []; while (true) a.push(new Array(1e6).fill(0));", "out of memory|interrupted"),
    ],
)
def test_hostile_code_around_the_function_is_said_to_be_what_failed(code: str, says: str) -> None:
    found = grade_of(P, f"```js\n{CODE}\n{code}\n```")
    assert found.score == 0
    assert re.search(says, found.reasons[1])


@pytest.mark.parametrize(
    "code",
    [
        'JSON.stringify = () => "45";',
        "Object.prototype.toJSON = () => 45;",
        "Object.prototype.valueOf = Array.prototype.toString = () => 45;",
        "globalThis.console = { log() { throw 1; } }; JSON.parse = () => null;",
    ],
)
def test_code_cannot_replace_what_observes_it(code: str) -> None:
    assert_between(P, f"{code}\nfunction parseDuration() {{ return 44; }}", 0, 0)


def test_a_case_that_never_ends_costs_that_case_alone() -> None:
    slow = CODE.replace("{\n", '{\n  if (text === "0s") for (;;);\n', 1)
    found = grade_of(P, slow)
    assert found.score == pytest.approx(0.89, abs=0.01)
    assert any('parseDuration("0s"): InternalError: interrupted' in reason for reason in found.reasons)


def test_a_case_does_not_see_what_another_one_left_behind() -> None:
    prompt = dataclasses.replace(
        PROMPTS[P],
        expected={
            "function": "next",
            "cases": [{"call": "next()", "gives": "1"}, {"call": "next() + 1", "gives": "2"}],
        },
    )
    assert grade(prompt, "let n = 0; function next() { return ++n; }").score == 1


@pytest.mark.parametrize(
    ("call", "gives", "code", "score"),
    [
        ("f()", "null", "function f() { return undefined; }", 0),
        ("f()", "null", "function f() { return NaN; }", 0),
        ("f()", "1", "function f() { return true; }", 0),
        ("f()", "0.3", "function f() { return 0.1 + 0.2; }", 1),
        ("f()", '{"a": [1, {"b": null}]}', "const f = () => ({ a: [1, { b: null }] });", 1),
        ("f()", '"é\\u0000"', 'const f = () => "é\\0";', 1),
        ("f()", "1", 'const f = () => "x".repeat(1e7);', 0),
        ("f()", "1", "const f = () => { let a = []; for (let i = 0; i < 1500; i++) a = [a]; return a; };", 0),
        ("f()", "1", "const f = () => 1n;", 0),
        ("f()", "1", "const f = () => f;", 0),
    ],
)
def test_results_are_compared_as_json(call: str, gives: str, code: str, score: float) -> None:
    prompt = dataclasses.replace(PROMPTS[P], expected={"function": "f", "cases": [{"call": call, "gives": gives}]})
    assert grade(prompt, code).score == score


def test_threads_grade_side_by_side() -> None:
    answers = {CODE: 1.0, "function parseDuration() { for (;;); }": 0.0, LAX: 0.75, "function parseDuration() {}": 0.0}
    scores: dict[str, float] = {}
    threads = [
        threading.Thread(target=lambda answer=answer: scores.update({answer: grade_of(P, answer).score}))
        for answer in answers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert scores == answers


def test_a_machine_that_starves_the_sandbox_fails_no_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(javascript, "WALL_S", 0.2)
    monkeypatch.setattr(sys, "executable", _executable(tmp_path / "python", "echo ready; exec sleep 60"))
    with pytest.raises(LocalFailure, match="too little CPU time"):
        grade_of(P, CODE)


def test_a_slow_start_takes_no_cpu_time_from_the_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    burn = "import time\nwhile time.process_time() < 2.2: pass\n"
    slow = tmp_path / "sandbox.py"
    shutil.copy(jail.__file__, tmp_path)
    slow.write_text((burn + javascript._SANDBOX.read_text()).replace("from __future__ import annotations\n", ""))
    monkeypatch.setattr(javascript, "_SANDBOX", slow)
    assert grade_of(P, CODE).score == 1


def _executable(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_an_endless_result_fills_no_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shutil.copy(jail.__file__, tmp_path)
    flood = tmp_path / "sandbox.py"
    source = javascript._SANDBOX.read_text()
    flood.write_text(
        source.replace("    source, error =", "    while True: print('x' * 100_000, flush=True)\n    source, error =")
    )
    monkeypatch.setattr(javascript, "_SANDBOX", flood)
    job = json.dumps({"function": "f", "sources": [], "calls": []}).encode()
    output, _ = javascript._sandboxed(job)

    assert 4_000_000 < len(output) <= 4 << 20


@pytest.mark.parametrize("script", ["exit 1", "echo Traceback; exit 1", None])
def test_a_sandbox_that_cannot_start_is_no_fault_of_the_answer(
    script: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    python = tmp_path / "python"
    monkeypatch.setattr(sys, "executable", _executable(python, script) if script else str(python))
    with pytest.raises(LocalFailure, match="sandbox does not start"):
        grade_of(P, CODE)


def test_the_sandbox_sees_no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "dummy-key")
    spy = """echo ready; echo "{\\"error\\": \\"seen: $OPENAI_API_KEY $(/usr/bin/env | tr '\\n' ' ')\\"}\""""
    monkeypatch.setattr(sys, "executable", _executable(tmp_path / "python", spy))
    reason = grade_of(P, CODE).reasons[1]
    assert "seen: " in reason
    assert "dummy-key" not in reason
    assert "OPENAI_API_KEY" not in reason
