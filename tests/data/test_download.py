import errno
import gzip
import random
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mcdrop.data import download
from mcdrop.data.download import fetch
from mcdrop.errors import DownloadError, InputError

CONTENT = random.Random(0).randbytes(300_000)  # several blocks, and nothing that could be mistaken for anything else


@pytest.fixture
def target(tmp_path):
    return tmp_path / "folder" / "file.bin"


@pytest.fixture
def url(publisher):
    publisher.files["/file.bin"] = CONTENT
    return f"{publisher.address}/file.bin"


def _left(target):
    """What is in the folder, but for the lock."""
    return sorted(file.name for file in target.parent.iterdir() if file.name != ".download.lock")


def test_the_file_arrives_as_it_is_and_alone(url, target, sha256):
    assert fetch(url, target, sha256=sha256(CONTENT)) == target
    assert target.read_bytes() == CONTENT
    assert _left(target) == ["file.bin"]


def test_a_file_that_is_there_is_not_asked_for_again(url, target, publisher, sha256):
    fetch(url, target, sha256=sha256(CONTENT))
    fetch(url, target, sha256=sha256(CONTENT))
    fetch(url, target, sha256=None)
    assert publisher.asked == [("/file.bin", None)]


def test_a_file_that_is_there_and_is_another_is_refused_and_left(url, target, publisher, sha256):
    target.parent.mkdir()
    target.write_bytes(b"mine")
    with pytest.raises(InputError, match=rf"file.bin is not the file of http.*SHA-256 {sha256(b'mine')}.*Move it away"):
        fetch(url, target, sha256=sha256(CONTENT))
    assert target.read_bytes() == b"mine"
    assert publisher.asked == []


def test_redirects_are_followed(url, target, publisher, sha256):
    publisher.redirects["/old"] = "/file.bin"
    assert fetch(f"{publisher.address}/old", target, sha256=sha256(CONTENT)).read_bytes() == CONTENT


@pytest.mark.parametrize("cut_after", [0, 1, 100_000, len(CONTENT) - 1])
def test_after_an_interruption_only_the_rest_is_asked_for(url, target, publisher, sha256, cut_after):
    publisher.cut_after = cut_after
    with pytest.raises(DownloadError, match=rf"broke off after {cut_after:,} of 300,000 bytes.*run again to go on"):
        fetch(url, target, sha256=sha256(CONTENT))
    assert _left(target) == ["file.bin.part"]
    assert (target.parent / "file.bin.part").read_bytes() == CONTENT[:cut_after]
    publisher.cut_after = None
    assert fetch(url, target, sha256=sha256(CONTENT)).read_bytes() == CONTENT
    assert publisher.asked[1:] == [("/file.bin", f"bytes={cut_after}-" if cut_after else None)]
    assert _left(target) == ["file.bin"]


def test_a_download_may_break_off_many_times(url, target, publisher, sha256):
    publisher.cut_after = 70_000
    for _ in range(4):
        with pytest.raises(DownloadError, match="broke off"):
            fetch(url, target, sha256=sha256(CONTENT))
    assert fetch(url, target, sha256=sha256(CONTENT)).read_bytes() == CONTENT
    assert [asked for _, asked in publisher.asked[1:]] == [f"bytes={70_000 * n}-" for n in range(1, 5)]


def test_a_server_without_ranges_sends_all_again(url, target, publisher, sha256):
    publisher.cut_after = 100_000
    with pytest.raises(DownloadError, match="broke off"):
        fetch(url, target, sha256=sha256(CONTENT))
    publisher.cut_after, publisher.knows_ranges = None, False
    assert fetch(url, target, sha256=sha256(CONTENT)).read_bytes() == CONTENT


def test_a_server_that_sends_another_range_is_asked_for_all(url, target, publisher, sha256):
    publisher.cut_after = 100_000
    with pytest.raises(DownloadError, match="broke off"):
        fetch(url, target, sha256=sha256(CONTENT))
    publisher.cut_after, publisher.range_shift = None, 7
    assert fetch(url, target, sha256=sha256(CONTENT)).read_bytes() == CONTENT
    assert [asked for _, asked in publisher.asked] == [None, "bytes=100000-", None]


def test_a_server_that_never_sends_the_beginning_is_given_up(url, target, publisher, sha256):
    publisher.unasked = 5
    with pytest.raises(DownloadError, match="sends a part of the file where the whole was asked for"):
        fetch(url, target, sha256=sha256(CONTENT))
    assert len(publisher.asked) == 1
    assert _left(target) == []


def test_a_part_longer_than_the_file_is_written_anew(url, target, publisher, sha256):
    target.parent.mkdir()
    (target.parent / "file.bin.part").write_bytes(CONTENT + b"more")
    assert fetch(url, target, sha256=sha256(CONTENT)).read_bytes() == CONTENT
    assert [asked for _, asked in publisher.asked] == ["bytes=300004-", None]


def test_a_part_that_is_whole_needs_no_server(target, sha256):
    target.parent.mkdir()
    (target.parent / "file.bin.part").write_bytes(CONTENT)
    assert fetch("http://127.0.0.1:9/file.bin", target, sha256=sha256(CONTENT)).read_bytes() == CONTENT
    assert _left(target) == ["file.bin"]


def test_what_arrives_corrupted_is_removed(url, target, publisher, sha256):
    publisher.flip = 123_456
    with pytest.raises(DownloadError, match=rf"corrupted.*{sha256(CONTENT)} is expected. It is removed: run again"):
        fetch(url, target, sha256=sha256(CONTENT))
    assert _left(target) == []
    publisher.flip = None
    assert fetch(url, target, sha256=sha256(CONTENT)).read_bytes() == CONTENT


def test_a_part_of_something_else_is_found_out_and_removed(url, target, publisher, sha256):
    target.parent.mkdir()
    (target.parent / "file.bin.part").write_bytes(b"of another file")
    with pytest.raises(DownloadError, match="corrupted"):
        fetch(url, target, sha256=sha256(CONTENT))
    assert _left(target) == []


def test_without_a_length_an_early_end_is_found_by_the_checksum(url, target, publisher, sha256):
    publisher.says_length = False
    assert fetch(url, target, sha256=sha256(CONTENT)).read_bytes() == CONTENT
    target.unlink()
    publisher.cut_after = 100_000
    with pytest.raises(DownloadError, match="corrupted"):
        fetch(url, target, sha256=sha256(CONTENT))
    assert _left(target) == []


@pytest.mark.parametrize("level", [1, 9])
def test_gzip_files_that_unpack_to_the_same_are_the_same(publisher, target, sha256, level):
    publisher.files["/file.gz"] = gzip.compress(b"x" * 1000, level)
    fetch(f"{publisher.address}/file.gz", target, sha256=sha256(b"x" * 1000), unpacked=True)
    assert target.read_bytes() == publisher.files["/file.gz"]


@pytest.mark.parametrize("content", [b"no gzip", gzip.compress(b"x" * 1000)[:-9], gzip.compress(b"y")])
def test_gzip_files_that_do_not_unpack_to_it_are_removed(publisher, target, sha256, content):
    publisher.files["/file.gz"] = content
    with pytest.raises(DownloadError, match=r"corrupted.*(no whole gzip file|SHA-256)"):
        fetch(f"{publisher.address}/file.gz", target, sha256=sha256(b"x" * 1000), unpacked=True)
    assert _left(target) == []


@pytest.mark.parametrize(("status", "reason"), [(404, "Not Found"), (403, "Forbidden"), (503, "Service Unavailable")])
def test_a_server_that_refuses_is_quoted(url, target, publisher, status, reason):
    publisher.status = status
    with pytest.raises(DownloadError, match=rf"file.bin: the server answers {status} {reason}.*MCDROP_DATA") as caught:
        fetch(url, target, sha256=None)
    assert isinstance(caught.value, OSError)
    assert _left(target) == []


def test_a_connection_that_is_refused_is_said(target):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(DownloadError, match=rf"http://127.0.0.1:{port}/x cannot be reached: .*refused.*connection"):
        fetch(f"http://127.0.0.1:{port}/x", target, sha256=None)
    assert _left(target) == []


def test_a_server_that_falls_silent_is_given_up(url, target, publisher, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT_SECONDS", 0.1)
    with (
        socket.create_server(("127.0.0.1", 0)) as mute,  # accepts and says nothing
        pytest.raises(DownloadError, match="cannot be reached: timed out"),
    ):
        fetch(f"http://127.0.0.1:{mute.getsockname()[1]}/x", target, sha256=None)


class _FullDisk:
    """A file on a disk that has room for so many bytes."""

    def __init__(self, file, room):
        self._file, self._room = file, room

    def write(self, block):
        if self._file.tell() + len(block) > self._room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._file.write(block)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._file.close()


def test_a_disk_that_becomes_full_is_left_as_it_was(url, target, monkeypatch, sha256):
    opened = Path.open

    def small(path, mode="r"):
        file = opened(path, mode)
        return _FullDisk(file, 200_000) if path.suffix == ".part" and mode in ("wb", "ab") else file

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", small)
        with pytest.raises(DownloadError, match=r"folder/file.bin.part: no room.*300,000 bytes are needed.*is removed"):
            fetch(url, target, sha256=sha256(CONTENT))
    assert _left(target) == []
    assert fetch(url, target, sha256=sha256(CONTENT)).read_bytes() == CONTENT


def test_a_disk_without_room_is_not_begun_to_be_filled(url, target, monkeypatch, sha256):
    target.parent.mkdir()
    (target.parent / "file.bin.part").write_bytes(CONTENT[:100_000])
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 199_999}))
    with pytest.raises(DownloadError, match=r"200,000 bytes are needed and 199,999 are free.*another disk"):
        fetch(url, target, sha256=sha256(CONTENT))
    assert (target.parent / "file.bin.part").read_bytes() == CONTENT[:100_000]
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 200_000}))
    assert fetch(url, target, sha256=sha256(CONTENT)).read_bytes() == CONTENT


def test_a_folder_that_cannot_be_made_is_named(url, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DownloadError, match=r"file/folder/file.bin cannot be written.*Set MCDROP_DATA to a folder"):
        fetch(url, tmp_path / "file" / "folder" / "file.bin", sha256=None)


def test_a_folder_that_may_not_be_written_to_is_named(url, target, monkeypatch):
    def forbidden(path, *arguments, **options):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "mkdir", forbidden)
    with pytest.raises(DownloadError, match=r"cannot be written: .*Permission denied.*Set MCDROP_DATA"):
        fetch(url, target, sha256=None)


def test_threads_that_want_one_file_download_it_once(url, target, publisher, sha256):
    threads = [threading.Thread(target=fetch, args=(url, target), kwargs={"sha256": sha256(CONTENT)}) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert target.read_bytes() == CONTENT
    assert publisher.asked == [("/file.bin", None)]


@pytest.mark.slow
def test_a_killed_process_leaves_a_part_to_go_on_from_and_no_lock(url, target, publisher, sha256):
    publisher.stall_after = 150_000
    code = f"from pathlib import Path; from mcdrop.data.download import fetch; fetch({url!r}, Path({str(target)!r}), "
    process = subprocess.Popen([sys.executable, "-c", f"{code} sha256=None)"])
    part, deadline = target.with_name("file.bin.part"), time.monotonic() + 60
    while not (part.exists() and part.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.wait()
    publisher.released.set()
    held = part.stat().st_size
    assert 0 < held <= 150_000
    publisher.stall_after = None
    assert fetch(url, target, sha256=sha256(CONTENT)).read_bytes() == CONTENT
    assert publisher.asked[-1] == ("/file.bin", f"bytes={held}-")


@pytest.mark.parametrize("address", ["ftp://example.org/x", "file:///etc/hosts", "example.org/x", "http://", ""])
def test_other_addresses_are_refused(target, address):
    with pytest.raises(InputError, match="begins with http:// or https:// is needed"):
        fetch(address, target, sha256=None)
    assert not target.parent.exists()


@pytest.mark.parametrize("wrong", ["", "abc", "A" * 64, "0" * 65])
def test_what_is_no_checksum_is_refused(url, target, publisher, wrong):
    with pytest.raises(InputError, match="64 hexadecimal digits in lower case"):
        fetch(url, target, sha256=wrong)
    assert publisher.asked == []
    assert not target.parent.exists()


def test_the_bar_counts_from_where_it_resumes_and_is_silent_off_a_terminal(url, target, publisher, monkeypatch, capfd):
    bars = []

    class Bar(download.tqdm):
        def __init__(self, **options):
            super().__init__(**options | {"delay": 0})
            bars.append(options)

    monkeypatch.setattr(download, "tqdm", Bar)
    target.parent.mkdir()
    (target.parent / "file.bin.part").write_bytes(CONTENT[:100_000])
    fetch(url, target, sha256=None)
    assert (bars[0]["initial"], bars[0]["total"], bars[0]["desc"]) == (100_000, 300_000, "file.bin")
    assert capfd.readouterr().err == ""
