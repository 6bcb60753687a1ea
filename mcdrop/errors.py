"""Every exception that mcdrop raises on purpose.

Each one says what was given, what was expected and the remedy, and inherits the builtin that fits, so that code
which catches `ValueError` keeps working.
"""


class McdropError(Exception):
    """Base class of every error raised by mcdrop."""


class InputError(McdropError, ValueError):
    """An argument, a batch or a loader is not what the function takes."""


class OutputError(McdropError, ValueError):
    """The model's output does not fit the likelihood that is to read it."""


class NonFiniteError(McdropError, ValueError):
    """The model returned NaN or infinity where a number is needed."""


class NoSiteError(McdropError, ValueError):
    """The model has no dropout with p > 0, or none that was chosen."""


class UncontrolledSiteError(McdropError, RuntimeError):
    """A random operation runs that mcdrop cannot control, so that its masks could neither be seeded nor shared."""


class RowAxisError(McdropError, ValueError):
    """It cannot be told which axis of a site holds the rows of the input, so no mask can be shared by them."""


class NoSpreadError(McdropError, RuntimeError):
    """All draws of all rows are bit-identical although a site with p > 0 ran."""


class UnavailableError(McdropError, AttributeError):
    """A statistic was asked of a prediction that does not hold what it needs (draws, a second draw, a likelihood)."""


class VectorisationError(McdropError, RuntimeError):
    """The vectorised execution was demanded and the model cannot run under it."""


class DownloadError(McdropError, OSError):
    """A data set could not be downloaded: the server, the connection, the checksum or the disk failed."""
