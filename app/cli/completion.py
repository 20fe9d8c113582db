"""tooloo completion: what makes a shell complete commands, options and names."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import get_completion_class

from app.cli.terminal import give, say

#: where each shell reads it: bash and fish look for a file of this name, zsh is told by a line
FILES = {
    "bash": Path(".local/share/bash-completion/completions/tooloo"),
    "zsh": Path(".zfunc/_tooloo"),
    "fish": Path(".config/fish/completions/tooloo.fish"),
}
AFTER = {
    "bash": "open a new shell (it needs the package bash-completion)",
    "zsh": "add `fpath+=~/.zfunc; autoload -Uz compinit; compinit` to ~/.zshrc, and open a new shell",
    "fish": "open a new shell",
}


@click.command()
@click.argument("shell", type=click.Choice(list(FILES)))
@click.option("--install", is_flag=True, help="Write it where the shell looks for it, instead of printing it.")
def completion(shell: str, install: bool) -> None:
    """Complete commands, options, providers, models, prompts and paths of the config.

    \b
    Example:  tooloo completion bash --install
              tooloo completion fish > ~/.config/fish/completions/tooloo.fish
    """
    from app.cli.main import cli

    made = get_completion_class(shell)
    assert made is not None  # click has all three
    source = made(cli, {}, "tooloo", "_TOOLOO_COMPLETE").source()
    if not install:
        give(source)
        return
    file = Path.home() / FILES[shell]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(source)
    say(f"written: {file}; {AFTER[shell]}")
