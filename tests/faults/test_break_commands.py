"""A few of the faults that `break_commands.py` tries by hand, at moments of chance."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("break_commands.py")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither forks nor these signals")
def test_commands_that_are_disturbed_go_on_to_the_same_bits():
    environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parents[2])}
    flags = ["--commands", "explain", "maps", "--moments", "1", "--full", "1", "--memory", "1"]
    done = subprocess.run(
        [sys.executable, SCRIPT, *flags, "--pairs", "1", "--seed", "0"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("of 1 | 1 | 1 |") == 2
