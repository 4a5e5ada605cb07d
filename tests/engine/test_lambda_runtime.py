"""Python functions in the embedded AWS: errors, environment, imports, logs and life cycle as on AWS, by boto3."""

import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from uuid import uuid4

import pytest
from botocore.config import Config
from botocore.session import Session

from local.process import EngineProcess
from tests.engine.functions import ANYTHING, a_function, a_role, create_function, invoke, logged, zipped
from tests.engine.queues import a_queue
from tests.engine.stacks import Client
from tests.engine.waiting import wait_until

PID = "import os\ndef handler(event, context):\n    return os.getpid()\n"


def client_of(engine: EngineProcess) -> Client:
    @cache
    def client(service: str) -> object:
        return Session().create_client(
            service,
            endpoint_url=engine.endpoint,
            region_name="eu-central-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106 - made up: the engine's root identity
            config=Config(retries={"total_max_attempts": 1}, read_timeout=60, max_pool_connections=50),
        )

    return client


@pytest.fixture
def own_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EngineProcess]:
    """An engine of two processes, a third for who is waited for, and a patience of 2 s; a test may also kill it."""
    monkeypatch.setenv("LOCAL_LAMBDA_PROCESSES", "2")
    monkeypatch.setenv("LOCAL_LAMBDA_QUEUE_SECONDS", "2")
    with EngineProcess.start(home=tmp_path / "engine", region="eu-central-1") as process:
        yield process


def is_running(pid: int) -> bool:
    """A killed process runs until its last thread is gone: its parent cannot see that it ended before that."""
    process = Path(f"/proc/{pid}")
    try:
        state = (process / "stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z" or len(list((process / "task").iterdir())) > 1
    except FileNotFoundError:
        return False


# Errors


def test_exception_keeps_its_class_message_and_stack_trace(aws: Client) -> None:
    code = """
        class CardUnknown(Exception): pass
        def handler(event, context):
            raise CardUnknown("no such card")
    """
    with a_function(aws, code) as name:
        answer = invoke(aws, name)
    assert answer.error == "Unhandled"
    assert answer.payload["errorType"] == "CardUnknown"
    assert answer.payload["errorMessage"] == "no such card"
    assert "in handler" in answer.payload["stackTrace"][-1]
    assert "[ERROR] CardUnknown: no such card" in answer.log


def test_state_machine_catches_an_exception_by_its_class(aws: Client) -> None:
    code = "class CardUnknown(Exception): pass\ndef handler(event, context): raise CardUnknown('no such card')\n"
    with a_function(aws, code) as name, a_role(aws, ANYTHING, service="states.amazonaws.com") as role:
        arn = aws("lambda").get_function(FunctionName=name)["Configuration"]["FunctionArn"]
        catch = {"ErrorEquals": ["CardUnknown"], "Next": "Caught"}
        states = {
            "Call": {"Type": "Task", "Resource": arn, "Catch": [catch], "End": True},
            "Caught": {"Type": "Succeed"},
        }
        definition = json.dumps({"StartAt": "Call", "States": states})
        machines = aws("stepfunctions")
        machine = machines.create_state_machine(name=name, definition=definition, roleArn=role)["stateMachineArn"]
        execution = machines.start_execution(stateMachineArn=machine)["executionArn"]

        def final_status() -> str:
            status: str = machines.describe_execution(executionArn=execution)["status"]
            return "" if status == "RUNNING" else status

        assert wait_until(final_status, 15, "the execution ends") == "SUCCEEDED"
        machines.delete_state_machine(stateMachineArn=machine)


@pytest.mark.parametrize("package", ["numpy", "ministack", "h11", "pytest"])
def test_import_of_what_the_function_did_not_bring_fails_as_on_aws(aws: Client, package: str) -> None:
    with a_function(aws, f"import {package}\ndef handler(event, context): return 1\n") as name:
        first, second = invoke(aws, name), invoke(aws, name)
    for answer in (first, second):
        assert answer.payload["errorType"] == "Runtime.ImportModuleError"
        assert answer.payload["errorMessage"] == f"Unable to import module 'app': No module named '{package}'"
    assert "Error Type: Runtime.ImportModuleError" in first.log


@pytest.mark.parametrize(
    ("code", "error_type"),
    [
        ("x = 1\n", "Runtime.HandlerNotFound"),
        ("def handler(event, context:\n", "Runtime.UserCodeSyntaxError"),
        ("def handler(event, context): return object()\n", "Runtime.MarshalError"),
        ("raise LookupError('at init')\n", "LookupError"),
    ],
)
def test_faulty_module_is_reported_with_the_type_that_aws_gives(aws: Client, code: str, error_type: str) -> None:
    with a_function(aws, code) as name:
        assert invoke(aws, name).payload["errorType"] == error_type


def test_function_works_again_after_its_broken_module_was_replaced(aws: Client) -> None:
    with a_function(aws, "import nothing_like_it\n") as name:
        assert invoke(aws, name).error == "Unhandled"
        aws("lambda").update_function_code(FunctionName=name, ZipFile=zipped(app="def handler(e, c): return 'well'\n"))
        assert invoke(aws, name).payload == "well"


def test_another_python_is_refused_rather_than_run_in_this_one(aws: Client) -> None:
    with a_function(aws, PID, Runtime="python3.12") as name:
        answer = invoke(aws, name)
    assert answer.error == "Unhandled"
    assert "wants python3.12" in answer.payload["errorMessage"]


def test_time_out_is_answered_in_time_and_the_next_call_gets_a_new_process(aws: Client) -> None:
    code = """
        import os, time
        def handler(event, context):
            print("before")
            time.sleep(event.get("sleep", 0))
            return os.getpid()
    """
    with a_function(aws, code, timeout=1) as name:
        before = invoke(aws, name).payload
        answer = invoke(aws, name, {"sleep": 30})
        after = invoke(aws, name).payload
    assert answer.payload["errorType"] == "Sandbox.Timedout"
    assert answer.payload["errorMessage"].endswith("Task timed out after 1.00 seconds")
    assert "before\n" in answer.log
    assert "Status: timeout" in answer.log
    assert after != before
    assert not is_running(before)


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ("os._exit(3)", "exit status 3"),
        ("os.kill(os.getpid(), 9)", "signal: killed"),
        ("os.kill(os.getpid(), 11)", "signal: segmentation fault"),
    ],
)
def test_process_that_ends_in_a_call_is_a_runtime_exit_error(aws: Client, way: str, reason: str) -> None:
    code = f"import os\ndef handler(event, context):\n    if event.get('end'): {way}\n    return os.getpid()\n"
    with a_function(aws, code) as name:
        before, answer, after = invoke(aws, name), invoke(aws, name, {"end": True}), invoke(aws, name)
    assert answer.payload["errorType"] == "Runtime.ExitError"
    assert answer.payload["errorMessage"].endswith(f"Runtime exited with error: {reason}")
    assert after.payload != before.payload


def test_process_that_ended_between_two_calls_is_replaced_unseen(aws: Client) -> None:
    with a_function(aws, PID) as name:
        pid = invoke(aws, name).payload
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not is_running(pid), 5, "the worker is gone")
        answer = invoke(aws, name)
    assert answer.error is None
    assert answer.payload != pid


def test_response_over_six_megabytes_is_refused(aws: Client) -> None:
    with a_function(aws, "def handler(event, context): return 'x' * 7_000_000\n") as name:
        assert invoke(aws, name).payload["errorType"] == "Function.ResponseSizeTooLarge"


@pytest.mark.parametrize("value", [None, 0, "text", "zażółć 🚀", [], {"a": [1.5, None, True]}, "x" * 1_000_000])
def test_event_comes_back_as_it_went(aws: Client, value: object) -> None:
    with a_function(aws, "def handler(event, context): return event['value']\n") as name:
        assert invoke(aws, name, {"value": value}).payload == value


# What a function sees


def test_environment_holds_what_lambda_gives_and_nothing_of_the_host(aws: Client, engine: EngineProcess) -> None:
    code = "import os\ndef handler(event, context): return dict(os.environ)\n"
    with a_function(aws, code, Environment={"Variables": {"OWN": "1", "AWS_ENDPOINT_URL": ""}}) as name:
        seen = invoke(aws, name).payload
    expected = """
        OWN AWS_ENDPOINT_URL HOME TMPDIR PATH LANG TZ _HANDLER _X_AMZN_TRACE_ID
        AWS_REGION AWS_DEFAULT_REGION AWS_EXECUTION_ENV AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN
        AWS_LAMBDA_FUNCTION_NAME AWS_LAMBDA_FUNCTION_VERSION AWS_LAMBDA_FUNCTION_MEMORY_SIZE AWS_LAMBDA_LOG_FORMAT
        AWS_LAMBDA_INITIALIZATION_TYPE AWS_LAMBDA_LOG_GROUP_NAME AWS_LAMBDA_LOG_STREAM_NAME AWS_LAMBDA_RUNTIME_API
        AWS_XRAY_CONTEXT_MISSING AWS_XRAY_DAEMON_ADDRESS _AWS_XRAY_DAEMON_ADDRESS _AWS_XRAY_DAEMON_PORT
        AWS_DISABLE_HOST_PREFIX_INJECTION LAMBDA_TASK_ROOT LAMBDA_RUNTIME_DIR
    """
    # Python itself adds LC_CTYPE where the machine lacks the locale that LANG names.
    assert set(seen) - {"LC_CTYPE"} == set(expected.split())
    assert seen["AWS_ENDPOINT_URL"] == engine.endpoint
    assert seen["AWS_EXECUTION_ENV"] == "AWS_Lambda_python3.13"
    assert seen["TZ"] == ":UTC"
    assert seen["AWS_ACCESS_KEY_ID"].startswith("ASIA")


def test_declared_variables_win_over_defaults_but_not_over_what_lambda_reserves(aws: Client) -> None:
    declared = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "TZ": "Europe/Berlin", "AWS_XRAY_CONTEXT_MISSING": "RUNTIME"}
    code = "import os\ndef handler(event, context): return dict(os.environ)\n"
    with a_function(aws, code, Environment={"Variables": declared}) as name:
        seen = invoke(aws, name).payload
    assert {key: seen[key] for key in declared} == declared


def test_context_object_tells_what_aws_tells(aws: Client) -> None:
    code = """
        def handler(event, context):
            return [context.function_name, context.function_version, context.memory_limit_in_mb,
                    context.invoked_function_arn, context.log_group_name, context.get_remaining_time_in_millis()]
    """
    with a_function(aws, code, timeout=7, MemorySize=256) as name:
        arn = aws("lambda").get_function(FunctionName=name)["Configuration"]["FunctionArn"]
        *values, remaining = invoke(aws, name).payload
    assert values == [name, "$LATEST", "256", arn, f"/aws/lambda/{name}"]
    assert 6000 < remaining <= 7000


def test_role_of_the_function_is_who_it_is(aws: Client) -> None:
    code = "import boto3\ndef handler(event, context): return boto3.client('sts').get_caller_identity()['Arn']\n"
    with a_function(aws, code) as name:
        assert invoke(aws, name).payload.endswith(f"/{name}")


def test_layers_come_after_the_code_and_before_the_runtime(aws: Client) -> None:
    layers = aws("lambda")
    one = zipped(python__shared="FROM = 'layer one'\n", python__app="raise RuntimeError\n", python__six="IS = 'ours'\n")
    two = zipped(
        python__shared="FROM = 'layer two'\n", **{"python__lib__python3.13__site-packages__deep": "A = 'deep'\n"}
    )
    arns = [
        layers.publish_layer_version(LayerName=f"layer-{uuid4().hex[:8]}", Content={"ZipFile": content})
        for content in (one, two)
    ]
    code = "import shared, six, deep\ndef handler(event, context): return [shared.FROM, six.IS, deep.A]\n"
    with a_function(aws, code, Layers=[layer["LayerVersionArn"] for layer in arns]) as name:
        answer = invoke(aws, name)
    assert answer.payload == ["layer two", "ours", "deep"]


def test_code_is_unzipped_once_for_all_processes_of_a_function(aws: Client) -> None:
    code = """
        import os, time
        def handler(event, context):
            time.sleep(0.5)
            return [os.getpid(), os.environ["LAMBDA_TASK_ROOT"], context.log_stream_name]
    """
    with a_function(aws, code) as name, ThreadPoolExecutor(2) as threads:
        answers = [answer.payload for answer in threads.map(lambda _: invoke(aws, name), range(2))]
    pids, folders, streams = (len(set(values)) for values in zip(*answers, strict=True))
    assert (pids, folders, streams) == (2, 1, 2)


# Traces and recursion


def test_trace_goes_on_into_a_function_that_a_function_calls(aws: Client) -> None:
    inner = "import os\ndef handler(event, context): return os.environ['_X_AMZN_TRACE_ID']\n"
    outer = """
        import boto3, json, os
        def handler(event, context):
            answer = boto3.client("lambda").invoke(FunctionName=event["call"])
            return [os.environ["_X_AMZN_TRACE_ID"], json.loads(answer["Payload"].read())]
    """
    with a_function(aws, inner) as called, a_function(aws, outer, TracingConfig={"Mode": "Active"}) as calling:
        first, second = invoke(aws, calling, {"call": called}).payload
    pattern = r"Root=(1-[0-9a-f]{8}-[0-9a-f]{24});Parent=([0-9a-f]{16});Sampled=1;Lineage=[0-9a-f]{8}:(\d)"
    one, two = re.fullmatch(pattern, first), re.fullmatch(pattern, second)
    assert one is not None
    assert two is not None
    assert one[1] == two[1]
    assert one[2] != two[2]
    assert (one[3], two[3]) == ("1", "2")


def test_function_that_calls_itself_for_ever_is_stopped(aws: Client) -> None:
    code = """
        import boto3, os
        def handler(event, context):
            print("turn", os.environ["_X_AMZN_TRACE_ID"].rpartition(":")[2])
            name = context.function_name
            boto3.client("lambda").invoke(FunctionName=name, InvocationType="Event")
    """
    with a_function(aws, code) as name:
        aws("lambda").put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0)
        invoke(aws, name)
        wait_until(lambda: any("RecursiveInvocationException" in line for line in logged(aws, name)), 30, "the stop")
        assert sum(line.startswith("turn ") for line in logged(aws, name)) == 16


# Logs


def test_log_holds_every_line_in_order_between_the_lines_of_lambda(aws: Client) -> None:
    code = """
        import logging, sys
        def handler(event, context):
            for number in range(3000):
                print("line", number)
            logging.getLogger().warning("a message\\nof two lines")
            print("to stderr", file=sys.stderr)
            sys.stdout.write("no line break")
    """
    with a_function(aws, code) as name:
        invoke(aws, name)
        messages = logged(aws, name)
    assert messages[0].startswith("START RequestId: ")
    assert messages[1:3001] == [f"line {number}" for number in range(3000)]
    assert messages[3001].endswith("\ta message\nof two lines")
    assert messages[3002:3004] == ["to stderr", "no line break"]
    assert messages[3004].startswith("END RequestId: ")
    assert re.match(r"REPORT RequestId: \S+\tDuration: [\d.]+ ms\tBilled Duration: \d+ ms\tMemory", messages[3005])
    assert "Init Duration: " in messages[3005]
    assert len(messages) == 3006


def test_json_log_format_holds_for_the_function_and_for_lambda(aws: Client) -> None:
    code = """
        import logging
        def handler(event, context):
            logging.getLogger().info("kept %s", 1)
            logging.getLogger().debug("below the level")
    """
    with a_function(aws, code, LoggingConfig={"LogFormat": "JSON"}) as name:
        answer = invoke(aws, name)
        lines = [json.loads(message) for message in logged(aws, name)]
    start, own, report = lines
    assert start["type"] == "platform.start"
    assert (own["level"], own["message"], own["requestId"]) == ("INFO", "kept 1", start["record"]["requestId"])
    assert report["type"] == "platform.report"
    assert report["record"]["status"] == "success"
    assert report["record"]["metrics"]["durationMs"] > 0
    assert answer.log.count("\n") == 3


def test_log_goes_to_the_group_that_logging_config_names(aws: Client) -> None:
    group = f"/ours/{uuid4().hex[:8]}"
    with a_function(aws, "def handler(e, c): return c.log_group_name\n", LoggingConfig={"LogGroup": group}) as name:
        assert invoke(aws, name).payload == group
    streams = aws("logs").describe_log_streams(logGroupName=group)["logStreams"]
    assert len(streams) == 1


# Speed, processes, ends


def test_silent_handler_is_not_made_to_wait_when_warm(aws: Client) -> None:
    functions, times = aws("lambda"), []
    with a_function(aws, "def handler(event, context): return event\n") as name:
        for _ in range(60):
            begun = time.perf_counter()
            functions.invoke(FunctionName=name)["Payload"].read()
            times.append(time.perf_counter() - begun)
    # The engine alone takes 56 ms, of which 50 are its wait; this takes 5, and a busy machine several times that.
    assert statistics.median(times[10:]) < 0.03


def test_processes_stay_below_the_bound_and_nobody_is_turned_away(own_engine: EngineProcess) -> None:
    aws = client_of(own_engine)
    code = "import os, time\ndef handler(event, context):\n    time.sleep(0.05)\n    return os.getpid()\n"
    with a_function(aws, code) as one, a_function(aws, code) as two, ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda number: invoke(aws, (one, two)[number % 2]), range(24)))
        assert [answer.error for answer in answers] == [None] * 24
        alive = {answer.payload for answer in answers if is_running(answer.payload)}
    assert 1 <= len(alive) <= 3


def test_idle_process_of_another_function_makes_room(own_engine: EngineProcess) -> None:
    aws = client_of(own_engine)
    with ExitStack() as functions:
        names = [functions.enter_context(a_function(aws, PID)) for _ in range(4)]
        pids = [invoke(aws, name).payload for name in names]
        assert not is_running(pids[0])
        assert all(map(is_running, pids[1:]))


def test_functions_that_wait_for_functions_get_throttled_instead_of_stuck(own_engine: EngineProcess) -> None:
    aws = client_of(own_engine)
    code = """
        import boto3, botocore.config, json
        client = boto3.client("lambda", config=botocore.config.Config(retries={"total_max_attempts": 1}))
        def handler(event, context):
            if not event["depth"]:
                return "reached"
            try:
                payload = json.dumps({"depth": event["depth"] - 1})
                answer = client.invoke(FunctionName=context.function_name, Payload=payload)
            except client.exceptions.TooManyRequestsException as error:
                return error.response["Reason"]
            return json.loads(answer["Payload"].read())
    """
    with a_function(aws, code, timeout=20) as name:
        assert invoke(aws, name, {"depth": 2}).payload == "reached"
        assert invoke(aws, name, {"depth": 3}).payload == "ConcurrentInvocationLimitExceeded"
        assert invoke(aws, name, {"depth": 2}).payload == "reached"


def test_mapping_of_a_queue_leaves_half_of_the_processes_to_others(own_engine: EngineProcess, tmp_path: Path) -> None:
    aws = client_of(own_engine)
    code = """
        import os, time
        def handler(event, context):
            (record,) = event["Records"]
            time.sleep(0.1)
            with open(record["body"], "a") as worked:
                worked.write(f"{os.getpid()} {record['attributes']['ApproximateReceiveCount']}\\n")
    """
    worked, queue = tmp_path / "worked", a_queue(aws)
    with a_function(aws, code) as name:
        aws("lambda").create_event_source_mapping(
            FunctionName=name, EventSourceArn=queue.arn, BatchSize=1, ScalingConfig={"MaximumConcurrency": 10}
        )
        for _ in range(6):
            aws("sqs").send_message(QueueUrl=queue.url, MessageBody=str(worked))
        wait_until(lambda: worked.exists() and len(worked.read_text().splitlines()) == 6, 20, "six messages worked on")
    lines = [line.split() for line in worked.read_text().splitlines()]
    assert len({process for process, _ in lines}) == 1
    assert [receives for _, receives in lines] == ["1"] * 6


@pytest.mark.parametrize("state", ["idle", "asleep in its handler", "busy in its handler"])
def test_workers_end_when_the_engine_is_killed(own_engine: EngineProcess, tmp_path: Path, state: str) -> None:
    aws = client_of(own_engine)
    code = """
        import os, pathlib, time
        def handler(event, context):
            pathlib.Path(event["file"]).write_text(str(os.getpid()))
            if event["state"].startswith("asleep"): time.sleep(60)
            while event["state"].startswith("busy"): pass
    """
    marker = tmp_path / "pid"
    name = create_function(aws, code, timeout=60)
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(invoke, aws, name, {"file": str(marker), "state": state})
        pid = int(wait_until(lambda: marker.exists() and marker.read_text(), 10, "the handler runs"))
        if state == "idle":
            call.result(10)
        os.kill(own_engine.process.pid, signal.SIGKILL)
        wait_until(lambda: not is_running(pid), 3, f"the worker that was {state} ends")
        if state != "idle":
            assert call.exception(10) is not None


def test_engine_that_stops_leaves_no_worker_and_no_folder(own_engine: EngineProcess) -> None:
    aws = client_of(own_engine)
    pid = invoke(aws, create_function(aws, PID)).payload
    environments = own_engine.home / "tmp" / "lambda" / "environments"
    assert len(list(environments.iterdir())) == 1
    own_engine.process.send_signal(signal.SIGTERM)
    own_engine.process.wait(10)
    assert not is_running(pid)
    assert not environments.exists()


# The gap


def test_engine_still_lacks_error_types_and_a_clean_environment() -> None:
    program = """
import base64, io, json, os, zipfile
os.environ.update(LAMBDA_EXECUTOR="local", HOST_SECRET="leaks")
from ministack.services import lambda_svc
content = io.BytesIO()
with zipfile.ZipFile(content, "w") as archive:
    archive.writestr("app.py", "import os, h11\\ndef handler(e, c): raise LookupError(os.environ['HOST_SECRET'])")
config = {"FunctionName": "f", "Runtime": "python3.13", "Handler": "app.handler", "Timeout": 5,
          "FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:f", "Role": ""}
result = lambda_svc._execute_function_warm({"config": config, "code_zip": content.getvalue()}, {}, "request")
print(json.dumps(result["body"]))
from ministack.core import lambda_runtime
lambda_runtime.reset()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == {"errorMessage": "leaks", "errorType": "Runtime.HandlerError"}
