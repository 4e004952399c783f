"""Where results lie: a path of this machine, or an address of a store such as ``s3://bucket/run``.

An address is a `upath.UPath`, which does what a path does; only what differs, such as appending,
which no object store knows, asks `is_remote`.
"""

from __future__ import annotations

import io
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from napari_globalxai.errors import InputError

# Of two letters or more: one is a drive of Windows. A path has lost one of two slashes.
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/{1,3}([^/].*)")
_LOCAL = ("file", "local")
# Stores that their owner gave access to. What reaches any machine of the net is none: a table or a
# run of somebody else's could make us ask there.
_STORES = ("abfs", "abfss", "adl", "az", "gcs", "gs", "memory", "oci", "s3", "s3a")
# Of those, what the person at the keyboard has named in this process: kind and bucket.
_NAMED: set[tuple[str, str]] = set()


def is_remote(path: object) -> bool:
    """Return whether a place is an address, not a path of this machine."""
    return not isinstance(path, str | Path)


def is_address(text: str) -> bool:
    """Return whether a text is an address with both its slashes, such as ``s3://bucket/x.png``."""
    return "://" in text and _ADDRESS.fullmatch(text) is not None


def is_in_store_of(address: str, root: Path) -> bool:
    """Return whether an address lies in the store, and its bucket, that another place lies in."""
    if not is_remote(root):
        return False
    return _store(address) == _store(str(root))


def name_store(path: Path) -> None:
    """Note that a person named a place: where it is an address, its store may be asked for more."""
    if is_remote(path):
        _NAMED.add(_store(str(path)))


def unnamed_store(path: Path, beside: Path) -> str | None:
    """Return the store that a place lies in, where a file names it and no person did, else None."""
    if not is_remote(path) or is_in_store_of(str(path), beside) or _store(str(path)) in _NAMED:
        return None
    return "{}://{}".format(*_store(str(path)))


def check_named(path: Path, beside: Path) -> None:
    """Refuse to ask a store that a file names and no person did.

    Parameters
    ----------
    path : pathlib.Path
        What the file names; a path of this machine passes.
    beside : pathlib.Path
        Where the file lies: of a store that it lies in, more may be asked.

    Raises
    ------
    InputError
        When it is an address of another store.
    """
    store = unnamed_store(path, beside)
    if store is None:
        return
    raise InputError(
        f"{path}: is in a store that {beside} names and you did not, so it was not asked; if it "
        f"may be, name it: view --image-store {store}, or native_image(…, store={store!r})."
    )


def _store(address: str) -> tuple[str, str]:
    scheme, _, rest = address.partition("://")
    return scheme.lower(), rest.partition("/")[0]


def place(path: str | Path) -> Path:
    """Return a path, or an address, as whoever wrote it meant it.

    Parameters
    ----------
    path : str or pathlib.Path
        A path, or an address of any store that fsspec opens; also one that was taken for a path.

    Raises
    ------
    InputError
        When what opens such addresses is not installed, or they are of no store.
    """
    if is_remote(path):
        return cast(Path, path)
    found = _ADDRESS.fullmatch(Path(path).as_posix() if isinstance(path, Path) else path)
    if found is None:
        return Path(path)
    scheme, rest = found[1].lower(), found[2]
    if scheme not in (*_LOCAL, *_STORES) and Path(f"{found[1]}:").is_dir():
        # A folder of such a name, which a relative path may begin with.
        return Path(path)
    if scheme in _LOCAL:
        return Path("/", rest)
    try:
        if scheme not in _STORES:
            raise ValueError(scheme)
        from upath import UPath

        # Other processes write beside this one, so that what a listing told may be past.
        address = UPath(f"{scheme}://{rest}", use_listings_cache=False)
        # Opens it, and so imports what its kind needs.
        _ = address.fs
    except (ImportError, ValueError) as why:
        raise InputError(
            f"{scheme}://{rest}: addresses of this kind cannot be opened here; give one of a "
            f"store ({', '.join(_STORES)}) with napari-globalxai[s3] or what fsspec asks for "
            "installed, or a folder."
        ) from why
    return cast(Path, address)


def local_path(path: str | Path, what: str) -> Path:
    """Return a path of this machine, where something is read that is read from nowhere else.

    Parameters
    ----------
    path : str or pathlib.Path
        The path.
    what : str
        What lies there, such as ``the cohort table``.

    Raises
    ------
    InputError
        When it is an address.
    """
    found = place(path)
    if is_remote(found):
        raise InputError(
            f"{found}: {what} is read from a path of this machine, not from an address; mount the "
            "store, or copy it."
        )
    return found


@contextmanager
def local_file(path: str | Path) -> Iterator[Path]:
    """Give a file as libraries take it that know no addresses: itself, or a copy of an address.

    Raises
    ------
    InputError
        When a store cannot be asked; what the block says of a copy is said of its address.
    """
    found = place(path)
    if not is_remote(found):
        yield found
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, found.name)
        try:
            if found.is_file():
                copy.write_bytes(found.read_bytes())
        # Each kind of store has errors of its own, and a library's beneath them.
        except Exception as why:
            reason = " ".join(str(why).split()).rstrip(".") or type(why).__name__
            raise InputError(f"{found}: cannot be read ({reason}); mend the address.") from why
        try:
            yield copy
        except InputError as why:
            raise InputError(str(why).replace(str(copy), str(found))) from why


def readable(path: Path) -> Any:
    """Return what libraries read that know files but no addresses: the path, or all its bytes.

    The path is a whole one: of one that begins with ``~`` some make another.
    """
    return io.BytesIO(path.read_bytes()) if is_remote(path) else path.absolute()


def write_new(path: Path, content: bytes) -> None:
    """Write an address that must not exist yet, in one step as far as its store can.

    Raises
    ------
    FileExistsError
        When it exists.
    """
    address: Any = path
    address.fs.pipe_file(address.path, content, mode="create")


def upload(file: Path, path: Path) -> None:
    """Put a file of this machine in the place of an address, whole."""
    address: Any = path
    address.fs.put_file(str(file), address.path)


def move(path: Path, to: Path) -> None:
    """Move a folder to another name beside it."""
    if is_remote(path):
        one, other = cast(Any, path), cast(Any, to)
        one.fs.mv(one.path, other.path, recursive=True)
    else:
        path.rename(to)


def remove_tree(path: Path) -> None:
    """Delete a folder with all that is in it, if it is there."""
    if is_remote(path):
        address: Any = path
        if address.exists():
            address.fs.rm(address.path, recursive=True)
    else:
        shutil.rmtree(path, ignore_errors=True)
