"""A stand-in of SageMaker's XGBoost container: it speaks the container contract and predicts with the real model.

``python -m local.sagemaker_container --model model.tar.gz`` loads the artefact, binds a free port of the loopback,
prints ``listening on PORT`` and serves GET /ping and POST /invocations until its standard input closes: so it ends with
whoever started it, even where that was killed. An artefact that does not load ends it with status 1 and the reason on
standard error.

Contract: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html. Answers and statuses as
in github.com/aws/sagemaker-xgboost-container: text/csv in, one row a line without header (415 where it does not parse),
text/csv out, one value a line, or application/json by Accept (406 for others), 400 where the model refuses the rows,
204 for an empty body. It leaves out what this project does not send: libsvm, recordio, pickled models and ensembles.
"""

import argparse
import io
import json
import sys
import tarfile
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import xgboost

LONGEST_BODY_BYTES = 6 * 1024 * 1024
_CSV, _JSON = "text/csv", "application/json"


@dataclass(frozen=True)
class Reply:
    status: int
    content_type: str
    body: bytes


class ArtefactError(Exception):
    """The model artefact cannot be served; the message says why."""


class _RefusedError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def load_model(artefact: Path) -> xgboost.Booster:
    """The model in ``artefact`` (model.tar.gz with one file at its root, saved by ``Booster.save_model``)."""
    try:
        with tarfile.open(artefact, "r:gz") as archive, tempfile.TemporaryDirectory() as folder:
            files = [member for member in archive.getmembers() if member.isfile() and not _hidden(member.name)]
            if len(files) != 1:
                names = ", ".join(member.name for member in files) or "none"
                raise ArtefactError(f"The artefact must hold one model file, it holds: {names}.")
            archive.extract(files[0], folder, filter="data")
            booster = xgboost.Booster()
            booster.load_model(Path(folder) / files[0].name)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ArtefactError(f"The artefact is not a readable tar.gz: {error}") from error
    except xgboost.core.XGBoostError as error:
        raise ArtefactError(f"Unable to load model: {error}") from error
    booster.set_param({"nthread": 1})
    return booster


def invoke(booster: xgboost.Booster, body: bytes, content_type: str, accept: str) -> Reply:
    """The container's answer to one POST /invocations; an empty ``content_type`` or ``accept`` means text/csv."""
    if not body:
        return Reply(204, _CSV, b"")
    try:
        wanted = _wanted(accept)
        scores = _scores(booster, _rows(body, content_type))
    except _RefusedError as refused:
        return _refusal(refused.status, refused.message)
    if wanted == _JSON:
        return Reply(200, _JSON, json.dumps({"predictions": [{"score": score} for score in scores]}).encode())
    return Reply(200, _CSV, "".join(f"{score}\n" for score in scores).encode())


def _wanted(accept: str) -> str:
    wanted = accept.partition(";")[0].strip().lower() or _CSV
    if wanted not in (_CSV, _JSON, "*/*"):
        raise _RefusedError(406, f"Accept type {accept} is not supported. Please use one of {_CSV}, {_JSON}.")
    return wanted


def _rows(body: bytes, content_type: str) -> np.ndarray:
    """The rows of numbers; as in the container, a field that is no number is a missing value."""
    if (content_type.partition(";")[0].strip().lower() or _CSV) != _CSV:
        raise _RefusedError(415, f"Content-type {content_type} is not supported. This container takes {_CSV}.")
    try:
        return np.genfromtxt(io.StringIO(body.decode().strip()), delimiter=",", dtype=np.float32, ndmin=2)
    except ValueError as error:
        reason = f"Loading csv data failed with Exception, please ensure data is in csv format: {error}"
        raise _RefusedError(415, reason) from error


def _scores(booster: xgboost.Booster, rows: np.ndarray) -> list[float]:
    try:
        return list(booster.predict(xgboost.DMatrix(rows), validate_features=False).tolist())
    except xgboost.core.XGBoostError as error:
        raise _RefusedError(400, f"Unable to evaluate payload provided: {error}") from error


def serve(booster: xgboost.Booster) -> None:
    """Serves the contract on a free port of the loopback until standard input closes."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_for(booster))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"listening on {server.server_port}\n")
    sys.stdout.flush()
    sys.stdin.read()
    server.shutdown()


def _handler_for(booster: xgboost.Booster) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._reply(Reply(200 if self.path == "/ping" else 404, "text/plain", b""))

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            if length > LONGEST_BODY_BYTES:
                self.close_connection = True
                self._reply(_refusal(413, f"The payload exceeds {LONGEST_BODY_BYTES} bytes."))
                return
            body = self.rfile.read(length)
            if self.path != "/invocations":
                self._reply(Reply(404, "text/plain", b""))
                return
            content_type, accept = self.headers.get("Content-Type") or "", self.headers.get("Accept") or ""
            self._reply(invoke(booster, body, content_type, accept))

        def _reply(self, reply: Reply) -> None:
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.content_type)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

    return Handler


def _hidden(name: str) -> bool:
    return Path(name).name.startswith(".")


def _refusal(status: int, message: str) -> Reply:
    return Reply(status, "text/plain", message.encode())


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m local.sagemaker_container", description=__doc__.partition("\n")[0])
    parser.add_argument("--model", type=Path, required=True, help="the model artefact, model.tar.gz")
    try:
        booster = load_model(parser.parse_args(arguments).model)
    except ArtefactError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    serve(booster)
    return 0


if __name__ == "__main__":
    sys.exit(main())
