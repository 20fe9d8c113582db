"""tooloo cases: benchmark cases of one's own, in files of config/cases."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import click

from app import settings
from app.cli import names
from app.cli.client import call
from app.cli.main import print_json
from app.cli.terminal import give, say
from app.config_cases import case_of, line_of, load_cases
from app.config_files import load_prompts
from app.domain import grading
from app.domain.catalog import Prompt
from app.errors import ConfigError

#: columns of a CSV that are fields of the case; the others are fields of `expected`
_FIELDS = ("id", "text", "grader", "system", "category", "task_type", "max_tokens", "tags", "enabled")


@click.group()
def cases() -> None:
    """Cases of your own: what rounds ask beside the standard prompts, from config/cases/*.jsonl."""


@cases.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def list_cases(*, as_json: bool) -> None:
    """Show every case, with its grader and tags.

    \b
    Example:  tooloo cases list
    """
    found = load_cases(settings.load().config_dir)
    if as_json:
        print_json([_shown(case) for case in found])
        return
    for case in found:
        notes = [case.grader, *case.tags] + ([] if case.enabled else ["switched off"])
        say(f"{case.id}  {case.text.splitlines()[0][:60]}  [{', '.join(notes)}]")
    say(f"{len(found)} cases; rounds of processes that were started before a change still ask the old ones")


@cases.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def import_cases(file: Path) -> None:
    """Check the cases of a .jsonl or .csv file, and add all of them to config/cases, or none.

    A CSV has a header with id, text and grader; every column that is no field of a case is one of what the grader
    expects (`label`, `answer`; a list as JSON). Without id, cases are numbered.

    \b
    Example:  tooloo cases import support.csv
    """
    folder = settings.load().config_dir
    lines = _of_csv(file) if file.suffix == ".csv" else _of_jsonl(file)
    known = {prompt.id for prompt in load_prompts(folder)}
    for number, line in lines:
        case = case_of(line, f"{file}:{number}")
        if case.id in known:
            raise ConfigError(f"{file}:{number}: id: {case.id!r} is there already", field="id")
        known.add(case.id)
    target = folder / "cases" / f"{file.stem}.jsonl"
    target.parent.mkdir(exist_ok=True)
    with target.open("a", encoding="utf-8") as opened:
        opened.writelines(f"{line}\n" for _, line in lines)
    say(f"{len(lines)} cases added to {target}; start workers and API anew to have them asked")


@cases.command("export")
def export_cases() -> None:
    """Print every case as a line of JSON, as `import` takes them.

    \b
    Example:  tooloo cases export > cases.jsonl
    """
    for case in load_cases(settings.load().config_dir):
        give(line_of(_shown(case)))


@cases.command("remove")
@click.argument("case")
def remove_case(case: str) -> None:
    """Take a case out of its file.

    \b
    Example:  tooloo cases remove support-3
    """
    for path in sorted((settings.load().config_dir / "cases").glob("*.jsonl")):
        lines = path.read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if not line.strip() or json.loads(line).get("id") != case]
        if len(kept) < len(lines):
            path.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
            say(f"{case} removed from {path}")
            return
    raise click.BadParameter(f"there is no case {case!r}", param_hint="CASE")


@cases.command("try")
@click.argument("case")
@click.option("--model", default=None, shell_complete=names.models, help="Only this model, as PROVIDER/MODEL.")
def try_case(case: str, model: str | None) -> None:
    """Ask one case now, of the best provider or of one model, and grade the answer.

    \b
    Example:  tooloo cases try support-3 --model deepseek/deepseek-chat
    """
    prompt = next((each for each in load_cases(settings.load().config_dir) if each.id == case), None)
    if prompt is None:
        raise click.BadParameter(f"there is no case {case!r}", param_hint="CASE")
    reply = call("POST", "/api/v1/chat", _asked(prompt, model), timeout_s=120)
    give(reply["content"])
    if reply["simulated"]:
        say("— not applicable: a simulated provider cannot answer a case of your own", err=True)
        return
    found = grading.grade(prompt, reply["content"])
    say(f"— {found.score:.3f} · {reply['provider']}/{reply['model']} · {'; '.join(found.reasons)}", err=True)


def _asked(prompt: Prompt, model: str | None) -> dict[str, Any]:
    said = [("system", prompt.system)] if prompt.system else []
    turns = [{"role": role, "content": text} for role, text in (*said, *prompt.turns, ("user", prompt.text))]
    body: dict[str, Any] = {"messages": turns, "taskType": prompt.task_type.value, "maxTokens": prompt.max_tokens}
    return body | ({"model": model} if model else {})


def _of_jsonl(file: Path) -> list[tuple[int, str]]:
    lines = file.read_text(encoding="utf-8").splitlines()
    return [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]


def _of_csv(file: Path) -> list[tuple[int, str]]:
    with file.open(encoding="utf-8-sig", newline="") as opened:
        rows = csv.DictReader(opened)
        return [(rows.line_num, line_of(_case(row, f"{file.stem}-{place}"))) for place, row in enumerate(rows, start=1)]


def _case(row: dict[str, str], name: str) -> dict[str, Any]:
    """A row as a case; empty cells say nothing."""
    said = {key.strip(): value for key, value in row.items() if key and value and value.strip()}
    case: dict[str, Any] = {key: _value(key, said[key]) for key in _FIELDS if key in said}
    expected = {key: _value(key, value) for key, value in said.items() if key not in _FIELDS}
    return {"id": name.lower().replace(" ", "-")} | case | {"expected": expected}


def _value(key: str, text: str) -> Any:
    """Lists, objects, numbers and truth values are written as JSON; tags stand between blanks."""
    if key == "tags":
        return text.split()
    if key in ("text", "id", "grader", "system", "category"):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _shown(case: Prompt) -> dict[str, Any]:
    """A case as it is written; what has its default is left out."""
    said: dict[str, Any] = {"id": case.id, "text": case.text, "grader": case.grader, "expected": case.expected}
    said |= {"system": case.system} if case.system else {}
    said |= {"turns": [{"role": role, "text": text} for role, text in case.turns]} if case.turns else {}
    said |= {"category": case.category, "task_type": case.task_type.value, "max_tokens": case.max_tokens}
    return said | ({"tags": list(case.tags)} if case.tags else {}) | ({} if case.enabled else {"enabled": False})
