"""The two exceptions that callers are expected to handle."""


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message is one sentence that names the file or setting and says how to mend it; the command
    line prints it as it is (exit status 2) and the widgets show it as a notification.
    """


class Cancelled(Exception):  # noqa: N818 - a request by the user, not an error
    """The user asked a long computation to stop; whatever was finished is kept on disk."""
