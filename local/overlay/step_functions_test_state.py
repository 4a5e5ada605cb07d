"""TestState for JSONata states: variables, retries and catches as an execution would take them.

AWS: "Using TestState API to test a state in Step Functions" and the API reference of TestState. A mocked error that a
retrier matches answers RETRIABLE, one that only a catcher matches answers CAUGHT_ERROR with the catcher's next state
and output. The engine ignores ``variables``, and of a mocked task it knows JSONPath states without retries alone.
"""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

from ministack.core.responses import json_response
from ministack.services import stepfunctions

from local.overlay.engine_hooks import Engine, original, replace


def install(_: Engine) -> None:
    """Wraps the engine's TestState."""
    replace(stepfunctions, "_test_state", partial(_test_state, original(stepfunctions, "_test_state")))


def _test_state(engines: Any, request: dict[str, Any]) -> Any:
    definition = json.loads(request["definition"])
    state = definition["States"][request["stateName"]] if "States" in definition else definition
    language = state.get("QueryLanguage", definition.get("QueryLanguage"))
    variables = json.loads(request.get("variables") or "{}")
    if language == "JSONata" and state.get("Type") == "Task" and request.get("mock"):
        return json_response(_mocked_task(state, request, variables))
    context = {**json.loads(request.get("context") or "{}"), "variables": variables, "QueryLanguage": language}
    return engines({**request, "context": json.dumps(context)})


def _mocked_task(state: Mapping[str, Any], request: Mapping[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
    given, mock = json.loads(request.get("input") or "{}"), request["mock"]
    # As on AWS, the state sees the context object that the caller gives, and what it needs of its own.
    context = {"State": {"Name": "TestState"}, **json.loads(request.get("context") or "{}"), "variables": variables}
    context["QueryLanguage"] = "JSONata"
    try:
        stepfunctions._apply_jsonata_arguments(state, given, context)
        if "errorOutput" in mock:
            attempt = (request.get("stateConfiguration") or {}).get("retrierRetryCount", 0)
            return _failed(state, given, context, mock["errorOutput"], attempt)
        result = json.loads(mock["result"])
        output = stepfunctions._apply_jsonata_output(state, given, context, result=result, default=result)
        stepfunctions._apply_state_assign(state, given, context, result=result)
    except stepfunctions._ExecutionError as failed:
        return {"status": "FAILED", "error": failed.error, "cause": failed.cause}
    return {"status": "SUCCEEDED", "output": json.dumps(output)} | _next(state)


def _failed(
    state: Mapping[str, Any], given: Any, context: dict[str, Any], mocked: Mapping[str, str], attempt: int
) -> dict[str, Any]:
    error, cause = mocked.get("error", ""), mocked.get("cause", "")
    counts = dict.fromkeys(range(len(state.get("Retry", []))), attempt)
    retrier, _ = stepfunctions._find_matching_retrier(state.get("Retry", []), error, counts)
    said = {"error": error, "cause": cause}
    if retrier is not None:
        return {"status": "RETRIABLE", **said}
    catcher = stepfunctions._find_matching_catcher(state.get("Catch", []), error)
    if catcher is None:
        return {"status": "FAILED", **said}
    caught = {"Error": error, "Cause": cause}
    output = stepfunctions._apply_catcher(catcher, given, context, "JSONata", caught)
    return {"status": "CAUGHT_ERROR", "output": json.dumps(output), "nextState": catcher["Next"], **said}


def _next(state: Mapping[str, Any]) -> dict[str, str]:
    return {"nextState": state["Next"]} if "Next" in state else {}
