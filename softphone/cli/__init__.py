"""The command line: `softphone call`, `answer`, `register`, `lab`, `demo`, `doctor` and more.

Exit codes: 0 done, 1 failed (a far end's refusal too), 2 usage, 3 refused by us (security, or a
rule of the user's), 4 a measurement was invalid or judged nothing, 130 interrupted.

Commands and options are defined in `commands` and the `options` modules of the subpackages;
what carries a command out is loaded when it is run.  Only this package imports typer and rich.
Phones are in `softphone.phone`, load runs in `softphone.load`, the server in `softphone.lab`,
certificates in `softphone.trust`.

No standard: the options and the JSON objects for scripts are its own.
"""

# Not even `__future__` is loaded before `main` handles Ctrl-C.
import sys

__all__ = ["Interrupted", "main"]


class Interrupted(SystemExit):
    """Ctrl-C while a command still loads: nothing has begun that would need cleaning up."""


def main() -> None:
    """The entry point of the `softphone` command."""
    try:
        # Slow imports happen here, where Ctrl-C is reported in one word instead of a traceback.
        import signal

        if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            return _run_command_line()
        signal.signal(signal.SIGINT, _interrupt)
        try:
            _run_command_line()
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)
    except (KeyboardInterrupt, Interrupted):
        print("interrupted", file=sys.stderr)
        sys.exit(130)


def _run_command_line() -> None:
    import gc

    # Objects made by imports stay alive: looking for garbage among them costs a tenth of --help.
    gc.disable()
    from softphone.cli.commands import main as run_command_line
    from softphone.cli.console.symbols import replace_unknown_characters

    gc.enable()
    replace_unknown_characters()
    run_command_line()


def _interrupt(number: int, frame: object) -> None:
    # The parser of the command line would turn KeyboardInterrupt into a failure.
    raise Interrupted(130)
