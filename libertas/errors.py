"""The errors a reader sees: each names the thing, its value, what was expected and the next step, in one line."""


class LibertasError(Exception):
    """Root of the errors that `libertas` prints as one line with a non-zero exit status, without a traceback."""

    status = 1
    """Exit status of the command."""


class UsageError(LibertasError):
    """Something the caller can fix: a path, a value, a setting."""


class DifferentArtifact(UsageError):
    """Something is there already that was made with other settings, from other inputs, or by other code."""


class BrokenLineage(LibertasError):
    """Recorded bytes and bytes on disk disagree, so an artifact can no longer be trusted."""


class UnfinishedArtifact(LibertasError):
    """A directory without a manifest: whatever was writing it has not finished."""
