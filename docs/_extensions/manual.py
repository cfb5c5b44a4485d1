"""Manual pages, made from the commands: `make man`, or `python docs/_extensions/manual.py FOLDER`.

One page for `softphone`, and one for each command, as `softphone-call(1)`; for who packages it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]


def roff(text: str) -> str:
    """Text as troff takes it: no line begins a request, and a hyphen can be copied."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return "\n".join(f"\\&{line}" if line[:1] in ".'" else line for line in escaped.split("\n"))


def paragraphs(text: str) -> str:
    """Paragraphs, apart by blank lines; those after `\\b` keep their lines."""
    made = []
    for block in text.strip().split("\n\n"):
        if block.startswith("\b\n"):
            made.append(f".nf\n{roff(block[2:])}\n.fi")
        else:
            made.append(roff(" ".join(block.split())))
    return "\n.PP\n".join(made)


def options(parameters: list[Any]) -> Iterator[str]:
    """One entry for each argument or option."""
    for each in parameters:
        if getattr(each, "hidden", False):
            continue
        if each.param_type_name == "argument":
            head = (each.metavar or each.name).upper()
        else:
            head = ", ".join((*each.opts, *each.secondary_opts))
            flag = each.is_flag or getattr(each, "count", False)
            head += "" if flag else f" {each.metavar or each.name.upper()}"
        yield f".TP\n.B {roff(head)}\n{roff(' '.join((each.help or '').split()))}"


def page(command: Any, name: str, version: str) -> str:
    """One manual page."""
    whole = " ".join((command.help or "").split("\n\n")[0].split())
    lines = [
        f'.TH {roff(name.replace(" ", "-")).upper()} 1 "" "softphone {version}" "softphone"',
        ".SH NAME",
        f"{roff(name.replace(' ', '-'))} \\- {roff(whole.rstrip('.'))}",
        ".SH SYNOPSIS",
    ]
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    shown = [f"{(each.metavar or each.name).upper()}" for each in arguments]
    below = getattr(command, "commands", {})
    shown += ["COMMAND ..."] if below else []
    lines.append(f".B {roff(name)}\n{roff(' '.join(['[OPTIONS]', *shown]))}")
    lines += [".SH DESCRIPTION", paragraphs(command.help or "")]
    entries = list(options(command.params))
    if entries:
        lines += [".SH OPTIONS", *entries]
    if below:
        lines.append(".SH COMMANDS")
        for word, each in below.items():
            sentence = each.get_short_help_str(200)
            lines.append(
                f".TP\n.BR {roff(f'{name}-{word}'.replace(' ', '-'))} (1)\n{roff(sentence)}"
            )
    if command.epilog:
        lines += [".SH NOTES", paragraphs(command.epilog)]
    above = name.rpartition(" ")[0]
    if above:
        lines += [".SH SEE ALSO", f".BR {roff(above.replace(' ', '-'))} (1)"]
    return "\n".join(lines) + "\n"


def pages(command: Any, name: str, version: str) -> Iterator[tuple[str, str]]:
    """The names of the files, and what is in them."""
    if hasattr(command, "make_options"):
        command.make_options()
    yield f"{name.replace(' ', '-')}.1", page(command, name, version)
    for word, each in getattr(command, "commands", {}).items():
        yield from pages(each, f"{name} {word}", version)


def write_pages(folder: Path) -> list[Path]:
    """Write all pages into `folder`/man1; gives their paths."""
    import typer

    from softphone._version import __version__
    from softphone.cli.commands import application

    into = folder / "man1"
    into.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in pages(typer.main.get_command(application), "softphone", __version__):
        path = into / name
        path.write_text(text, encoding="ascii")
        written.append(path)
    return written


if __name__ == "__main__":
    sys.path[:0] = [str(PROJECT), str(PROJECT / "codecs")]
    made = write_pages(Path(sys.argv[1]))
    print(f"{len(made)} pages: MANPATH={made[0].parents[1]} man softphone")
