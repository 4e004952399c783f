"""Feed every reader changed files for a fixed time.

    PYTHONPATH=tests python tests/fuzz/by_hand.py [--seconds 600] [--targets NAME …] [--seed N]

Prints what escaped: the reader, the file's name, its bytes and the error. Add it to `finds.py`.
"""

from __future__ import annotations

import argparse
import random
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from fuzz import answers, targets
from fuzz.changes import changed
from hypothesis import HealthCheck, Phase, given, seed, settings

ONCE = settings(
    max_examples=25, database=None, deadline=None, phases=[Phase.generate],
    suppress_health_check=list(HealthCheck), print_blob=False,
)  # fmt: skip
SLOW = 10


def feeders() -> dict[str, list[tuple[str, bytes, bool, Callable[[str, bytes], None]]]]:
    """Return by reader: a whole file's name and content, whether it is text, what it goes to."""
    found = {}
    for reader, target in targets.TARGETS.items():

        def give(name: str, content: bytes, target: targets.Target = target) -> None:
            targets.try_file(target, name, content)

        found[reader] = [
            (name, whole, target.is_text, give) for name, whole in target.seeds.items()
        ]
    run = targets.finished_run()
    found["run"] = [
        (name, (run / name).read_bytes(), name.endswith(".json"), targets.try_run)
        for name in targets.files_of_run()
    ]
    answered = answers.answered_run()
    found["answers"] = [
        (name, (answered / name).read_bytes(), name.endswith(".json"), answers.try_answers)
        for name in answers.files_of_answers()
    ]
    return found


@dataclass
class Once:
    """Gives a reader one file after another, and prints what has not escaped before."""

    reader: str
    name: str
    give: Callable[[str, bytes], None]
    tried: Counter[str]
    seen: set[str]

    def try_content(self, content: bytes) -> None:
        self.tried[self.reader] += 1
        began = time.process_time()
        why = place = ""
        try:
            self.give(self.name, content)
        except Exception as error:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            why = f"{type(error).__name__}: {str(error)[:200]}"
            place = f"{frame.name}:{frame.lineno}"
        if (took := time.process_time() - began) > SLOW:
            why, place = f"took {took:.0f} s", self.name
        if why and (key := f"{self.reader} {why[:20]} {place}") not in self.seen:
            self.seen.add(key)
            print(f"{self.reader} {self.name} {place} {why}\n    {content[:3000]!r}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--targets", nargs="*", default=[*targets.TARGETS, "run", "answers"])
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    known = feeders()
    chosen = [each for reader in asked.targets for each in known[reader]]
    names = [reader for reader in asked.targets for _ in known[reader]]
    tried: Counter[str] = Counter()
    seen: set[str] = set()
    end, turn = time.monotonic() + asked.seconds, 0
    while time.monotonic() < end:
        reader, (name, whole, is_text, give) = names[turn % len(names)], chosen[turn % len(names)]

        once = Once(reader, name, give, tried, seen)
        seed(asked.seed + turn)(ONCE(given(content=changed(whole, is_text))(once.try_content)))()
        turn += 1
    print(f"seed {asked.seed}: {dict(tried)}; {len(seen)} escaped")


if __name__ == "__main__":
    main()
