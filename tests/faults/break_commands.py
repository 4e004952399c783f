"""Disturb every command at random moments, run it again, and compare what lies there with a run
that nobody disturbed.

    python tests/faults/break_commands.py [--moments N] [--pairs N] [--commands NAME …] [--seed N]

Four faults: a signal (SIGKILL, SIGTERM, SIGINT in turn), a disk that fills up, memory that runs out
(an allocation of Python or PyTorch that fails, or a limit of the process), and a second command on
the same folder. Prints a table and ends with 1 where something was lost, differs, or was
said in other words than one sentence. Each command runs in a fork of this process, which has
imported everything: the moments lie in its work, not in its start.
"""

from __future__ import annotations

import argparse
import errno
import faulthandler
import hashlib
import itertools
import json
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import numpy as np
import tiny
import torch
import zarr

import napari_globalxai as gx
from napari_globalxai.cli import main as run_command_line

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
SIDES = ("--a", "laterality == 'L'", "--b", "laterality == 'R'")
QUICK = ("--steps", "6", "--control-steps", "4", "--controls", "19", "--bootstrap", "20")
COMMANDS = {
    "explain": "explain cohort/cohort.csv --model model/model.yaml --out new --batch-size 4",
    "align": "align cohort/cohort.csv --out aligned --size 32x48",
    "check": "check cohort/cohort.csv --out checked --size 32x48",
    "peppr": ("peppr", "run", "--map", "left", *QUICK),
    "maps": ("maps", "run", "--name", "some", "--where", "laterality == 'L'"),
    "contrast": ("contrast", "run", "--name", "sides", *SIDES, "--permutations", "99"),
    # Before an audit, whose clusters it would look at as well.
    "slices": "slices run",
    "audit": "audit run --permutations 199 --bootstrap 100",
    "sanity": "sanity run --seeds 2 --images 8",
    "stability": "stability run --splits 100 --bootstrap 100",
    "outliers": "outliers run",
    "compare": "compare run other --out compared --permutations 99",
    "card": "card model/resnet.safetensors --out card.yaml --force",
    "report": "report run",
}
# What these write is asked for by the others, or depends on what lies there already.
ALONE = ("explain", "align", "check", "card")
# What no two calls of a command write alike: when, and pictures of it; journals tell the order.
OUT_OF_MEMORY = (
    MemoryError("Unable to allocate 1.00 GiB for an array"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"),
)
TIMES = re.compile(rb'"(started|finished|seconds|written|created)": ("[^"]*"|[\d.]+|null),?')
SKIPPED = (".jsonl", ".png", ".svg", ".html")
LEFTOVER = re.compile(r"\..+\.[a-z0-9_]{8}(\.\w+)?|.*\.partial")
SECONDS = 120


def words(name: str) -> list[str]:
    given = COMMANDS[name]
    return given.split() if isinstance(given, str) else list(given)


def again(name: str) -> list[str]:
    return [*words(name), "--resume"] if name == "explain" else words(name)


def start(
    command: Sequence[str],
    folder: Path,
    full_after: int | None = None,
    most_memory: int | None = None,
    failing: int = 0,
) -> int:
    """Run a command in a fork, in a folder; its words go to a file beside it.

    It gets at most so many bytes more than it has, and one of the errors `OUT_OF_MEMORY` on
    SIGUSR1.
    """
    if pid := os.fork():
        return pid
    status = 99
    try:
        os.chdir(folder)
        log = os.open(folder.with_suffix(f".{os.getpid()}.log"), os.O_WRONLY | os.O_CREAT)
        os.dup2(log, 1)
        os.dup2(log, 2)
        _count_syncs(folder, full_after)
        # Tells where a command hangs.
        faulthandler.register(signal.SIGUSR2, os.fdopen(log, "w"))
        signal.signal(signal.SIGUSR1, lambda *_: _fail(failing))
        began = bytes_of("VmSize")
        if most_memory is not None:
            resource.setrlimit(resource.RLIMIT_AS, (began + most_memory, began + most_memory))
        sys.argv = ["napari-globalxai", *command]
        run_command_line()
    except SystemExit as end:
        status = int(end.code or 0)
        folder.with_suffix(".memory").write_text(str(bytes_of("VmPeak") - began))
    finally:
        sys.stderr.flush()
        os._exit(status)


def _fail(number: int) -> None:
    raise OUT_OF_MEMORY[number % len(OUT_OF_MEMORY)]


def bytes_of(name: str) -> int:
    """Return one of the sizes of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1]) << 10


def _count_syncs(folder: Path, full_after: int | None) -> None:
    """Count what is forced to the disk; from some time on, the disk is full."""
    sync, counted = os.fsync, folder.with_suffix(".syncs")
    calls = [0]

    def fsync(handle: int) -> None:
        calls[0] += 1
        counted.write_text(str(calls[0]))
        if full_after is not None and calls[0] > full_after:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(handle)

    os.fsync = fsync


def end(pid: int, folder: Path) -> tuple[int, str]:
    """Wait for a fork; return its status, below 0 where a signal ended it, and what it said."""
    deadline = time.monotonic() + SECONDS
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            break
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGUSR2)
            time.sleep(1)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return 98, f"hung: {folder.with_suffix(f'.{pid}.log').read_text(errors='replace')}"
        time.sleep(0.005)
    log = folder.with_suffix(f".{pid}.log")
    said = log.read_text(errors="replace") if log.exists() else ""
    log.unlink(missing_ok=True)
    return os.waitstatus_to_exitcode(status), said


def digest(path: Path) -> str:
    if path.name == "zarr.json":
        return ""
    return hashlib.sha256(TIMES.sub(b"", path.read_bytes())).hexdigest()


def contents(folder: Path) -> dict[str, str]:
    """Return a digest of each file that is a result, arrays as Zarr reads them."""
    found = {}
    arrays = [path.parent for path in folder.rglob("zarr.json") if is_array(path)]
    for path in arrays:
        values = zarr.open_array(path, mode="r")[:]
        found[path.relative_to(folder).as_posix()] = hashlib.sha256(values.tobytes()).hexdigest()
    for path in sorted(folder.rglob("*")):
        inside = any(path.is_relative_to(array) for array in arrays)
        plain = path.is_file() and not inside and path.suffix not in SKIPPED
        if plain and not LEFTOVER.fullmatch(path.name) and path.name != "report.json":
            found[path.relative_to(folder).as_posix()] = digest(path)
    return found


def is_array(path: Path) -> bool:
    return json.loads(path.read_bytes())["node_type"] == "array"


@dataclass
class Trials:
    """Disturbed commands, and what was wrong."""

    folder: Path
    before: Path
    seconds: dict[str, float] = field(default_factory=dict)
    written: dict[str, set[str]] = field(default_factory=dict)
    expected: dict[str, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def prepare(self, names: Sequence[str]) -> None:
        """Make two runs, then the commands once, undisturbed."""
        self.before.mkdir(parents=True)
        table = tiny.write_cohort(self.before / "cohort", 48)
        model = tiny.write_resnet(self.before / "model")
        for name in ("run", "other"):
            gx.explain(table, model, self.before / name, device="cpu", batch_size=4)
        self.reset()
        for name in names:
            known, began = contents(self.folder), time.monotonic()
            status, said = end(start(words(name), self.folder), self.folder)
            if status:
                raise SystemExit(f"{name} failed undisturbed: {said}")
            self.seconds[name] = time.monotonic() - began
            found = contents(self.folder)
            self.written[name] = {key for key in found if found[key] != known.get(key)}
            self.expected |= found

    def reset(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self.before, self.folder)

    def check(self, what: str, names: Sequence[str], *, repeat: bool = True) -> None:
        """Give the commands again; all that they write must be as it was undisturbed."""
        for name in names if repeat else ():
            status, said = end(start(again(name), self.folder), self.folder)
            if status:
                self.wrong.append(f"{what}: again, it ended with {status}: {said[-300:]}")
                return
        found = contents(self.folder)
        wanted = set().union(*(self.written[name] for name in names)) - {"run/run.json"}
        other = [key for key in sorted(wanted | set(found)) if not self._same(key, found, wanted)]
        if other:
            self.wrong.append(f"{what}: other bits in {', '.join(other[:4])}")

    def _same(self, key: str, found: dict[str, str], wanted: set[str]) -> bool:
        return found.get(key, None if key in wanted else self.expected.get(key)) == (
            self.expected.get(key)
        )

    def said_one_sentence(self, what: str, status: int, said: str, allowed: set[int]) -> None:
        lines = [line for line in said.splitlines() if line.startswith("napari-globalxai: ")]
        if status not in allowed or "Traceback" in said or (status > 0 and len(lines) != 1):
            self.wrong.append(f"{what}: ended with {status} and said {said[-4000:]!r}")

    def disturb(self, name: str, number: signal.Signals, after: float) -> bool:
        """Send a signal; return whether the command had not ended before."""
        self.reset()
        pid = start(words(name), self.folder)
        time.sleep(after)
        os.kill(pid, number)
        status, said = end(pid, self.folder)
        what = f"{name}, {number.name} after {after:.2f} s"
        # Where the command has caught the signal in its last moments, it has ended well.
        self.said_one_sentence(what, status, said, {0, -number, 128 + number})
        self.check(what, [name])
        return status != 0

    def measure(self, name: str) -> tuple[int, int]:
        """Return how often a command forces to the disk, and how many bytes it takes.

        It begins where the disturbed ones do: where others have left answers it is more, as a
        report has more figures.
        """
        self.reset()
        status, said = end(start(words(name), self.folder), self.folder)
        if status:
            self.wrong.append(f"{name} alone: ended with {status}: {said[-300:]}")
        syncs, memory = (self.folder.with_suffix(end) for end in (".syncs", ".memory"))
        return int(syncs.read_text()), int(memory.read_text())

    def fail_allocation(self, name: str, number: int, after: float) -> None:
        """Let an allocation fail some time after the start."""
        self.reset()
        pid = start(words(name), self.folder, failing=number)
        time.sleep(after)
        os.kill(pid, signal.SIGUSR1)
        kind = type(OUT_OF_MEMORY[number % len(OUT_OF_MEMORY)]).__name__
        self._end_without_memory(f"{name}, {kind} after {after:.2f} s", name, pid)

    def limit_memory(self, name: str, most: int) -> None:
        """Give a process less memory than it needs."""
        self.reset()
        pid = start(words(name), self.folder, most_memory=most)
        self._end_without_memory(f"{name} with {most >> 20} MiB", name, pid)

    def _end_without_memory(self, what: str, name: str, pid: int) -> None:
        status, said = end(pid, self.folder)
        self.said_one_sentence(what, status, said, {0, 2})
        if status == 2 and "memory" not in said:
            self.wrong.append(f"{what}: said {said[-300:]!r}")
        # What it went on without must be there without being asked for again.
        self.check(what, [name], repeat=status != 0)

    def fill_disk(self, name: str, after: int, syncs: int) -> None:
        self.reset()
        status, said = end(start(words(name), self.folder, after), self.folder)
        what = f"{name}, disk full after {after} of {syncs}"
        self.said_one_sentence(what, status, said, {2})
        if "disk is full" not in said:
            self.wrong.append(f"{what}: said {said[-300:]!r}")
        self.check(what, [name])

    def break_command(self, name: str, asked: argparse.Namespace, rng: np.random.Generator) -> int:
        """Disturb a command in every way; return how many signals came before its end."""
        seconds = self.seconds[name]
        hits = sum(
            self.disturb(name, SIGNALS[at % 3], rng.uniform(0, seconds))
            for at in range(asked.moments)
        )
        if asked.full or asked.memory:
            syncs, memory = self.measure(name)
            for part in np.linspace(0, 1, asked.full):
                self.fill_disk(name, int(part * (syncs - 1)), syncs)
            for number in range(asked.memory):
                if number % 2:
                    self.limit_memory(name, int(rng.uniform(0.05, 0.95) * memory))
                else:
                    self.fail_allocation(name, number // 2, rng.uniform(0, seconds))
        return hits

    def together(self, one: str, other: str) -> None:
        self.reset()
        pids = [start(words(name), self.folder) for name in (one, other)]
        for name, pid in zip((one, other), pids, strict=True):
            status, said = end(pid, self.folder)
            self.said_one_sentence(f"{name} beside {one} and {other}", status, said, {0, 2})
        self.check(f"{one} beside {other}", sorted({one, other}, key=list(COMMANDS).index))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=9, help="signals a command")
    parser.add_argument("--full", type=int, default=3, help="full disks a command")
    parser.add_argument("--memory", type=int, default=4, help="lacks of memory a command")
    parser.add_argument("--pairs", type=int, help="pairs of commands, by default all")
    parser.add_argument("--skip", type=int, default=0, help="so many of the pairs come first")
    parser.add_argument("--commands", nargs="*", default=list(COMMANDS), choices=list(COMMANDS))
    parser.add_argument("--seed", type=int, help="by default another one each time")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(asked.seed)
    pairs = list(itertools.combinations_with_replacement(asked.commands, 2))
    chosen = rng.permutation(len(pairs))[asked.skip :][: asked.pairs]
    with tempfile.TemporaryDirectory() as place:
        trials = Trials(Path(place) / "work", Path(place) / "before")
        # In a fork as well: what was computed here could not be forked from.
        if pid := os.fork():
            if os.waitpid(pid, 0)[1]:
                raise SystemExit(1)
        else:
            _prepare_and_leave(trials, asked.commands, Path(place) / "known.json")
        trials = _prepared(trials, Path(place) / "known.json")
        print("| command | signals in time | full disks | lacks of memory |")
        print("| --- | --- | --- | --- |")
        for name in asked.commands:
            hits = trials.break_command(name, asked, rng)
            counts = f"{hits} of {asked.moments} | {asked.full} | {asked.memory}"
            print(f"| `{name}` | {counts} |", flush=True)
        for at in chosen:
            trials.together(*pairs[at])
        print(f"\n{len(chosen)} of {len(pairs)} pairs of commands on one folder\n")
    for each in trials.wrong:
        print(f"WRONG: {each}")
    sys.exit(bool(trials.wrong))


def _prepare_and_leave(trials: Trials, names: Sequence[str], known: Path) -> None:
    try:
        trials.prepare(names)
        facts = {key: getattr(trials, key) for key in ("seconds", "expected")}
        written = {name: sorted(files) for name, files in trials.written.items()}
        known.write_text(json.dumps({**facts, "written": written}))
        status = 0
    except SystemExit as why:
        print(why, file=sys.stderr)
        status = 1
    os._exit(status)


def _prepared(trials: Trials, known: Path) -> Trials:
    facts = json.loads(known.read_text())
    facts["written"] = {name: set(files) for name, files in facts["written"].items()}
    return Trials(trials.folder, trials.before, **facts)


if __name__ == "__main__":
    main()
