"""The containers behind local SageMaker endpoints: starting one with a model, asking it, stopping it.

What answers is ``local.sagemaker_container`` in a process of its own, under this Python, with the artefact that the
model names in the engine's S3. Nothing here knows the SageMaker API.
"""

import http.client
import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from ministack.services import s3

from local.process import tail

_ANSWER_DEADLINE_SECONDS = 60.0  # https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")


class HostingError(Exception):
    """A container does not start, or is gone; the message says why."""


@dataclass(frozen=True)
class ContainerReply:
    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True)
class Container:
    """A running container."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def invoke(self, body: bytes, headers: dict[str, str]) -> ContainerReply:
        """Posts to /invocations; raises TimeoutError after SageMaker's 60 s, HostingError where nothing answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_ANSWER_DEADLINE_SECONDS)
        try:
            connection.request("POST", "/invocations", body, headers)
            response = connection.getresponse()
            return ContainerReply(response.status, response.headers.get("Content-Type", ""), response.read())
        except TimeoutError:
            raise
        except (OSError, http.client.HTTPException) as error:
            raise HostingError(f"The container is gone ({error}). The end of its log:\n{tail(self.log)}") from error
        finally:
            connection.close()

    def stop(self) -> None:
        """Ends the container. It holds nothing that a polite end would save."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                pipe.close()


def require_framework() -> None:
    """Raises HostingError, saying what to install, where this Python has no XGBoost to run a model with."""
    if find_spec("xgboost") is None:
        raise HostingError(
            "The local SageMaker needs XGBoost, which is not among what `make run` installs: run `make sagemaker`, or "
            "install requirements/dev.txt into the engine's Python, and start again."
        )


def read_artefact(url: str) -> bytes:
    """The object at ``url`` (s3://bucket/key) in the engine's S3; raises HostingError where there is none."""
    bucket, key = bucket_and_key(url)
    data = s3._get_object_data(bucket, key)
    if data is None:
        raise HostingError(f"Could not find model data at {url}.")
    return bytes(data)


def bucket_and_key(url: str) -> tuple[str, str]:
    """The parts of an s3:// address; raises HostingError where ``url`` is not one."""
    parts = urlsplit(url)
    key = parts.path.removeprefix("/")
    if parts.scheme != "s3" or not parts.netloc or not key:
        raise HostingError(f"ModelDataUrl {url!r} is not of the form s3://bucket/key.")
    return parts.netloc, key


def start_container(artefact: bytes, folder: Path, project: Path) -> Container:
    """A container that has loaded ``artefact`` and listens; raises HostingError with its log where it does not."""
    require_framework()
    folder.mkdir(parents=True, exist_ok=True)
    model, log = folder / "model.tar.gz", folder / "container.log"
    model.write_bytes(artefact)
    with log.open("wb") as sink:
        process = subprocess.Popen(  # noqa: S603 - our own module, our own arguments
            [sys.executable, "-m", "local.sagemaker_container", "--model", str(model)],
            cwd=project,
            env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
            stdin=subprocess.PIPE,  # never written to: its end tells the container that the engine is gone
            stdout=subprocess.PIPE,
            stderr=sink,
        )
    greeting = process.stdout.readline().decode() if process.stdout else ""
    if not greeting.startswith("listening on "):
        container = Container(process, 0, log)
        container.stop()
        raise HostingError(f"The primary container did not pass the ping health check. Its log: {tail(log)}")
    return Container(process, int(greeting.rpartition(" ")[2]), log)
