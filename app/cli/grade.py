"""tooloo grade: what an answer would get, and why, before a round asks anybody."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from app import settings
from app.cli import names
from app.cli.main import print_json
from app.cli.terminal import say
from app.config_files import load_prompts
from app.domain import grading
from app.domain.catalog import Prompt
from app.domain.grading.text import readable

#: characters of a file that are read: more than any grader looks at
MOST_CHARS = 1_000_000


@click.command()
@click.argument("case", shell_complete=names.prompts)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="The grade as JSON.")
def grade(case: str, file: Path, *, as_json: bool) -> None:
    """Grade an answer to a prompt of config/, and say why. FILE is - for what is typed or piped in.

    \b
    Example:  tooloo grade simple-qa answer.txt
              echo 43.6 minutes | tooloo grade maths-problem -
    """
    prompt = _prompt(case)
    answer = _read(file)
    found = grading.grade(prompt, answer)
    if as_json:
        print_json({"case": case, "grader": prompt.grader, "grade": found.score, "reasons": list(found.reasons)})
        return
    say(f"{found.score:.3f}  {case}, by the grader {prompt.grader}")
    for reason in found.reasons:
        say(f"  {reason}")
    whole = len(answer.strip())
    if (left := whole - len(readable(answer))) > 0:
        say(f"  {left} of {whole} characters are no part of the answer (thinking, or beyond what is graded)")


def _prompt(case: str) -> Prompt:
    prompts = load_prompts(settings.load().config_dir)
    found = next((prompt for prompt in prompts if prompt.id == case), None)
    if found is None:
        raise click.BadParameter(
            f"unknown case {case!r}; known are: {', '.join(prompt.id for prompt in prompts)}", param_hint="CASE"
        )
    return found


def _read(file: Path) -> str:
    if str(file) == "-":
        return sys.stdin.read(MOST_CHARS)
    with file.open(encoding="utf-8", errors="replace") as opened:
        return opened.read(MOST_CHARS)
