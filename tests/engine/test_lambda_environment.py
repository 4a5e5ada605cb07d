"""What cannot be shown in seconds through the whole engine: the time limits of the init phase; packages."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local.lambda_runtime_folder import LambdaRuntimeError, ensure_lambda_runtime
from local.overlay import lambda_environment
from local.overlay.lambda_environment import EnvironmentSettings, ExecutionEnvironment, Invocation, Outcome
from local.overlay.lambda_packages import InvalidPackageError, PackageStore
from tests.engine.functions import zipped

PROJECT = Path(__file__).resolve().parent.parent.parent

type Run = Callable[..., Outcome]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """``run(code, timeout)`` invokes ``code`` in one environment, started by the first call."""
    task_root = tmp_path / "code"
    task_root.mkdir()
    variables = {
        "LAMBDA_TASK_ROOT": str(task_root),
        "LAMBDA_RUNTIME_DIR": str(ensure_lambda_runtime(PROJECT)),
        "_HANDLER": "app.handler",
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
    }
    settings = EnvironmentSettings("one", task_root, None, tmp_path / "scratch", "group", "stream", variables)
    environment = ExecutionEnvironment(settings)

    def call(code: str, timeout: float) -> Outcome:
        (task_root / "app.py").write_text(code)
        return environment.invoke(Invocation("id", b"{}", "arn", "", timeout))

    yield call
    environment.end()


def test_init_that_takes_too_long_is_run_again_in_the_time_of_the_function(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lambda_environment, "INIT_SECONDS", 1.0)
    starts = tmp_path / "starts"
    code = f"""
import time
with open({str(starts)!r}, "a") as file: file.write("x")
time.sleep(1.5)
def handler(event, context): return "made it"
"""
    outcome = run(code, 20)
    assert (outcome.status, outcome.payload) == ("success", b'"made it"')
    assert starts.read_text() == "xx"


def test_init_that_takes_longer_than_both_limits_times_out(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lambda_environment, "INIT_SECONDS", 0.3)
    outcome = run("import time\ntime.sleep(60)\n", 0.5)
    assert outcome.status == "timeout"
    assert b"Sandbox.Timedout" in outcome.payload
    assert b"Task timed out after 0.50 seconds" in outcome.payload
    assert run("def handler(event, context): return 1\n", 20).status == "success"


def test_process_that_exits_while_it_loads_is_an_exit_error(run: Run) -> None:
    outcome = run("import os\nos._exit(4)\n", 5)
    assert outcome.status == "error"
    assert b"exit status 4" in outcome.payload
    assert outcome.fatal_type == "Runtime.ExitError"


def test_same_archives_are_unzipped_once_however_many_ask(tmp_path: Path) -> None:
    store, archive = PackageStore(tmp_path / "packages"), zipped(app="x = 1\n")
    with ThreadPoolExecutor(8) as threads:
        folders = set(threads.map(lambda _: store.unzipped([archive]), range(32)))
    assert len(folders) == 1
    assert (folders.pop() / "app.py").read_text() == "x = 1\n"
    assert len(list((tmp_path / "packages").iterdir())) == 1


def test_names_that_point_out_of_the_archive_stay_inside(tmp_path: Path) -> None:
    store = PackageStore(tmp_path / "packages")
    folder = store.unzipped([zipped(**{"..__..__escaped": "x = 1\n"})])
    assert (folder / "escaped.py").exists()
    assert not (tmp_path / "escaped.py").exists()


def test_archive_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidPackageError, match="9 bytes cannot be unzipped"):
        PackageStore(tmp_path / "packages").unzipped([b"not a zip"])


def test_runtime_folder_is_left_alone_when_its_lock_has_not_changed() -> None:
    folder = ensure_lambda_runtime(PROJECT)
    before = folder.stat().st_ino
    assert ensure_lambda_runtime(PROJECT).stat().st_ino == before
    assert (folder / "boto3").is_dir()


def test_runtime_folder_that_cannot_be_made_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "lambda-runtime.txt").write_text(
        f"{tmp_path}/missing-1.0.whl --hash=sha256:{'0' * 64}\n"
    )
    with pytest.raises(LambdaRuntimeError, match="missing-1"):
        ensure_lambda_runtime(tmp_path)
    assert list((tmp_path / ".local").iterdir()) == []
