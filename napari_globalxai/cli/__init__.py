"""The command line: it parses, calls the Python API and prints. It computes nothing.

Heavy packages are imported inside the commands, so that ``--help`` answers at once.
"""

from __future__ import annotations

import sys

import typer

from napari_globalxai.cli.commands import app
from napari_globalxai.errors import Cancelled, InputError

_STOPPED = 130  # what shells expect after Ctrl-C, and what typer makes of it


def main() -> None:
    """Run the command line; an error that the user can mend is one line on stderr."""
    try:
        # Left to itself, typer frames usage errors in a box and says nothing on Ctrl-C.
        status = app(standalone_mode=False)
    except InputError as why:
        typer.echo(f"napari-globalxai: {why}", err=True)
        sys.exit(2)
    except Cancelled:
        status = _STOPPED
    except Exception as why:
        # The class of usage errors has moved between releases of typer.
        if not hasattr(why, "format_message"):
            raise
        if message := " ".join(why.format_message().split()):
            typer.echo(f"napari-globalxai: {message.rstrip('.')}; try --help.", err=True)
        sys.exit(2)
    if status == _STOPPED:
        typer.echo("napari-globalxai: stopped; go on with --resume.", err=True)
    sys.exit(status)
