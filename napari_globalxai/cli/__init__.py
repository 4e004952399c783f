"""The command line: it parses, calls the Python API and prints. It computes nothing.

Heavy packages are imported inside the commands, so that ``--help`` answers at once.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import threading
import traceback
from types import FrameType

from napari_globalxai.cli.commands import app
from napari_globalxai.cli.printing import complain
from napari_globalxai.errors import Cancelled, InputError, fault_of_the_system, is_out_of_memory

_STOPPED = 130  # what shells expect after Ctrl-C, and what typer makes of it
_AGAIN = "what was finished is kept: give the same command again to go on"
_HOW_TO_GO_ON = {"explain": "go on with --resume"}


def main() -> None:
    """Run the command line; an error that the user can mend is one line on stderr."""
    command = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    if (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    ):
        signal.signal(signal.SIGINT, _stop)
    try:
        # Left to itself, typer frames usage errors in a box and says nothing on Ctrl-C.
        status = app(standalone_mode=False)
    except InputError as why:
        complain(str(why))
        sys.exit(2)
    # Typer itself sees Ctrl-C only once a command is under way.
    except (Cancelled, KeyboardInterrupt):
        status = _STOPPED
    except Exception as why:
        # The class of usage errors has moved between releases of typer.
        if not hasattr(why, "format_message"):
            sys.exit(_say_unforeseen(why))
        if message := " ".join(why.format_message().split()):
            complain(f"{message.rstrip('.')}; try --help.")
        sys.exit(2)
    if status == _STOPPED:
        complain(f"stopped; {_HOW_TO_GO_ON.get(command, _AGAIN)}.")
    sys.exit(status)


def _stop(number: int, frame: FrameType | None) -> None:
    """End as after any Ctrl-C, but without a word from what it left half made."""
    sys.unraisablehook = lambda _: None
    signal.default_int_handler(number, frame)


def _say_unforeseen(why: Exception) -> int:
    """Say what went wrong in a sentence, and return the exit status."""
    text = " ".join(str(why).split())[:200].rstrip(".")
    if is_out_of_memory(why):
        asked = f" ({text})" if text else ""
        complain(
            f"there is not enough memory{asked}; close other programs, or give a smaller "
            "--batch-size; what was finished is kept: go on with the same command, explain's with "
            "--resume."
        )
        return 2
    if isinstance(why, OSError) and (reason := fault_of_the_system(why)):
        complain(reason)
        return 2
    complain(f"failed unexpectedly ({type(why).__name__}: {text}); {_keep_details(why)}")
    return 1


def _keep_details(why: Exception) -> str:
    """Write a traceback to a file, and say where it is, or that nothing could be written."""
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="napari-globalxai-", suffix=".log", delete=False, encoding="utf-8"
        ) as log:
            traceback.print_exception(why, file=log)
    except OSError as refused:
        place = traceback.extract_tb(why.__traceback__)[-1]
        return (
            f"no details could be written ({refused.strerror}), please report "
            f"{place.name}:{place.lineno}."
        )
    return f"the details are in {log.name}, please report them."
