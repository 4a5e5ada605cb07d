"""Lambda: Python functions run as on AWS, under AWS's own Runtime Interface Client.

The engine runs them with a worker script of its own: an exception's class is lost, each silent call waits 50 ms for
output that does not come, functions import the engine's packages and read the host's environment, nothing bounds the
processes, and LoggingConfig is not honoured. Here, per invocation of a zip function with a python3.13 runtime:

* the environment is what "Using Lambda environment variables" lists
  (https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html, see ``_variables``), the import path what
  "Runtime search path" does (.../python-package.html, see ``local/lambda_worker/start.py``);
* the process and its life are in ``lambda_environment``, the bound on processes in ``lambda_pool``, logs in
  ``lambda_logs``, unzipped code in ``lambda_packages``;
* the trace header carries the depth of calls from function to function (``Lineage``, "Lambda recursive loop
  detection"), which is how the engine's recursion limit goes on working.

LOCAL_LAMBDA_PROCESSES bounds the processes of all functions together that are at work (default: two per core, and
four; half as many again are for calls that one of these waits for); LOCAL_LAMBDA_QUEUE_SECONDS (default 20) is how long
a call waits for a free one before it is throttled with 429. A queue's mapping takes half of them at most, whatever its
MaximumConcurrency: what cannot be worked on yet waits in the queue and not here, where it would be throttled and stay
away for the queue's whole visibility timeout.
Container images and other languages stay with the engine.
"""

import atexit
import contextvars
import hashlib
import json
import logging
import os
import re
import secrets
import shutil
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ministack.core import lambda_runtime as engine_workers
from ministack.services import cloudwatch_logs, lambda_svc

from local.execute_api import local_execute_api_address
from local.lambda_runtime_folder import ensure_lambda_runtime
from local.overlay.engine_hooks import Engine, original, replace
from local.overlay.lambda_environment import EnvironmentSettings, ExecutionEnvironment, Invocation, Outcome
from local.overlay.lambda_logs import LogLine, Report, with_platform_lines
from local.overlay.lambda_packages import InvalidPackageError, PackageStore
from local.overlay.lambda_pool import EnvironmentPool, TooManyInvocationsError

type Record = dict[str, Any]

RUNTIME = "python3.13"
# AWS's default for all functions of an account in a region. The engine would throttle at 16 already, because it has
# no queue before its processes; here the pool bounds them.
_ACCOUNT_CONCURRENCY = 1000
_SHAPES_AN_ENVIRONMENT = (
    "Version", "CodeSha256", "Handler", "Runtime", "Environment", "MemorySize", "Role", "Layers", "LoggingConfig",
)  # fmt: skip
_LINEAGE = re.compile(r"Lineage=[^;:]*:(\d+)")

_log = logging.getLogger("local.lambda")
# Set by who retries an event: the request id of an asynchronous invocation is the same in every attempt.
event_request_id: contextvars.ContextVar[str] = contextvars.ContextVar("event_request_id", default="")
_inbound_trace_header: contextvars.ContextVar[str] = contextvars.ContextVar("inbound_trace_header", default="")


def install(engine: Engine) -> None:
    """Takes over the Python functions of ``engine``; makes the runtime folder first where it is missing."""
    runtime = PythonRuntime(engine, ensure_lambda_runtime(engine.project))
    dispatch = original(lambda_svc, "_execute_function_dispatch")
    invalidate = original(lambda_svc, "invalidate_worker")
    reset = original(engine_workers, "reset")
    get_worker = original(engine_workers, "get_or_create_worker")
    mapping_concurrency = original(lambda_svc, "_sqs_esm_concurrency")

    def execute(function: Record, config: Record, event: Any, request_id: str, started: float) -> Record:
        request_id = event_request_id.get() or request_id
        if not _runs_here(config):
            answer: Record = dispatch(function, config, event, request_id, started)
            return answer
        return runtime.invoke(function, config, event, request_id)

    def invalidate_worker(name: str, *arguments: Any, **options: Any) -> None:
        invalidate(name, *arguments, **options)
        runtime.forget(name)

    def reset_workers() -> None:
        reset()
        runtime.pool.end_everything()

    def worker_for_websocket(name: str, config: Record, code: bytes, qualifier: str = "$LATEST") -> Any:
        if not _runs_here(config):
            return get_worker(name, config, code, qualifier=qualifier)
        return _WebSocketCall({"config": config, "code_zip": code})

    def bounded_concurrency(*arguments: Any) -> int:
        return min(int(mapping_concurrency(*arguments)), max(1, runtime.pool.limit // 2))

    replace(lambda_svc, "_execute_function_dispatch", execute)
    replace(lambda_svc, "_sqs_esm_concurrency", bounded_concurrency)
    replace(lambda_svc, "invalidate_worker", invalidate_worker)
    replace(engine_workers, "reset", reset_workers)
    replace(engine_workers, "get_or_create_worker", worker_for_websocket)
    replace(lambda_svc, "_inbound_invoke_depth", _depth_of_caller)
    replace(lambda_svc, "_ACCOUNT_CONCURRENCY_CAP", _ACCOUNT_CONCURRENCY)
    atexit.register(runtime.end)


class PythonRuntime:
    """Runs Python functions for one engine: its pool of processes and its store of unzipped code."""

    def __init__(self, engine: Engine, runtime_folder: Path) -> None:
        self._engine = engine
        self._runtime_folder = runtime_folder
        home = Path(tempfile.gettempdir()) / "lambda"
        shutil.rmtree(home / "environments", ignore_errors=True)  # of an engine that was killed
        self._environments = home / "environments"
        self._packages = PackageStore(home / "packages")
        processors = os.cpu_count() or 1
        processes = int(os.environ.get("LOCAL_LAMBDA_PROCESSES", "") or 2 * processors + 4)
        patience = float(os.environ.get("LOCAL_LAMBDA_QUEUE_SECONDS", "") or 20)
        self.pool = EnvironmentPool(processes, patience, reserve=processes // 2, starts=processors)

    def invoke(self, function: Record, config: Record, event: Any, request_id: str) -> Record:
        """Runs ``event`` and writes its log. The answer is the engine's: ``body`` (the handler's value, or the error's
        document), ``error`` (only where it failed, then with ``function_error``), ``log`` and ``request_id``; or the
        engine's throttle answer where the queue took too long. Raises nothing for what a function or its package does.
        """
        if refusal := _refusal(function, config):
            return _failed({"errorType": "Runtime.InvalidEntrypoint", "errorMessage": refusal}, "", request_id)
        try:
            environment = self.pool.lease(
                _identity(config), lambda: self._environment(function, config), awaited=_is_awaited_by_a_function()
            )
        except TooManyInvocationsError as full:
            return _throttled(str(full))
        except InvalidPackageError as invalid:
            return _failed({"errorType": "InvalidZipFileException", "errorMessage": str(invalid)}, "", request_id)
        try:
            invocation = _invocation(config, event, request_id)
            outcome = environment.invoke(invocation, lambda: self.pool.is_ready(environment))
        finally:
            self.pool.release(environment)
        lines = with_platform_lines(
            outcome.init_lines, outcome.lines, _report(config, request_id, outcome), config.get("LoggingConfig") or {}
        )
        _write_log(environment.settings, lines)
        text = "".join(f"{line.message}\n" for line in lines)
        body = json.loads(outcome.payload) if outcome.payload else None
        if outcome.status != "success":
            return _failed(body, text, request_id)
        return {"body": body, "log": text, "request_id": request_id}

    def forget(self, function_name: str) -> None:
        """Ends the idle processes of a function whose code or configuration was changed."""
        self.pool.end_idle(
            lambda environment: environment.settings.variables["AWS_LAMBDA_FUNCTION_NAME"] == function_name
        )

    def end(self) -> None:
        """Ends all processes and removes their folders: the last thing that the engine does."""
        self.pool.end_everything()
        shutil.rmtree(self._environments, ignore_errors=True)

    def _environment(self, function: Record, config: Record) -> ExecutionEnvironment:
        task_root = self._packages.unzipped([function["code_zip"]])
        layers = [archive for layer in config.get("Layers") or [] if (archive := _layer(layer))]
        opt = self._packages.unzipped(layers) if layers else None
        name = secrets.token_hex(16)
        scratch = self._environments / name
        version = config.get("Version", "$LATEST")
        stream = f"{datetime.now(UTC):%Y/%m/%d}/[{version}]{name}"
        group = (config.get("LoggingConfig") or {}).get("LogGroup") or f"/aws/lambda/{config['FunctionName']}"
        variables = self._variables(config, task_root, scratch) | {
            "AWS_LAMBDA_LOG_GROUP_NAME": group,
            "AWS_LAMBDA_LOG_STREAM_NAME": stream,
        }
        return ExecutionEnvironment(
            EnvironmentSettings(_identity(config), task_root, opt, scratch, group, stream, variables)
        )

    def _variables(self, config: Record, task_root: Path, scratch: Path) -> dict[str, str]:
        """All that the process sees: the function's own variables, and what Lambda sets, which it cannot override.

        Three serve this machine only: HOME and TMPDIR, so that no function reads the developer's ~/.aws or litters
        /tmp, and AWS_ENDPOINT_URL where the function declares none or an empty one. A variable that holds an API's AWS
        address (``https://{api}.execute-api.{region}.amazonaws.com/{stage}``) holds the API's address here.
        """
        declared: dict[str, str] = (config.get("Environment") or {}).get("Variables") or {}
        endpoint = declared.get("AWS_ENDPOINT_URL") or self._engine.endpoint
        own = {name: local_execute_api_address(value, endpoint) for name, value in declared.items()}
        region = str(config["FunctionArn"]).split(":")[3]
        defaults = {
            "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
            "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(scratch),
            "TMPDIR": str(scratch / "tmp"),
        }
        return defaults | own | {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{RUNTIME}",
            "AWS_LAMBDA_FUNCTION_NAME": config["FunctionName"],
            "AWS_LAMBDA_FUNCTION_VERSION": config.get("Version", "$LATEST"),
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config.get("MemorySize", 128)),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:2000",
            "_AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1",
            "_AWS_XRAY_DAEMON_PORT": "2000",
            "LAMBDA_TASK_ROOT": str(task_root),
            "LAMBDA_RUNTIME_DIR": str(self._runtime_folder),
            "_HANDLER": config.get("Handler", ""),
            **_log_controls(config.get("LoggingConfig") or {}),
            **original(engine_workers, "execution_credentials")(config),
        }  # fmt: skip


class _WebSocketCall:
    """What the engine's WebSocket code expects of a worker, through the same door as every other invocation."""

    def __init__(self, function: Record) -> None:
        self._function = function

    def invoke(self, event: Any, _message_id: str) -> Record:
        result: Record = original(lambda_svc, "_execute_function")(self._function, event)
        if result.get("error"):
            return {"status": "error", "error": json.dumps(result.get("body"))}
        return {"status": "ok", "result": result.get("body")}


def _is_awaited_by_a_function() -> bool:
    """Whether a function waits for this invocation: the trace header of its call has come through one."""
    return bool(_LINEAGE.search(_inbound_trace_header.get())) and not event_request_id.get()


def _runs_here(config: Record) -> bool:
    """Whether it is a Python function from a zip file."""
    return str(config.get("Runtime", "")).startswith("python") and config.get("PackageType", "Zip") == "Zip"


def _refusal(function: Record, config: Record) -> str | None:
    """Why a function cannot be run here: said loudly, where running it in another Python would be luck."""
    if config.get("Runtime") != RUNTIME:
        return f"The embedded AWS runs {RUNTIME}; {config['FunctionName']} wants {config.get('Runtime')}."
    if not function.get("code_zip"):
        return f"{config['FunctionName']} has no code."
    return None


def _identity(config: Record) -> str:
    """Equal for two invocations that may share a process."""
    shape = [str(config["FunctionArn"]).split(":")[:7], *(config.get(name) for name in _SHAPES_AN_ENVIRONMENT)]
    return hashlib.sha256(json.dumps(shape, sort_keys=True, default=str).encode()).hexdigest()


def _invocation(config: Record, event: Any, request_id: str) -> Invocation:
    return Invocation(
        request_id,
        json.dumps(event).encode(),
        str(config["FunctionArn"]),
        _trace_header(config),
        float(config.get("Timeout", 3)),
    )


def _report(config: Record, request_id: str, outcome: Outcome) -> Report:
    return Report(
        request_id=request_id,
        version=config.get("Version", "$LATEST"),
        status=outcome.status,
        error_type=outcome.fatal_type,
        duration=outcome.duration,
        init_duration=outcome.init_duration,
        memory_size=int(config.get("MemorySize", 128)),
        memory_used=outcome.memory_used,
        started_at=int(outcome.started_at * 1000),
        ended_at=int(time.time() * 1000),
    )


def _failed(document: Any, log: str, request_id: str) -> Record:
    return {"body": document, "error": True, "function_error": "Unhandled", "log": log, "request_id": request_id}


def _throttled(message: str) -> Record:
    answer: Record = original(lambda_svc, "_throttle_response")("ConcurrentInvocationLimitExceeded", message)
    return answer


def _layer(attachment: Any) -> bytes | None:
    archive: bytes | None = original(lambda_svc, "_resolve_layer_zip")(attachment)
    return archive


def _log_controls(logging_config: Record) -> dict[str, str]:
    """The two variables by which the Runtime Interface Client learns of LoggingConfig."""
    log_format = str(logging_config.get("LogFormat") or "Text")
    if log_format.upper() != "JSON":
        return {"AWS_LAMBDA_LOG_FORMAT": log_format}
    return {
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
        "AWS_LAMBDA_LOG_LEVEL": logging_config.get("ApplicationLogLevel") or "INFO",
    }


def _write_log(settings: EnvironmentSettings, lines: list[LogLine]) -> None:
    """Through the engine's own CloudWatch Logs actions; the group and the stream are made where they are missing."""
    target = {"logGroupName": settings.log_group, "logStreamName": settings.log_stream}
    events = [{"timestamp": line.timestamp, "message": line.message} for line in lines]
    put = original(cloudwatch_logs, "_put_log_events")
    if put(target | {"logEvents": events})[0] == 200:
        return
    original(cloudwatch_logs, "_create_log_group")(target)  # which may exist: then this answers so and does nothing
    original(cloudwatch_logs, "_create_log_stream")(target)
    status, _, body = put(target | {"logEvents": events})
    if status != 200:
        _log.error("No log for %s: %s", settings.log_group, body)


def _trace_header(config: Record) -> str:
    """``_X_AMZN_TRACE_ID`` of this invocation: the caller's trace where there is one, a new parent, and the depth."""
    inbound = dict(part.partition("=")[::2] for part in _inbound_trace_header.get().split(";") if "=" in part)
    active = (config.get("TracingConfig") or {}).get("Mode") == "Active"
    root = inbound.get("Root") or f"1-{int(time.time()):08x}-{secrets.token_hex(12)}"
    sampled = inbound.get("Sampled") or ("1" if active else "0")
    depth = original(lambda_svc, "_invoke_depth").get()
    lineage = hashlib.sha256(str(config["FunctionArn"]).encode()).hexdigest()[:8]
    return f"Root={root};Parent={secrets.token_hex(8)};Sampled={sampled};Lineage={lineage}:{depth}"


def _depth_of_caller(headers: dict[str, str]) -> int:
    """How many functions a request has come through; remembers its trace for the invocation that it makes."""
    header = headers.get("x-amzn-trace-id", "")
    _inbound_trace_header.set(header)
    lineage = _LINEAGE.search(header)
    return int(lineage.group(1)) if lineage else 0
