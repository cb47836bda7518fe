"""The exceptions a user can cause: one sentence each, with the value, the limit, the likely cause, the next step.

Every class keeps the standard parent that callers already know how to catch. The command line prints the
message of a `FoldsmithError` alone, without a traceback, and exits with `exit_code`.
"""


class FoldsmithError(Exception):
    """Base of every error that a user can cause and mend."""

    exit_code = 2


class SettingError(FoldsmithError, ValueError):
    """A flag, parameter or configuration value that cannot be used, or does not apply."""


class DataError(FoldsmithError, ValueError):
    """Data that breaks its written contract: a missing column, a wrong type, an impossible value."""


class MissingError(FoldsmithError, FileNotFoundError):
    """Something named by the user is not there; the message lists what is."""

    def __str__(self) -> str:
        # OSError's own __str__ prints errno pairs; ours is a sentence.
        return str(self.args[0]) if self.args else ""


class TakenError(FoldsmithError, FileExistsError):
    """A chosen name is in use; what it holds is untouched."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class IntegrityError(FoldsmithError, ValueError):
    """A stored file no longer matches the hash that was recorded for it."""


class LeakError(IntegrityError):
    """A split whose own row numbers show that training rows meet what they are scored on."""


class MissingExtraError(FoldsmithError, ImportError):
    """An optional library is needed and not installed; the message names the extra."""


class UnfinishedError(FoldsmithError):
    """Work of which a part failed, or that the user stopped; what is finished is kept, and the message says how to
    go on."""


class StoppedError(UnfinishedError):
    """Work that the user stopped."""

    exit_code = 130
