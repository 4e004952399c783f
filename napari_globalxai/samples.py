"""Where the bundled phantom cohort lies."""

from __future__ import annotations

from pathlib import Path

from napari_globalxai.errors import InputError

_PACKAGE = Path(__file__).parent


def sample_folder() -> Path:
    """Return the folder of the sample data: inside a wheel's package, or beside it in a checkout.

    Raises
    ------
    InputError
        When the package was installed without the sample data.
    """
    for folder in (_PACKAGE / "sample_data", _PACKAGE.parent / "sample_data"):
        if (folder / "cohort" / "cohort.csv").is_file():
            return folder
    raise InputError("The sample data are not part of this installation; install the wheel anew.")
