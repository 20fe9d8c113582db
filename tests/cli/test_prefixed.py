from __future__ import annotations

import io

import click

from app.cli.prefixed import PrefixedLines


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Gone(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_lines_stand_in_columns_behind_the_name_of_their_process() -> None:
    out = io.StringIO()
    lines = PrefixedLines(["api", "worker-1"], out)
    lines.feed("api", b"one\ntwo\r\n")
    lines.feed("worker-1", b"three\n")
    lines.say("four")
    assert out.getvalue() == "api      │ one\napi      │ two\nworker-1 │ three\ntooloo   │ four\n"


def test_a_line_that_comes_in_pieces_is_shown_whole_even_inside_a_character() -> None:
    out = io.StringIO()
    lines = PrefixedLines(["api", "lab"], out)
    start, end = "grün\n".encode()[:3], "grün\n".encode()[3:]
    lines.feed("api", start)
    lines.feed("lab", b"between\n")
    lines.feed("api", end)
    assert out.getvalue() == "lab    │ between\napi    │ grün\n"


def test_a_line_drives_no_terminal() -> None:
    out = io.StringIO()
    lines = PrefixedLines(["api"], out)
    lines.feed("api", b"no answer: \x1b]0;owned\x07 50%\r100%\n")
    lines.say("api\nforged")
    assert out.getvalue() == ("api    │ no answer: \\u001b]0;owned\\u0007 50%\\u000d100%\ntooloo │ api\\nforged\n")


def test_the_last_words_of_a_process_need_no_line_end() -> None:
    out = io.StringIO()
    lines = PrefixedLines(["api"], out)
    lines.feed("api", b"Killed")
    lines.end("api")
    lines.end("api")
    assert out.getvalue() == "api    │ Killed\n"


def test_bytes_that_are_no_text_are_shown_as_such() -> None:
    out = io.StringIO()
    PrefixedLines(["api"], out).feed("api", b"\xff\n")
    assert out.getvalue() == "api    │ �\n"


def test_only_a_terminal_gets_colours() -> None:
    plain, terminal = io.StringIO(), Terminal()
    for out in (plain, terminal):
        PrefixedLines(["api"], out).feed("api", b"x\n")
    assert click.unstyle(terminal.getvalue()) == plain.getvalue() != terminal.getvalue()


def test_a_reader_that_is_gone_is_noticed_and_not_written_to_again() -> None:
    lines = PrefixedLines(["api"], Gone())
    assert not lines.broken
    lines.feed("api", b"x\n")
    assert lines.broken
    lines.say("and again")
