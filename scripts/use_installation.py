"""Use an installed napari-globalxai as the README says: explain, peppr, report, on a few images.

    python scripts/use_installation.py COMMAND FOLDER

COMMAND is the installation's ``napari-globalxai``; FOLDER is made and filled with the results.
"""

import csv
import os
import subprocess
import sys
from pathlib import Path

SAMPLE = Path(__file__).resolve().parent.parent / "sample_data"
# The first rows hold each label with and without.
IMAGES = 24


def write_cohort(to: Path) -> None:
    """Write a table of the first images of the sample cohort, with absolute paths."""
    with (SAMPLE / "cohort" / "cohort.csv").open(newline="") as file:
        rows = list(csv.reader(file))[: IMAGES + 1]
    for row in rows[1:]:
        row[0] = str(SAMPLE / "cohort" / row[0])
    with to.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def use(command: str, folder: Path) -> None:
    """Run the main job."""
    folder.mkdir(parents=True)
    write_cohort(folder / "cohort.csv")
    # From elsewhere and without the checkout on the path, so that the installed package is used.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*arguments: str) -> None:
        subprocess.run([command, *arguments], cwd=folder, env=environment, check=True)

    model = str(SAMPLE / "models" / "honest.yaml")
    # Strict: images that fail make the exit status 1.
    run("explain", "cohort.csv", "--model", model, "--out", "run", "--device", "cpu", "--strict")
    run("peppr", "run", "--map", "overall", "--steps", "4", "--controls", "1", "--device", "cpu")
    run("report", "run")
    if not (folder / "run" / "report.html").is_file():
        sys.exit("There is no report.")


if __name__ == "__main__":
    use(sys.argv[1], Path(sys.argv[2]))
