"""One file from its publisher: resumed where it broke off, checked, and there whole or not at all."""

import errno
import gzip
import hashlib
import http.client
import os
import re
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from filelock import FileLock  # torch requires it, so it is there
from tqdm import tqdm

from mcdrop.errors import DownloadError, InputError

BLOCK_BYTES = 1 << 16
TIMEOUT_SECONDS = 30.0


def fetch(url: str, path: Path, *, sha256: str | None, unpacked: bool = False) -> Path:
    """The file at `path`, downloaded from `url` if it is not there yet.

    Bytes arrive in `<path>.part`, which becomes `path` in one step once it is complete and its checksum is right. If
    the download breaks off or is killed, the part stays, and the next call asks the server for the rest only. A
    progress bar shows on a terminal when it takes longer than half a second. Processes that want files in one folder at
    once take turns, by a lock on `.download.lock` beside them: one downloads and the others find the file.

    Args:
        url: An address of http or https.
        path: Where the file is to be. Folders are made as needed.
        sha256: Checksum of the file, 64 hexadecimal digits. None if the caller checks the content.
        unpacked: The checksum is that of the content of a gzip file, not of the file: copies of one data set are packed
            differently in different places.

    Returns:
        `path`.

    Raises:
        InputError: `url` or `sha256` is not of that form, or the file that is already at `path` has another checksum.
        DownloadError: The server cannot be reached, refuses, or breaks off; what arrived has another checksum (it is
            removed); the disk is full (the part is removed) or the folder cannot be written to.

    Example:
        >>> fetch("ftp://example.org/data.gz", Path("data.gz"), sha256=None)
        Traceback (most recent call last):
        mcdrop.errors.InputError: url='ftp://example.org/data.gz': an address that begins with http:// or https:// is...
    """
    if not re.match(r"https?://[^/]", url):
        raise InputError(f"url={url!r}: an address that begins with http:// or https:// is needed.")
    if sha256 is not None and not re.fullmatch("[0-9a-f]{64}", sha256):
        raise InputError(f"sha256={sha256!r}: 64 hexadecimal digits in lower case are needed, or None.")
    if path.is_file():
        if wrong := _wrong(path, sha256, unpacked):
            raise InputError(f"{path} is not the file of {url}: {wrong}. Move it away, and it is downloaded.")
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.parent / ".download.lock"
        lock.touch()  # FileLock would wait for ever in some folders where no file can be made
        with FileLock(lock):
            if not path.is_file():  # another process may have downloaded it while this one waited for the lock
                _download(url, path, sha256, unpacked)
    except DownloadError:
        raise
    except OSError as error:
        raise DownloadError(
            f"{path} cannot be written: {error}. Set MCDROP_DATA to a folder that you may write to."
        ) from error
    return path


def _wrong(path: Path, sha256: str | None, unpacked: bool) -> str:
    """What is wrong with the file's checksum; empty if nothing is."""
    if sha256 is None:
        return ""
    try:
        with gzip.open(path) if unpacked else path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        return f"it is no whole gzip file ({error})"
    return "" if found == sha256 else f"it has SHA-256 {found}, and {sha256} is expected"


def _download(url: str, path: Path, sha256: str | None, unpacked: bool) -> None:
    part = path.with_name(f"{path.name}.part")
    # A part may be complete already: if the process was killed between the last byte and the renaming.
    if sha256 is None or not part.is_file() or _wrong(part, sha256, unpacked):
        _receive(url, part)
        if wrong := _wrong(part, sha256, unpacked):
            part.unlink()
            raise DownloadError(
                f"{url} arrived corrupted, or the publisher changed it: {wrong}. It is removed: run again to download "
                "it anew."
            )
    os.replace(part, path)


def _receive(url: str, part: Path) -> None:
    """Append to the part what it lacks, or write it anew where the server gives the whole file only."""
    with _open(url, part.stat().st_size if part.is_file() else 0) as response:
        start = _first_byte(response)
        coming = response.length
        total = None if coming is None else start + coming
        free = shutil.disk_usage(part.parent).free
        if coming is not None and coming > free:
            raise _disk_full(part, f"{coming:,} bytes are needed and {free:,} are free")
        name = part.name.removesuffix(".part")
        bar = tqdm(
            total=total, initial=start, desc=name, unit="B", unit_scale=True, disable=None, leave=False, delay=0.5
        )
        try:
            with bar, part.open("ab" if start else "wb") as file:
                for block in _blocks(url, response, part, start, total):
                    file.write(block)
                    bar.update(len(block))
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            part.unlink(missing_ok=True)  # a full disk is left as it was found
            needed = "" if total is None else f", {total:,} bytes are needed"
            raise _disk_full(part, f"it became full{needed}; the part that had arrived is removed") from error


def _open(url: str, held: int) -> http.client.HTTPResponse:
    """The server's answer to a request for everything after the first `held` bytes, or else for the whole file."""
    # Without a name of its own urllib gives Python's, which some publishers refuse.
    headers = {"User-Agent": "mcdrop"} | ({"Range": f"bytes={held}-"} if held else {})
    try:
        response: http.client.HTTPResponse = urlopen(Request(url, headers=headers), timeout=TIMEOUT_SECONDS)
    except HTTPError as error:
        error.close()
        if held and error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return _open(url, 0)  # the part is no beginning of the file
        raise DownloadError(
            f"{url}: the server answers {error.code} {error.reason}. Try later, or put the file into the folder that "
            "MCDROP_DATA names by hand."
        ) from None
    except (OSError, http.client.HTTPException) as error:
        reason = error.reason if isinstance(error, URLError) else error
        raise DownloadError(
            f"{url} cannot be reached: {reason}. Check the connection, or put the file into the folder that "
            "MCDROP_DATA names by hand."
        ) from error
    if _first_byte(response) not in (0, held):
        response.close()
        if held:
            return _open(url, 0)
        raise DownloadError(f"{url}: the server sends a part of the file where the whole was asked for. Try later.")
    return response


def _first_byte(response: http.client.HTTPResponse) -> int:
    """Where in the file the answer begins."""
    if response.status != http.HTTPStatus.PARTIAL_CONTENT:
        return 0
    match = re.match(r"bytes (\d+)-", response.headers["Content-Range"] or "")
    return int(match[1]) if match else -1


def _blocks(url: str, response: http.client.HTTPResponse, part: Path, start: int, total: int | None) -> Iterator[bytes]:
    """What arrives, block by block; an error if it ends before `total`."""
    received, reason = start, "it ended early"
    while True:
        try:
            block = response.read(BLOCK_BYTES)
        except (OSError, http.client.HTTPException) as error:
            reason = str(error) or type(error).__name__
            break
        if not block:
            if total in (None, received):
                return
            break
        received += len(block)
        yield block
    size = "" if total is None else f" of {total:,}"
    raise DownloadError(
        f"{url}: the connection broke off after {received:,}{size} bytes ({reason}). They are kept in {part}: run "
        "again to go on from there."
    )


def _disk_full(part: Path, what: str) -> DownloadError:
    return DownloadError(
        f"{part}: no room on the disk: {what}. Make room, or set MCDROP_DATA to a folder on another disk."
    )
