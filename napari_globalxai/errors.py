"""The two exceptions that callers are expected to handle, and faults of the system in words."""

import errno


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message is one sentence that names the file or setting and says how to mend it; the command
    line prints it as it is (exit status 2) and the widgets show it as a notification.
    """


class Cancelled(Exception):  # noqa: N818 - a request by the user, not an error
    """The user asked a long computation to stop; whatever was finished is kept on disk."""


# How libraries say it that have no class of their own for it: PyTorch on any device, the loader of
# libraries, threads.
_NO_MEMORY = ("allocate memory", "out of memory", "can't start new thread")
_FAULTS = {
    errno.ENOSPC: "the disk is full; make room, and go on with the same command, explain's with "
    "--resume",
    errno.EDQUOT: "the quota of the disk is used up; make room, and go on with the same command, "
    "explain's with --resume",
    errno.EROFS: "cannot be written to, the disk is read-only; choose another folder",
    errno.EACCES: "may not be read or written; mend its permissions, or choose another folder",
    errno.EPERM: "may not be read or written; mend its permissions, or choose another folder",
    errno.ENAMETOOLONG: "the name is too long for this disk; choose a shorter one",
    errno.ENOTDIR: "a part of the path is a file, not a folder; choose another one",
    errno.ENOENT: "is gone; put it back, and go on with the same command, explain's with --resume",
    errno.EISDIR: "is a folder, not a file; choose another one",
    errno.EIO: "the disk failed; look at its state before anything else",
}


def is_out_of_memory(why: BaseException) -> bool:
    """Return whether an error, or what it came from, says that memory ran out, on any device."""
    cause: BaseException | None = why
    while cause is not None:
        if isinstance(cause, MemoryError):
            return True
        if isinstance(cause, OSError) and cause.errno == errno.ENOMEM:
            return True
        if isinstance(cause, RuntimeError | ImportError) and any(
            words in str(cause) for words in _NO_MEMORY
        ):
            return True
        cause = cause.__cause__
    return False


def fault_of_the_system(why: OSError) -> str:
    """Return a sentence about what the system refused and how to mend it; empty if not known."""
    if why.errno not in _FAULTS:
        return ""
    place = f"{why.filename}: " if why.filename else ""
    return f"{place}{_FAULTS[why.errno]}."
