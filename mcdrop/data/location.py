"""The folder that data sets are read from and downloaded to."""

import os
from pathlib import Path

from mcdrop.errors import InputError


def data_folder() -> Path:
    """The folder that the environment variable `MCDROP_DATA` names, else `mcdrop` in the user's cache.

    The user's cache is `$XDG_CACHE_HOME`, else `~/.cache`. Nothing is created here: a folder comes into being with the
    first file that is downloaded into it.

    Returns:
        An absolute path, with `~` expanded.

    Raises:
        InputError: `MCDROP_DATA` names something that is no folder.

    Example:
        >>> data_folder().is_absolute()
        True
    """
    named = os.environ.get("MCDROP_DATA")
    if not named:
        # The XDG specification: a relative path is to be ignored.
        cache = os.environ.get("XDG_CACHE_HOME", "")
        return (Path(cache) if Path(cache).is_absolute() else Path.home() / ".cache") / "mcdrop"
    folder = Path(named).expanduser().absolute()
    if folder.exists() and not folder.is_dir():
        raise InputError(f"MCDROP_DATA={named!r} is no folder: name one, or unset MCDROP_DATA to use the user's cache.")
    return folder
