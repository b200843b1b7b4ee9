"""The errors of phototag: one tree, one class per cause, caught once at each edge."""


class PhototagError(Exception):
    """Something a person can act on: what happened, what was expected, what to do.

    The message is shown as it stands by the CLI, the pages and the routes.
    """


class NotFoundError(PhototagError):
    """Raised when a row with the given name or id does not exist, or is not the caller's."""


class ConflictError(PhototagError):
    """Raised when the state of a row does not allow what was asked."""


class RunLostError(ConflictError):
    """Raised when a worker writes what a training run found, and the run was cancelled or is another worker's."""


class NotAllowedError(PhototagError):
    """Raised when the person's role is not enough for what was asked."""


class InvalidNameError(PhototagError):
    """Raised when a name is empty or too long."""


class InvalidPasswordError(PhototagError):
    """Raised when a new password is too short or too long."""


class WrongPasswordError(PhototagError):
    """Raised when a name and a password do not belong together. Never says which of the two is wrong."""


class TooManyAttemptsError(PhototagError):
    """Raised when too many wrong passwords came for a name or from an address.

    Attributes:
        retry_after_s: seconds until the next attempt is looked at.
    """

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class SettingsError(PhototagError):
    """Raised when a setting is missing, malformed or contradicts another one."""


class DatabaseUnavailableError(PhototagError):
    """Raised when the database cannot be reached. Worth a retry with backoff."""


class SchemaMismatchError(PhototagError):
    """Raised when the database's schema is older or newer than this code."""


class DataDirectoryInUseError(PhototagError):
    """Raised when another process holds the lock of the data directory."""


class StorageFullError(PhototagError):
    """Raised when the disk has no room: before bytes are accepted, or while they are written."""


class DatabaseFullError(DatabaseUnavailableError, StorageFullError):
    """Raised when the database's disk is full. Whoever waits for the database waits for space too."""


class BlobMissingError(PhototagError):
    """Raised when bytes that a row refers to are not in the blob store."""


class FeaturesMissingError(PhototagError):
    """Raised when a feature shard is missing, damaged or of another shape than its row says."""


class FolderAwayError(PhototagError):
    """Raised when a watched folder is missing, unreadable or suddenly empty: its drive may not be connected."""


class LimitExceededError(PhototagError):
    """Raised when an upload or a request is larger than its limit."""


class BrokerUnavailableError(PhototagError):
    """Raised when the Redis-compatible broker does not answer. Accepted work is kept and polled."""


class ArtifactError(PhototagError):
    """Raised when a model version's files fail a check: hash, shape, finiteness or canary photos."""


class DeviceLostError(PhototagError):
    """Raised when the network fails on every photo of a chunk: the device, not the photos, is at fault."""


class DownloadError(PhototagError):
    """Raised when weights cannot be fetched or do not have the expected hash."""


class Refusal(PhototagError):  # noqa: N818 - a verdict about one file, not a fault of ours
    """A verdict: this photo or archive is not accepted, and why.

    Attributes:
        code: an entry of `db.codes.REASONS`, stored with the item.
        detail: short plain text for the person, may be empty; never contains raw file content.
    """

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail
