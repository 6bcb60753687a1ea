"""A publisher on this machine, with every fault that a real one can have, and the examples that need data."""

import doctest
import hashlib
import http.server
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import pytest


@dataclass
class Publisher:
    """Serves `files` by path. The other fields are faults, which a test switches on and off between requests."""

    files: dict[str, bytes] = field(default_factory=dict)
    status: int | None = None  # instead of an answer
    cut_after: int | None = None  # bytes of the body, after which the connection closes
    stall_after: int | None = None  # bytes of the body, after which nothing comes until `released`
    released: threading.Event = field(default_factory=threading.Event)
    flip: int | None = None  # the byte of the file that arrives inverted
    knows_ranges: bool = True
    unasked: int = 0  # the byte from which it sends the file to those who ask for all of it
    range_shift: int = 0  # by which the bytes sent are off from those asked for
    says_length: bool = True
    redirects: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)  # path and Range of every request
    address: str = ""


def _handler(publisher: Publisher) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            publisher.asked.append((self.path, self.headers["Range"]))
            if self.path in publisher.redirects:
                self.send_response(302)
                self.send_header("Location", publisher.redirects[self.path])
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            if publisher.status or self.path not in publisher.files:
                self.send_error(publisher.status or 404)
                return
            self._send(bytearray(publisher.files[self.path]))

        def _send(self, body: bytearray) -> None:
            size, begin = len(body), 0
            if publisher.flip is not None:
                body[publisher.flip] ^= 0xFF
            asked = self.headers["Range"] or (f"bytes={publisher.unasked}-" if publisher.unasked else None)
            if asked and publisher.knows_ranges:
                begin = int(asked.removeprefix("bytes=").removesuffix("-")) + publisher.range_shift
                if begin >= size:
                    self.send_error(416)
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {begin}-{size - 1}/{size}")
            else:
                self.send_response(200)
            if publisher.says_length:
                self.send_header("Content-Length", str(size - begin))
            self.end_headers()
            self.wfile.write(body[begin:][: publisher.cut_after][: publisher.stall_after])
            if publisher.stall_after is not None:
                publisher.released.wait(60)

        def log_message(self, *arguments: object) -> None:
            pass

    return Handler


@pytest.fixture
def publisher(monkeypatch: pytest.MonkeyPatch) -> Iterator[Publisher]:
    monkeypatch.setenv("no_proxy", "*")
    offered = Publisher()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(offered)) as server:
        offered.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield offered
        server.shutdown()
        thread.join()


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of data sets that is not there yet."""
    folder = tmp_path / "data"
    monkeypatch.setenv("MCDROP_DATA", str(folder))
    return folder


@pytest.fixture
def run_examples(data_dir: Path) -> Callable[[ModuleType], None]:
    """Runs the examples of a module that are skipped elsewhere because they need the data sets."""

    def run(module: ModuleType) -> None:
        report: list[str] = []
        runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
        for test in doctest.DocTestFinder().find(module):
            for example in test.examples:
                example.options.pop(doctest.SKIP, None)
            runner.run(test, out=report.append)
        assert runner.tries
        assert not runner.failures, "".join(report)

    return run


@pytest.fixture
def sha256() -> Callable[[bytes], str]:
    return lambda content: hashlib.sha256(content).hexdigest()
