"""One execution environment: a process of AWS's Runtime Interface Client, and the Runtime API that it speaks to.

Follows "Lambda runtime API" (https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html) and "Understanding the
Lambda execution environment lifecycle" (.../lambda-runtime-environment.html). The process asks for its next
invocation with a request that stays open until there is one; it answers with another. Because nothing happens in
between, no thread serves this API: the thread that invokes does all of it, reading requests and output as they come.

That is also why no wait is needed for the output of an invocation: the Runtime Interface Client flushes every line
before it answers, so once the answer is here, all output is in the pipe.
"""

import contextlib
import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h11

from local.lambda_runtime_folder import BASE_PYTHON
from local.overlay.lambda_logs import LogLine, OutputReader, Status, exit_line

INIT_SECONDS = 10.0  # AWS: "The Init phase is limited to 10 seconds"
_LARGEST_RESPONSE_BYTES = 6_291_556
_LARGEST_HEADERS_BYTES = 64 * 1024
_EXIT_CHECK_SECONDS = 0.05
_START = Path(__file__).resolve().parent.parent / "lambda_worker" / "start.py"


@dataclass(frozen=True)
class EnvironmentSettings:
    """What an environment is made of. ``variables`` is all that the process sees; ``opt`` the unzipped layers."""

    identity: str
    task_root: Path
    opt: Path | None
    scratch: Path
    log_group: str
    log_stream: str
    variables: dict[str, str]


@dataclass(frozen=True)
class Invocation:
    """One event on its way to a handler. ``timeout`` in seconds."""

    request_id: str
    event: bytes
    function_arn: str
    trace_header: str
    timeout: float


@dataclass(frozen=True)
class Outcome:
    """How an invocation ended: the handler's JSON, or the JSON document of an error.

    Durations in milliseconds; ``init_duration`` is None for a warm start. ``fatal_type`` names the error where it ended
    the process too.
    """

    payload: bytes
    status: Status
    init_lines: list[LogLine]
    lines: list[LogLine]
    started_at: float  # seconds since 1970
    duration: float
    init_duration: float | None
    memory_used: int
    fatal_type: str | None = None


class _RuntimeExitError(Exception):
    """The process ended. ``reason`` in Lambda's words."""

    def __init__(self, return_code: int) -> None:
        self.reason = _exit_reason(return_code)
        super().__init__(self.reason)


class _DeadlineError(Exception):
    """Nothing came in time."""


class _InitError(Exception):
    """The Runtime Interface Client could not load the handler; ``document`` is its error."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        super().__init__(str(document.get("errorMessage")))


@dataclass
class _Request:
    """A request of the process to the Runtime API, and what takes its answer."""

    method: str
    path: str
    respond: Callable[..., None]
    body: bytes = b""


class ExecutionEnvironment:
    """Runs the invocations of one function version, one at a time, in one process after another.

    Not safe for two threads at once: whoever leased it from the pool owns it. After a time-out, an exit or a failed
    init the process is gone and the next ``invoke`` starts another.
    """

    def __init__(self, settings: EnvironmentSettings) -> None:
        self.settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._waiting: _Request | None = None
        self._requests: list[_Request] = []
        self._output = OutputReader()
        self._resources = contextlib.ExitStack()
        self._selector: selectors.BaseSelector = selectors.DefaultSelector()

    def invoke(self, invocation: Invocation, on_ready: Callable[[], None] = lambda: None) -> Outcome:
        """Hands ``invocation`` to the process, starting one where there is none. No failing function raises here.

        ``on_ready`` is called when the process waits for the invocation, which it may never do.
        """
        run = _Run(invocation)
        try:
            self._make_ready(run)
            on_ready()
            return self._hand_over(run)
        except _InitError as failure:
            document = failure.document | {"requestId": invocation.request_id}
            return self._ended(run, "error", document, str(document.get("errorType")), None)
        except _RuntimeExitError as exit_:
            message = f"RequestId: {invocation.request_id} Error: {exit_.reason}"
            line = exit_line(invocation.request_id, exit_.reason, "Runtime.ExitError")
            document = {"errorType": "Runtime.ExitError", "errorMessage": message}
            return self._ended(run, "error", document, "Runtime.ExitError", line)
        except _DeadlineError:
            message = f"Task timed out after {invocation.timeout:.2f} seconds"
            line = f"{_iso_now()} {invocation.request_id} {message}"
            message = f"RequestId: {invocation.request_id} Error: {message}"
            document = {"errorType": "Sandbox.Timedout", "errorMessage": message}
            return self._ended(run, "timeout", document, None, line)

    def end(self) -> None:
        """Ends the process, without asking it, as AWS does, and removes its scratch folder. May be called again."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._pump(0)  # its last words
            self._process = None
        self._waiting = None
        self._requests.clear()
        self._resources.close()
        shutil.rmtree(self.settings.scratch, ignore_errors=True)

    def _make_ready(self, run: "_Run") -> None:
        """Returns once the process waits for an event: Init has ten seconds, then once more the function's own time."""
        if self._is_alive():
            try:
                return self._await_next(time.monotonic() + run.invocation.timeout)
            except _RuntimeExitError:
                pass  # between two invocations: nobody's event is lost, so nobody need know
        self.end()
        begun = time.monotonic()
        self._start()
        try:
            self._await_next(begun + INIT_SECONDS)
        except _DeadlineError:
            self.end()
            self._start()
            run.begin()
            self._await_next(run.deadline)
        run.init_duration = (time.monotonic() - begun) * 1000
        return None

    def _hand_over(self, run: "_Run") -> Outcome:
        invocation, waiting, self._waiting = run.invocation, self._waiting, None
        if waiting is None:
            raise RuntimeError("An event was to be handed to a process that had not asked for one.")
        run.init_lines = self._output.take()
        if run.deadline == 0.0:
            run.begin()
        deadline_ms = int(time.time() * 1000 + (run.deadline - time.monotonic()) * 1000)
        headers = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
            "Lambda-Runtime-Deadline-Ms": str(deadline_ms),
            "Lambda-Runtime-Invoked-Function-Arn": invocation.function_arn,
            "Lambda-Runtime-Trace-Id": invocation.trace_header,
        }
        with contextlib.suppress(OSError):  # the process is gone: the wait for its answer finds out how it went
            waiting.respond(200, headers, invocation.event)
        while True:
            request = self._next_request(run.deadline)
            _, _, kind = request.path.rpartition("/")
            if request.method == "POST" and request.path.endswith(f"/{invocation.request_id}/{kind}"):
                request.respond(202)
                return self._answered(run, kind, request.body)
            request.respond(400, {}, b'{"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}')

    def _answered(self, run: "_Run", kind: str, body: bytes) -> Outcome:
        if kind == "error":
            return run.outcome(body, "error", self._lines(), self._memory_used())
        if len(body) > _LARGEST_RESPONSE_BYTES:
            message = f"Response payload size exceeded maximum allowed payload size ({_LARGEST_RESPONSE_BYTES} bytes)."
            body = _document({"errorType": "Function.ResponseSizeTooLarge", "errorMessage": message})
            return run.outcome(body, "error", self._lines(), self._memory_used())
        return run.outcome(body, "success", self._lines(), self._memory_used())

    def _ended(
        self, run: "_Run", status: Status, document: dict[str, Any], fatal_type: str | None, line: str | None
    ) -> Outcome:
        """The outcome of an invocation that the process does not outlive."""
        memory_used = self._memory_used()
        self.end()
        lines = self._lines()
        if line:
            lines.append(LogLine(time.time_ns() // 1_000_000, line))
        return run.outcome(_document(document), status, lines, memory_used, fatal_type)

    # The process

    def _is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _start(self) -> None:
        settings = self.settings
        self._resources = contextlib.ExitStack()
        self._selector = self._resources.enter_context(selectors.DefaultSelector())
        listener = self._resources.enter_context(socket.create_server(("127.0.0.1", 0)))
        self._selector.register(listener, selectors.EVENT_READ, lambda: self._accept(listener))
        output, output_of_process = os.pipe()
        lifeline_of_process, lifeline = os.pipe()
        for descriptor in (output, lifeline):
            self._resources.callback(os.close, descriptor)
        os.set_blocking(output, False)
        self._selector.register(output, selectors.EVENT_READ, lambda: self._read_output(output))
        (settings.scratch / "tmp").mkdir(parents=True, exist_ok=True)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own program; what it runs is the developer's
                self._command(lifeline_of_process),
                cwd=settings.task_root,
                env=settings.variables
                | {
                    "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{listener.getsockname()[1]}",
                    "_LAMBDA_TELEMETRY_LOG_FD": str(output_of_process),
                },
                stdin=subprocess.DEVNULL,
                stdout=output_of_process,
                stderr=output_of_process,
                pass_fds=(output_of_process, lifeline_of_process),
            )
        finally:
            os.close(output_of_process)
            os.close(lifeline_of_process)

    def _command(self, lifeline: int) -> list[str]:
        opt = str(self.settings.opt) if self.settings.opt else "-"
        return [BASE_PYTHON, "-I", "-S", "-X", "utf8", str(_START), opt, str(lifeline)]

    def _memory_used(self) -> int:
        """The most that the process has had in memory, in MB; 0 where the system does not tell or it is gone."""
        if self._process is None:
            return 0
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_text()
        except OSError:
            return 0
        for line in status.splitlines():
            if line.startswith("VmHWM:"):
                return -(-int(line.split()[1]) // 1024)
        return 0

    def _lines(self) -> list[LogLine]:
        if self._process is not None:
            self._pump(0)
        return self._output.take()

    # The Runtime API

    def _await_next(self, deadline: float) -> None:
        while self._waiting is None:
            request = self._next_request(deadline)
            if request.method == "GET" and request.path.endswith("/invocation/next"):
                self._waiting = request
            elif request.method == "POST" and request.path.endswith("/init/error"):
                request.respond(202)
                raise _InitError(json.loads(request.body))
            else:
                request.respond(404)

    def _next_request(self, deadline: float) -> _Request:
        while not self._requests:
            return_code = self._process.poll() if self._process else -signal.SIGKILL
            self._pump(0 if return_code is not None else min(_EXIT_CHECK_SECONDS, deadline - time.monotonic()))
            if self._requests:
                break
            if return_code is not None:
                raise _RuntimeExitError(return_code)
            if time.monotonic() >= deadline:
                raise _DeadlineError
        return self._requests.pop(0)

    def _pump(self, seconds: float) -> None:
        """Waits up to ``seconds`` for the process to say anything, and takes all that it has said."""
        for key, _ in self._selector.select(max(seconds, 0)):
            key.data()

    def _accept(self, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        self._resources.enter_context(connection)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        protocol = _ServedConnection(connection, self._requests.append)
        self._selector.register(connection, selectors.EVENT_READ, lambda: self._receive(connection, protocol))

    def _receive(self, connection: socket.socket, protocol: "_ServedConnection") -> None:
        if not protocol.receive():
            self._selector.unregister(connection)
            connection.close()

    def _read_output(self, output: int) -> None:
        """Everything in the pipe, without waiting for more."""
        while True:
            try:
                data = os.read(output, 65536)
            except BlockingIOError:
                return
            if not data:
                self._selector.unregister(output)
                return
            self._output.feed(data)


@dataclass
class _Run:
    """The clock of one invocation: its time starts when the event is handed over, or when init is run again."""

    invocation: Invocation
    init_duration: float | None = None
    init_lines: list[LogLine] = field(default_factory=list)
    deadline: float = 0.0
    started_at: float = field(default_factory=time.time)
    _begun: float = field(default_factory=time.monotonic)

    def begin(self) -> None:
        self._begun, self.started_at = time.monotonic(), time.time()
        self.deadline = self._begun + self.invocation.timeout

    def outcome(
        self, payload: bytes, status: Status, lines: list[LogLine], memory_used: int, fatal_type: str | None = None
    ) -> Outcome:
        duration = (time.monotonic() - self._begun) * 1000
        return Outcome(
            payload,
            status,
            self.init_lines,
            lines,
            self.started_at,
            duration,
            self.init_duration,
            memory_used,
            fatal_type,
        )


class _ServedConnection:
    """HTTP/1.1 on one accepted connection, by h11: bytes in, whole requests out."""

    def __init__(self, connection: socket.socket, on_request: Callable[[_Request], None]) -> None:
        self._socket = connection
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_LARGEST_HEADERS_BYTES)
        self._on_request = on_request
        self._request: _Request | None = None
        self._body: list[bytes] = []

    def receive(self) -> bool:
        """Takes what has come; False where the other side has closed, or speaks no HTTP."""
        try:
            data = self._socket.recv(262144)
            self._http.receive_data(data)
            self._take_requests()
        except (OSError, h11.RemoteProtocolError):
            return False
        return bool(data)

    def _take_requests(self) -> None:
        while True:
            event = self._http.next_event()
            match event:
                case h11.Request():
                    self._request = _Request(event.method.decode(), event.target.decode(), self._respond)
                    self._body = []
                case h11.Data():
                    self._body.append(bytes(event.data))
                case h11.EndOfMessage() if self._request is not None:
                    self._request.body = b"".join(self._body)
                    self._on_request(self._request)
                case _:
                    return

    def _respond(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        everything = {"Content-Length": str(len(body)), **(headers or {})}
        head = self._http.send(h11.Response(status_code=status, headers=list(everything.items()))) or b""
        content = self._http.send(h11.Data(data=body)) or b""
        end = self._http.send(h11.EndOfMessage()) or b""
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        self._socket.sendall(head + content + end)


def _exit_reason(return_code: int) -> str:
    """Lambda's words for how a runtime's process ended."""
    if return_code == 0:
        return "Runtime exited without providing a reason"
    if return_code > 0:
        return f"Runtime exited with error: exit status {return_code}"
    words = {signal.SIGKILL: "killed", signal.SIGSEGV: "segmentation fault", signal.SIGTERM: "terminated"}
    name = words.get(signal.Signals(-return_code), signal.Signals(-return_code).name)
    return f"Runtime exited with error: signal: {name}"


def _document(error: dict[str, Any]) -> bytes:
    return json.dumps(error).encode()


def _iso_now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{time.time_ns() // 1_000_000 % 1000:03d}Z"
