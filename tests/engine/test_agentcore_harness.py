"""AgentCore's managed harness over the local models: CreateStack and unmodified boto3, sessions, tools, errors."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError
from botocore.session import Session
from ministack.services import bedrock_agentcore
from ministack.services.cloudformation import provisioners

from backbone.tool_catalogue import TOOLS, input_schema
from local.process import EngineProcess
from tests.engine.callers import a_user
from tests.engine.openai_servers import ScriptedServer, a_scripted_server, a_status, a_stream
from tests.engine.stacks import Client, create, delete, deployed, outputs_of, template, update

MODEL = "amazon.nova-lite-v1:0"
MODEL_ARN = f"arn:aws:bedrock:eu-central-1::foundation-model/{MODEL}"
SESSION = "conversation-0123456789-0123456789-01"
BANK_TOOLS = [
    {
        "type": "inline_function",
        "name": tool.name,
        "config": {"inlineFunction": {"description": tool.description, "inputSchema": input_schema(tool)}},
    }
    for tool in TOOLS
]


def a_harness(
    name: str = "bank",
    *,
    models: str = MODEL_ARN,
    trusted: str = "bedrock-agentcore.amazonaws.com",
    **properties: Any,
) -> dict[str, Any]:
    """A template with a harness and its execution role, which may ask ``models`` and is trusted as AWS advises."""
    condition = {
        "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}},
        "ArnLike": {"aws:SourceArn": {"Fn::Sub": "arn:aws:bedrock-agentcore:${AWS::Region}:${AWS::AccountId}:*"}},
    }
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": trusted},
        "Action": "sts:AssumeRole",
        "Condition": condition,
    }
    grant = {"Effect": "Allow", "Action": "bedrock:InvokeModelWithResponseStream", "Resource": models}
    role = {
        "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]},
        "Policies": [{"PolicyName": "model", "PolicyDocument": {"Version": "2012-10-17", "Statement": [grant]}}],
    }
    harness = {
        "HarnessName": name,
        "ExecutionRoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
        "Model": {"BedrockModelConfig": {"ModelId": MODEL, "MaxTokens": "500", "Temperature": 0}},
        "SystemPrompt": [{"Text": "You serve the customers of a bank."}],
        "AllowedTools": [tool.name for tool in TOOLS],
        "Memory": {"Disabled": {}},
        **properties,
    }
    attributes = ("Arn", "HarnessId", "Status", "Version", "CreatedAt", "UpdatedAt")
    return template(
        {
            "Role": {"Type": "AWS::IAM::Role", "Properties": role},
            "Harness": {"Type": "AWS::BedrockAgentCore::Harness", "Properties": harness},
        },
        {"Ref": {"Ref": "Harness"}} | {name: {"Fn::GetAtt": ["Harness", name]} for name in attributes},
    )


def said(text: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"text": text}]}


def answered(use: dict[str, Any], **result: Any) -> list[dict[str, Any]]:
    """The two messages that answer a tool's use: the use again, and its result."""
    content = {"toolUseId": use["toolUseId"], "content": [{"text": "{}"}], "status": "success", **result}
    return [
        {"role": "assistant", "content": [{"toolUse": use}]},
        {"role": "user", "content": [{"toolResult": content}]},
    ]


def invoke(client: Any, arn: str, *messages: dict[str, Any], session: str = SESSION, **more: Any) -> list[Any]:
    answer = client.invoke_harness(harnessArn=arn, runtimeSessionId=session, messages=list(messages), **more)
    with closing(answer["stream"]) as stream:
        return list(stream)


def text_of(events: list[Any]) -> str:
    return "".join(
        event["contentBlockDelta"]["delta"].get("text", "") for event in events if "contentBlockDelta" in event
    )


def use_of(events: list[Any]) -> dict[str, Any]:
    (start,) = (event["contentBlockStart"]["start"]["toolUse"] for event in events if "contentBlockStart" in event)
    written = "".join(
        event["contentBlockDelta"]["delta"]["toolUse"]["input"] for event in events if "contentBlockDelta" in event
    )
    return {"toolUseId": start["toolUseId"], "name": start["name"], "input": json.loads(written)}


def stop_reason_of(events: list[Any]) -> str:
    (reason,) = (event["messageStop"]["stopReason"] for event in events if "messageStop" in event)
    return str(reason)


def code_of(raised: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    response = raised.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


# --- The light profile: a real router decides


@pytest.fixture(scope="module")
def harness(aws: Client) -> Iterator[str]:
    with deployed(aws, a_harness("counter")) as stack:
        yield outputs_of(aws, stack)["Arn"]


def test_harness_hands_a_tool_s_use_to_the_caller_and_answers_from_the_result(aws: Client, harness: str) -> None:
    client, session = aws("bedrock-agentcore"), f"{SESSION}-cards"
    asked = invoke(client, harness, said("Which cards do I have?"), session=session, tools=BANK_TOOLS)
    assert stop_reason_of(asked) == "tool_use"
    use = use_of(asked)
    assert (use["name"], use["input"]) == ("list_cards", {})
    result = {"state": "done", "facts": ["The debit card ending 0042 (CARD-000042) is active."], "data": {}}
    told = invoke(
        client,
        harness,
        *answered(use, content=[{"text": json.dumps(result)}]),
        session=session,
        tools=BANK_TOOLS,
    )
    assert stop_reason_of(told) == "end_turn"
    assert "debit card ending 0042" in text_of(told)


def test_harness_offers_no_tool_that_is_not_allowed(aws: Client, harness: str) -> None:
    asked = invoke(
        aws("bedrock-agentcore"),
        harness,
        said("Which cards do I have?"),
        session=f"{SESSION}-none",
        tools=BANK_TOOLS,
        allowedTools=["search_documents"],
    )
    uses = [event for event in asked if "toolUse" in event.get("contentBlockStart", {}).get("start", {})]
    assert [use["contentBlockStart"]["start"]["toolUse"]["name"] for use in uses] in ([], ["search_documents"])


# --- A scripted model: what it is asked, and how it fails


@pytest.fixture(scope="module")
def scripted() -> Iterator[ScriptedServer]:
    with a_scripted_server() as server:
        yield server


@pytest.fixture(scope="module")
def served(scripted: ScriptedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Clients of an engine whose model is the scripted server."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCAL_MODEL_PROFILE", "server")
        patch.setenv("LOCAL_MODEL_SERVER_URL", scripted.address)
        patch.setenv("LOCAL_MODEL_NAME", "qwen2.5")
        home: Path = tmp_path_factory.mktemp("harness-engine")
        with EngineProcess.start(home=home, region="eu-central-1") as process:
            yield clients_of(process.endpoint)


@pytest.fixture(scope="module")
def scripted_harness(served: Client) -> Iterator[str]:
    with deployed(served, a_harness()) as stack:
        yield outputs_of(served, stack)["Arn"]


@pytest.fixture
def asked(scripted: ScriptedServer, served: Client, scripted_harness: str) -> Callable[..., list[Any]]:
    """``asked("text", session="...")`` invokes the scripted harness; what the model was asked is new for each test."""
    scripted.requests.clear()
    scripted.reply = a_stream("Good ", "morning.")

    def ask(*messages: str | dict[str, Any], **more: Any) -> list[Any]:
        told = [said(message) if isinstance(message, str) else message for message in messages]
        return invoke(served("bedrock-agentcore"), scripted_harness, *told, **more)

    return ask


def clients_of(endpoint: str) -> Client:
    return lambda service: Session().create_client(
        service,
        endpoint_url=endpoint,
        region_name="eu-central-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 - made up
        config=Config(retries={"total_max_attempts": 1}, read_timeout=20),
    )


def test_answer_is_streamed_in_the_events_of_the_protocol(asked: Callable[..., list[Any]]) -> None:
    events = asked("Hello", session=f"{SESSION}-a")
    assert [next(iter(event)) for event in events] == [
        "messageStart",
        "contentBlockDelta",
        "contentBlockDelta",
        "contentBlockStop",
        "messageStop",
        "metadata",
    ]
    assert text_of(events) == "Good morning."
    assert stop_reason_of(events) == "end_turn"
    assert events[-1]["metadata"]["usage"] == {"inputTokens": 20, "outputTokens": 4, "totalTokens": 24}


def test_answer_s_first_words_come_before_the_model_has_the_last(
    scripted: ScriptedServer, served: Client, scripted_harness: str
) -> None:
    first_was_read = threading.Event()
    scripted.reply = a_stream("Good ", first_was_read, "morning.")
    answer = served("bedrock-agentcore").invoke_harness(
        harnessArn=scripted_harness, runtimeSessionId=f"{SESSION}-b", messages=[said("Hello")]
    )
    for event in answer["stream"]:
        if "contentBlockDelta" in event:
            first_was_read.set()
    assert first_was_read.is_set()


def test_session_remembers_what_was_said_in_it_and_nothing_of_another(
    asked: Callable[..., list[Any]], scripted: ScriptedServer
) -> None:
    asked("My card is gone.", session=f"{SESSION}-c")
    asked("What now?", session=f"{SESSION}-c")
    asked("What now?", session=f"{SESSION}-d")
    first, second, other = ([message["content"] for message in request["messages"]] for request in scripted.requests)
    system = "You serve the customers of a bank."
    assert first == [system, "My card is gone."]
    assert second == [system, "My card is gone.", "Good morning.", "What now?"]
    assert other == [system, "What now?"]


def test_call_overrides_the_harness_s_system_prompt_and_bounds(
    asked: Callable[..., list[Any]], scripted: ScriptedServer
) -> None:
    asked("Hello", session=f"{SESSION}-e", systemPrompt=[{"text": "Be brief."}], maxTokens=7)
    (request,) = scripted.requests
    assert request["messages"][0] == {"role": "system", "content": "Be brief."}
    assert (request["max_tokens"], request["temperature"]) == (7, 0)


@pytest.mark.parametrize(
    ("status", "code"),
    [(429, "ThrottlingException"), (503, "ServiceUnavailableException"), (500, "ModelErrorException")],
)
def test_model_that_does_not_answer_is_an_error_that_names_its_own_and_no_made_up_text(
    asked: Callable[..., list[Any]], scripted: ScriptedServer, status: int, code: str
) -> None:
    scripted.reply = a_status(status, {"error": {"message": "no"}})
    with pytest.raises(ClientError, match=rf"\({code}\) when calling the ConverseStream operation") as raised:
        asked("Hello", session=f"{SESSION}-f")
    assert code_of(raised) == ("RuntimeClientError", 424)
    assert len(scripted.requests) == 1


def test_failed_call_leaves_nothing_in_the_session(asked: Callable[..., list[Any]], scripted: ScriptedServer) -> None:
    working = scripted.reply
    scripted.reply = a_status(503, {"error": {"message": "no"}})
    with pytest.raises(ClientError):
        asked("Lost", session=f"{SESSION}-g")
    scripted.reply = working
    asked("Found", session=f"{SESSION}-g")
    assert [message["content"] for message in scripted.requests[-1]["messages"][1:]] == ["Found"]


def test_stream_that_breaks_off_ends_in_an_error_and_not_in_an_end(
    asked: Callable[..., list[Any]], scripted: ScriptedServer
) -> None:
    scripted.reply = a_stream("Good ", None)
    with pytest.raises(EventStreamError, match=r"runtimeClientError.*ConverseStream"):
        asked("Hello", session=f"{SESSION}-h")


@pytest.mark.parametrize(
    ("messages", "why"),
    [
        (answered({"toolUseId": "t1", "name": "list_cards", "input": {}})[1:], "exceeds the number of toolUse blocks"),
        (
            answered({"toolUseId": "t1", "name": "list_cards", "input": {}}, content=[{"json": {}}]),
            "unsupported type",
        ),
    ],
    ids=["result without its use", "result in JSON"],
)
def test_tool_result_that_the_model_s_provider_would_refuse_is_refused(
    asked: Callable[..., list[Any]], scripted: ScriptedServer, messages: list[Any], why: str
) -> None:
    with pytest.raises(ClientError, match=why) as raised:
        asked(*messages, session=f"{SESSION}-i")
    assert code_of(raised) == ("RuntimeClientError", 424)
    assert scripted.requests == []


# --- Who may


@pytest.mark.parametrize(
    ("granted", "missing"),
    [
        (["bedrock-agentcore:InvokeAgentRuntime"], "bedrock-agentcore:InvokeHarness"),
        (["bedrock-agentcore:InvokeHarness"], "bedrock-agentcore:InvokeAgentRuntime"),
    ],
)
def test_invoking_needs_two_actions_on_the_harness(
    served: Client, scripted_harness: str, granted: list[str], missing: str
) -> None:
    with a_user(served, {"Effect": "Allow", "Action": granted, "Resource": scripted_harness}) as client:
        with pytest.raises(ClientError, match=f"{missing} on resource: {re.escape(scripted_harness)}") as raised:
            invoke(client("bedrock-agentcore"), scripted_harness, said("Hello"))
        assert code_of(raised) == ("AccessDeniedException", 403)


def test_caller_with_both_actions_on_this_harness_is_answered(
    served: Client, scripted: ScriptedServer, scripted_harness: str
) -> None:
    scripted.reply = a_stream("Good morning.")
    both = ["bedrock-agentcore:InvokeHarness", "bedrock-agentcore:InvokeAgentRuntime"]
    with a_user(served, {"Effect": "Allow", "Action": both, "Resource": scripted_harness}) as client:
        assert text_of(invoke(client("bedrock-agentcore"), scripted_harness, said("Hello"))) == "Good morning."


def test_harness_whose_role_may_not_ask_the_model_says_so(aws: Client) -> None:
    with deployed(aws, a_harness("powerless", models=f"{MODEL_ARN}-other")) as stack:
        arn = outputs_of(aws, stack)["Arn"]
        with pytest.raises(ClientError, match="InvokeModelWithResponseStream on resource") as raised:
            invoke(aws("bedrock-agentcore"), arn, said("Hello"))
        assert code_of(raised) == ("RuntimeClientError", 424)


def test_harness_that_does_not_exist_is_not_found(aws: Client) -> None:
    arn = "arn:aws:bedrock-agentcore:eu-central-1:000000000000:harness/nobody-0123456789"
    with pytest.raises(ClientError) as raised:
        invoke(aws("bedrock-agentcore"), arn, said("Hello"))
    assert code_of(raised) == ("ResourceNotFoundException", 404)


# --- CloudFormation, and describing


def test_stack_makes_a_harness_that_can_be_described_and_listed(aws: Client) -> None:
    control = aws("bedrock-agentcore-control")
    with deployed(aws, a_harness("described", Tools=[_in_template(tool) for tool in BANK_TOOLS])) as stack:
        outputs = outputs_of(aws, stack)
        assert outputs["Ref"] == outputs["Arn"]
        assert re.fullmatch(r"described-[a-zA-Z0-9]{10}", outputs["HarnessId"])
        assert (outputs["Status"], outputs["Version"]) == ("READY", "1")
        found = control.get_harness(harnessId=outputs["HarnessId"])["harness"]
        assert found["arn"] == outputs["Arn"]
        assert found["model"] == {"bedrockModelConfig": {"modelId": MODEL, "maxTokens": 500, "temperature": 0.0}}
        assert found["tools"] == BANK_TOOLS
        assert outputs["Arn"] in [listed["arn"] for listed in control.list_harnesses()["harnesses"]]
    assert outputs["Arn"] not in [listed["arn"] for listed in control.list_harnesses()["harnesses"]]


def test_changed_harness_keeps_its_arn_and_counts_its_version(aws: Client) -> None:
    with deployed(aws, a_harness("changing")) as stack:
        before = outputs_of(aws, stack)
        assert update(aws, stack, a_harness("changing", MaxTokens=9)) == ("UPDATE_COMPLETE", "")
        after = outputs_of(aws, stack)
        assert (after["Arn"], after["Version"]) == (before["Arn"], "2")
        described = aws("bedrock-agentcore-control").get_harness(harnessId=after["HarnessId"])["harness"]
        assert described["maxTokens"] == 9


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (a_harness("browsing", Tools=[{"Type": "agentcore_browser"}]), "no a tool of type agentcore_browser"),
        (a_harness("other", Model={"OpenAiModelConfig": {"ModelId": "gpt", "ApiKeyArn": "a"}}), "openAiModelConfig"),
        (a_harness("skilled", Skills=[{"Path": "/skills"}]), "skills"),
        (a_harness("untrusted", trusted="lambda.amazonaws.com"), "Role validation failed"),
        (a_harness("misspelt", SystemPrompts=[]), "systemPrompts"),
    ],
    ids=["tool", "model", "skills", "role", "property"],
)
def test_harness_that_could_not_work_fails_its_stack_with_the_reason(
    aws: Client, body: dict[str, Any], why: str
) -> None:
    name = body["Resources"]["Harness"]["Properties"]["HarnessName"]
    status, reason = create(aws, f"bad-{name}", body)
    delete(aws, f"bad-{name}")
    assert status == "ROLLBACK_COMPLETE"
    assert why in reason


def _in_template(tool: dict[str, Any]) -> dict[str, Any]:
    inline = tool["config"]["inlineFunction"]
    config = {"Description": inline["description"], "InputSchema": inline["inputSchema"]}
    return {"Type": tool["type"], "Name": tool["name"], "Config": {"InlineFunction": config}}


# --- What the engine does by itself


def test_engine_still_lacks_a_harness() -> None:
    assert "AWS::BedrockAgentCore::Harness" not in provisioners._RESOURCE_HANDLERS
    assert "harness" not in Path(str(bedrock_agentcore.__file__)).read_text().lower()
