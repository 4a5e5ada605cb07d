"""InvokeAgent and Retrieve through unmodified boto3: real functions, real permissions, errors where AWS has them."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError
from botocore.session import Session
from ministack.services import bedrock_agent
from ministack.services import bedrock_agent_runtime as engine_runtime

from local.process import EngineProcess, free_port
from tests.engine.agents import (
    MODEL_ARN,
    Said,
    a_role_resource,
    an_agent_resource,
    an_alias_resource,
    heard,
    the_model_says,
    the_model_uses,
)
from tests.engine.callers import a_user
from tests.engine.functions import a_function
from tests.engine.openai_servers import Reply, ScriptedServer, a_scripted_server, a_status
from tests.engine.stacks import Client, deployed, outputs_of, template

INVOKE_MODEL = {"Effect": "Allow", "Action": "bedrock:InvokeModel", "Resource": MODEL_ARN}
AGENT_ARNS = "arn:aws:bedrock:eu-central-1:000000000000:agent/*"
FOR_AGENTS = {
    "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}},
    "ArnLike": {"aws:SourceArn": AGENT_ARNS},
}
ECHO = """
    import json

    def handler(event, context):
        body = json.dumps({"state": "done", "facts": ["One card."], "event": event})
        return {
            "messageVersion": "1.0",
            "response": {
                "actionGroup": event["actionGroup"],
                "function": event["function"],
                "functionResponse": {"responseBody": {"TEXT": {"body": body}}},
            },
            "sessionAttributes": event["sessionAttributes"] | {"last": event["function"]},
        }
"""
ROLE = {"Fn::GetAtt": ["Role", "Arn"]}

type Ask = Callable[..., Said]


@pytest.fixture(scope="module")
def scripted() -> Iterator[ScriptedServer]:
    with a_scripted_server() as server:
        yield server


@pytest.fixture(scope="module")
def cloud(scripted: ScriptedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Clients of an engine whose model is the scripted server."""
    with an_engine(tmp_path_factory.mktemp("agents-engine"), scripted.address) as client:
        yield client


@contextmanager
def an_engine(home: Path, model_server: str) -> Iterator[Client]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCAL_MODEL_PROFILE", "server")
        patch.setenv("LOCAL_MODEL_SERVER_URL", model_server)
        patch.setenv("LOCAL_MODEL_NAME", "qwen2.5")
        patch.setenv("LOCAL_MODEL_SECONDS", "5")
        process = EngineProcess.start(home=home, region="eu-central-1")
    with process:  # outside the patch, so that no other engine starts under it
        yield clients_of(process.endpoint)


def clients_of(endpoint: str) -> Client:
    made: dict[str, Any] = {}

    def client(service: str) -> Any:
        if service not in made:
            made[service] = Session().create_client(
                service,
                endpoint_url=endpoint,
                region_name="eu-central-1",
                aws_access_key_id="test",
                aws_secret_access_key="test",  # noqa: S106 - made up: the engine's root identity
                config=Config(retries={"total_max_attempts": 1}, read_timeout=20),
            )
        return made[service]

    return client


@contextmanager
def an_agent(
    cloud: Client,
    function: str = "",
    *,
    granted: tuple[dict[str, Any], ...] = (INVOKE_MODEL,),
    permission: dict[str, Any] | None = None,
    resources: dict[str, Any] | None = None,
    **more: Any,
) -> Iterator[dict[str, str]]:
    """The outputs AgentId, AliasId, AliasArn of a deployed agent; ``function`` is behind its action group."""
    function_arn = f"arn:aws:lambda:eu-central-1:000000000000:function:{function}"
    made: dict[str, Any] = {
        "Role": a_role_resource(*granted, **FOR_AGENTS),
        "Agent": an_agent_resource(ROLE, {"Lambda": function_arn} if function else None, **more),
        "Alias": an_alias_resource(),
        **(resources or {}),
    }
    if function and permission is None:
        permission = {"SourceArn": {"Fn::GetAtt": ["Agent", "AgentArn"]}}
    if function and permission:
        allowed = {"FunctionName": function, "Action": "lambda:InvokeFunction", "Principal": "bedrock.amazonaws.com"}
        made["Permission"] = {"Type": "AWS::Lambda::Permission", "Properties": allowed | permission}
    outputs = {
        "AgentId": {"Ref": "Agent"},
        "AliasId": {"Fn::GetAtt": ["Alias", "AgentAliasId"]},
        "AliasArn": {"Fn::GetAtt": ["Alias", "AgentAliasArn"]},
    }
    with deployed(cloud, template(made, outputs)) as stack:
        yield outputs_of(cloud, stack)


@pytest.fixture(scope="module")
def function(cloud: Client) -> Iterator[str]:
    with a_function(cloud, ECHO) as name:
        yield name


@pytest.fixture
def ask(cloud: Client, scripted: ScriptedServer, function: str) -> Iterator[Ask]:
    """Speaks to an agent with the function; ``script`` is what the model answers, one reply a request."""
    with an_agent(cloud, function) as agent:
        yield asking(cloud, scripted, agent)


def asking(client: Client, scripted: ScriptedServer, agent: dict[str, str]) -> Ask:
    def ask(*script: Reply, text: str = "Hello", session: str = "session-1", **more: Any) -> Said:
        replies = iter(script)
        scripted.requests.clear()

        def reply(handler: Any) -> None:
            next(replies)(handler)

        scripted.reply = reply
        answer = client("bedrock-agent-runtime").invoke_agent(
            agentId=agent["AgentId"], agentAliasId=agent["AliasId"], sessionId=session, inputText=text, **more
        )
        assert answer["sessionId"] == session
        said = heard(answer["completion"])
        assert not list(replies), "the model was asked less often than scripted"
        return said

    return ask


def observed(said: Said) -> list[dict[str, Any]]:
    """What the functions answered, with the event that each was sent."""
    observations = [one["trace"].get("orchestrationTrace", {}).get("observation", {}) for one in said.traces]
    return [
        json.loads(one["actionGroupInvocationOutput"]["text"])
        for one in observations
        if "actionGroupInvocationOutput" in one
    ]


def code_of(raised: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    response = raised.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


# --- An answer


def test_agent_answers_with_the_model_s_words_and_sends_it_the_instruction(
    cloud: Client, scripted: ScriptedServer
) -> None:
    with an_agent(cloud) as agent:
        ask = asking(cloud, scripted, agent)
        said = ask(the_model_says("Good morning.", with_tools=False), text="Hi")
        assert (said.text, said.traces) == ("Good morning.", [])
        (asked,) = scripted.requests
        assert asked["messages"][0]["content"].startswith("You answer for the operations desk")
        assert ask(the_model_says("As I said.", with_tools=False), text="Again?").text == "As I said."
        assert [message["content"] for message in scripted.requests[0]["messages"][1:]] == [
            "Hi",
            "Good morning.",
            "Again?",
        ]


def test_session_is_its_own_and_ends_when_the_caller_says_so(cloud: Client, scripted: ScriptedServer) -> None:
    with an_agent(cloud) as agent:
        ask = asking(cloud, scripted, agent)
        ask(the_model_says("One.", with_tools=False), text="First")
        ask(the_model_says("Two.", with_tools=False), text="Other", session="session-2")
        assert "First" not in str(scripted.requests)
        assert "terminated" in ask(endSession=True).text
        ask(the_model_says("Three.", with_tools=False), text="Second")
        assert "First" not in str(scripted.requests)


def test_conversation_history_is_taken_for_a_new_session(cloud: Client, scripted: ScriptedServer) -> None:
    history = {
        "messages": [
            {"role": "user", "content": [{"text": "I am Ana."}]},
            {"role": "assistant", "content": [{"text": "Hello Ana."}]},
        ]
    }
    with an_agent(cloud) as agent:
        ask = asking(cloud, scripted, agent)
        ask(the_model_says("Ana.", with_tools=False), sessionState={"conversationHistory": history})
    assert [message["content"] for message in scripted.requests[0]["messages"][1:]] == [
        "I am Ana.",
        "Hello Ana.",
        "Hello",
    ]


# --- Functions


def test_agent_runs_the_real_function_with_aws_s_event_and_tells_each_step(ask: Ask) -> None:
    said = ask(
        the_model_uses("list_cards"),
        the_model_says("You have one card."),
        text="Which cards?",
        enableTrace=True,
        sessionState={"sessionAttributes": {"customerId": "7"}, "promptSessionAttributes": {"today": "Sunday"}},
    )
    assert said.text == "You have one card."
    (answered,) = observed(said)
    event = answered["event"]
    agent = event.pop("agent")
    assert event == {
        "messageVersion": "1.0",
        "inputText": "Which cards?",
        "sessionId": "session-1",
        "actionGroup": "Bank",
        "function": "list_cards",
        "parameters": [],
        "sessionAttributes": {"customerId": "7"},
        "promptSessionAttributes": {"today": "Sunday"},
    }
    assert (agent["version"], set(agent)) == ("1", {"name", "id", "alias", "version"})
    asked, answered_by_model = (
        said.traces[place]["trace"]["orchestrationTrace"][kind]
        for place, kind in enumerate(("modelInvocationInput", "modelInvocationOutput"))
    )
    assert asked["foundationModel"] == "amazon.nova-lite-v1:0"
    assert answered_by_model["metadata"]["usage"] == {"inputTokens": 20, "outputTokens": 4}
    raw = json.loads(answered_by_model["rawResponse"]["content"])
    assert raw["additionalModelResponseFields"] == {"localProfile": "server"}
    assert said.traces[0]["eventTime"].tzinfo is not None
    assert said.traces[0]["callerChain"][0]["agentAliasArn"].endswith(f"{agent['id']}/{agent['alias']}")


def test_session_attributes_that_the_function_changed_are_there_in_the_next_turn(ask: Ask) -> None:
    state = {"sessionAttributes": {"customerId": "7"}}
    ask(the_model_uses("list_cards"), the_model_says("One."), sessionState=state)
    said = ask(the_model_uses("list_cards"), the_model_says("Still one."), enableTrace=True)
    (answered,) = observed(said)
    assert answered["event"]["sessionAttributes"] == {"customerId": "7", "last": "list_cards"}


@pytest.mark.parametrize(("answer", "ran"), [("CONFIRM", 1), ("DENY", 0)])
def test_changing_function_runs_only_after_the_caller_confirms(ask: Ask, answer: str, ran: int) -> None:
    said = ask(the_model_uses("block_card", cardId="CARD-7171"), text="Block card CARD-7171")
    (returned,) = said.returned
    (asked,) = returned["invocationInputs"]
    call = asked["functionInvocationInput"]
    assert (said.text, call["function"], call["actionInvocationType"]) == ("", "block_card", "USER_CONFIRMATION")
    assert call["parameters"] == [{"name": "cardId", "type": "string", "value": "CARD-7171"}]
    confirmed = {
        "actionGroup": "Bank",
        "function": "block_card",
        "confirmationState": answer,
        "responseBody": {"TEXT": {"body": ""}},
    }
    state = {
        "invocationId": returned["invocationId"],
        "returnControlInvocationResults": [{"functionResult": confirmed}],
        "sessionAttributes": {"customerId": "7"},
    }
    said = ask(the_model_says("So be it."), enableTrace=True, sessionState=state)
    events = [one["event"] for one in observed(said) if "event" in one] if ran else []
    assert said.text == "So be it."
    assert [event["parameters"] for event in events] == [call["parameters"]] * ran
    assert [event["sessionAttributes"] for event in events] == [{"customerId": "7"}] * ran


def test_confirmation_of_nothing_is_refused(ask: Ask) -> None:
    confirmed = {"actionGroup": "Bank", "function": "block_card", "confirmationState": "CONFIRM"}
    state = {"invocationId": "made-up", "returnControlInvocationResults": [{"functionResult": confirmed}]}
    with pytest.raises(EventStreamError, match=r"validationException.*pending"):
        ask(sessionState=state)


FAILING = """
    def handler(event, context):
        if event["function"] == "list_cards":
            raise RuntimeError("the table is away")
"""
SAYS_FAILURE = """
    def handler(event, context):
        answered = {"responseState": "FAILURE", "responseBody": {"TEXT": {"body": "the table is away"}}}
        response = {"actionGroup": event["actionGroup"], "function": event["function"], "functionResponse": answered}
        return {"messageVersion": "1.0", "response": response}
"""


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (FAILING, "encountered a problem while processing request.*the table is away"),
        (SAYS_FAILURE, "the table is away"),
        ("def handler(event, context): return 'hello'", "error processing the Lambda response"),
    ],
    ids=["raises", "says FAILURE", "malformed"],
)
def test_function_that_fails_ends_the_stream_with_a_failed_dependency(
    cloud: Client, scripted: ScriptedServer, code: str, why: str
) -> None:
    with (
        a_function(cloud, code) as function,
        an_agent(cloud, function) as agent,
        pytest.raises(EventStreamError, match=f"dependencyFailedException.*{why}"),
    ):
        asking(cloud, scripted, agent)(the_model_uses("list_cards"))


# --- The light profile


def test_light_profile_decides_for_the_function_tells_its_facts_and_asks_before_it_changes(aws: Client) -> None:
    def say(text: str, session: str) -> Said:
        answer = aws("bedrock-agent-runtime").invoke_agent(
            agentId=agent["AgentId"],
            agentAliasId=agent["AliasId"],
            sessionId=session,
            inputText=text,
            enableTrace=True,
        )
        return heard(answer["completion"])

    with a_function(aws, ECHO) as function, an_agent(aws, function) as agent:
        looked_up = say("Which cards do I have?", "session-1")
        assert [one["event"]["function"] for one in observed(looked_up)] == ["list_cards"]
        assert "One card." in looked_up.text
        asked = say("Please block card CARD-007171, it was stolen.", "session-2")
        (call,) = asked.returned[0]["invocationInputs"]
        assert call["functionInvocationInput"]["function"] == "block_card"
        assert call["functionInvocationInput"]["parameters"][0]["value"] == "CARD-007171"
        assert [one["event"]["function"] for one in observed(asked)] in ([], ["list_cards"])


# --- Who may


@pytest.mark.parametrize("permission", [{}, {"SourceArn": f"{AGENT_ARNS[:-1]}OTHER12345"}], ids=["none", "another's"])
def test_function_must_allow_the_agent_itself(
    cloud: Client, scripted: ScriptedServer, function: str, permission: dict[str, Any]
) -> None:
    with (
        an_agent(cloud, function, permission=permission) as agent,
        pytest.raises(EventStreamError, match=r"accessDeniedException.*Access denied while invoking Lambda"),
    ):
        asking(cloud, scripted, agent)(the_model_uses("list_cards"))


@pytest.mark.parametrize(
    "granted", [(), ({**INVOKE_MODEL, "Resource": f"{MODEL_ARN}-other"},)], ids=["nothing", "another model"]
)
def test_agent_s_role_must_be_granted_its_model(
    cloud: Client, scripted: ScriptedServer, granted: tuple[dict[str, Any], ...]
) -> None:
    with an_agent(cloud, granted=granted) as agent:
        with pytest.raises(EventStreamError, match=r"accessDeniedException.*bedrock:InvokeModel on resource"):
            asking(cloud, scripted, agent)()
        assert scripted.requests == []


def test_agent_s_role_must_trust_bedrock_for_this_agent(cloud: Client, scripted: ScriptedServer) -> None:
    another = {"ArnEquals": {"aws:SourceArn": f"{AGENT_ARNS[:-1]}OTHER12345"}}
    with (
        an_agent(cloud, resources={"Role": a_role_resource(INVOKE_MODEL, **another)}) as agent,
        pytest.raises(EventStreamError, match="does not trust bedrock"),
    ):
        asking(cloud, scripted, agent)()


@pytest.mark.parametrize(
    ("action", "place", "allowed"),
    [
        ("bedrock:InvokeAgent", "AliasArn", True),
        ("bedrock:InvokeAgent", "agent", False),
        ("bedrock:InvokeModel", "AliasArn", False),
    ],
)
def test_caller_needs_invoke_agent_on_the_alias(
    cloud: Client, scripted: ScriptedServer, action: str, place: str, allowed: bool
) -> None:
    with an_agent(cloud) as agent:
        resource = agent.get(place, AGENT_ARNS)
        with a_user(cloud, {"Effect": "Allow", "Action": action, "Resource": resource}) as client:
            ask = asking(client, scripted, agent)
            if allowed:
                assert ask(the_model_says("Hello.", with_tools=False)).text == "Hello."
                return
            with pytest.raises(ClientError, match=r"bedrock:InvokeAgent on resource: .*agent-alias/") as raised:
                ask()
            assert code_of(raised) == ("AccessDeniedException", 403)


# --- Refusals and failures


def test_agent_or_alias_that_is_not_there_is_not_found(cloud: Client, scripted: ScriptedServer) -> None:
    with an_agent(cloud) as agent:
        for wrong in ({"AgentId": "NOAGENT123"}, {"AliasId": "NOALIAS123"}):
            with pytest.raises(ClientError, match="Failed to retrieve resource") as raised:
                asking(cloud, scripted, agent | wrong)()
            assert code_of(raised) == ("ResourceNotFoundException", 404)


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        ({"text": " "}, "inputText is required"),
        ({"session": "has spaces"}, "sessionId"),
        ({"memoryId": "me"}, "memoryId"),
        ({"streamingConfigurations": {"streamFinalResponse": True}}, "streamFinalResponse"),
    ],
)
def test_request_that_cannot_be_served_is_refused(
    cloud: Client, scripted: ScriptedServer, request_: dict[str, Any], why: str
) -> None:
    with an_agent(cloud) as agent:
        with pytest.raises(ClientError, match=why) as raised:
            asking(cloud, scripted, agent)(**request_)
        assert code_of(raised) == ("ValidationException", 400)


@pytest.mark.parametrize(
    ("reply", "exception"),
    [
        (a_status(429, {"error": {"message": "slow down"}}), "throttlingException"),
        (a_status(503, {"error": {"message": "loading"}}), "badGatewayException"),
        (a_status(500, {"error": {"message": "boom"}}), "dependencyFailedException"),
    ],
    ids=["busy", "away", "broken"],
)
def test_model_that_fails_is_an_exception_in_the_stream_and_never_an_answer(
    cloud: Client, scripted: ScriptedServer, reply: Reply, exception: str
) -> None:
    with an_agent(cloud) as agent, pytest.raises(EventStreamError, match=exception):
        asking(cloud, scripted, agent)(reply)


def test_failure_is_the_last_step_of_the_trace(cloud: Client, scripted: ScriptedServer) -> None:
    with an_agent(cloud) as agent:
        scripted.reply = a_status(429, {"error": {"message": "slow down"}})
        stream = cloud("bedrock-agent-runtime").invoke_agent(
            agentId=agent["AgentId"],
            agentAliasId=agent["AliasId"],
            sessionId="session-1",
            inputText="Hello",
            enableTrace=True,
        )["completion"]
        steps: list[dict[str, Any]] = []
        with closing(stream), pytest.raises(EventStreamError, match="throttlingException"):
            steps.extend(event["trace"]["trace"] for event in stream)
    assert [next(iter(step)) for step in steps] == ["orchestrationTrace", "failureTrace"]
    assert steps[-1]["failureTrace"]["failureCode"] == 429


def test_model_server_that_is_not_there_is_an_exception_and_no_made_up_answer(tmp_path: Path) -> None:
    with an_engine(tmp_path, f"http://127.0.0.1:{free_port()}") as cloud, an_agent(cloud) as agent:
        answer = cloud("bedrock-agent-runtime").invoke_agent(
            agentId=agent["AgentId"], agentAliasId=agent["AliasId"], sessionId="session-1", inputText="Hello"
        )
        with pytest.raises(EventStreamError, match=r"badGatewayException.*cannot be reached"):
            heard(answer["completion"])


def test_session_in_use_is_a_conflict_and_free_again_afterwards(cloud: Client, scripted: ScriptedServer) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def held(handler: Any) -> None:
        asked.set()
        assert go_on.wait(10)
        the_model_says("At last.", with_tools=False)(handler)

    with an_agent(cloud) as agent, ThreadPoolExecutor(1) as callers:
        first = callers.submit(asking(cloud, scripted, agent), held)
        assert asked.wait(10)
        with pytest.raises(ClientError) as raised:
            cloud("bedrock-agent-runtime").invoke_agent(
                agentId=agent["AgentId"], agentAliasId=agent["AliasId"], sessionId="session-1", inputText="Me too"
            )
        go_on.set()
        assert code_of(raised) == ("ConflictException", 409)
        assert first.result(10).text == "At last."
        ask = asking(cloud, scripted, agent)
        assert ask(the_model_says("Now you.", with_tools=False)).text == "Now you."


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("retrieve_and_generate", {"input": {"text": "What are the fees?"}}),
        ("optimize_prompt", {"input": {"textPrompt": {"text": "Hi"}}, "targetModelId": "m"}),
        ("get_agent_memory", {"agentId": "A", "agentAliasId": "B", "memoryId": "me", "memoryType": "SESSION_SUMMARY"}),
    ],
)
def test_what_would_be_made_up_is_refused(aws: Client, operation: str, request_: dict[str, Any]) -> None:
    with pytest.raises(ClientError, match="The local Bedrock Agents have no operation") as raised:
        getattr(aws("bedrock-agent-runtime"), operation)(**request_)
    assert code_of(raised)[1] == 404


# --- Guardrails


def test_guardrail_keeps_a_text_from_the_model_and_needs_the_role_s_grant(
    cloud: Client, scripted: ScriptedServer
) -> None:
    guardrail = {
        "Type": "AWS::Bedrock::Guardrail",
        "Properties": {
            "Name": "no-casino",
            "BlockedInputMessaging": "I cannot talk about that.",
            "BlockedOutputsMessaging": "I cannot say that.",
            "WordPolicyConfig": {"WordsConfig": [{"Text": "casino"}]},
        },
    }
    used = {
        "GuardrailIdentifier": {"Fn::GetAtt": ["Guardrail", "GuardrailId"]},
        "GuardrailVersion": "DRAFT",
    }
    apply = {"Effect": "Allow", "Action": "bedrock:ApplyGuardrail", "Resource": {"Ref": "Guardrail"}}
    more: dict[str, Any] = {"resources": {"Guardrail": guardrail}, "GuardrailConfiguration": used}
    with an_agent(cloud, granted=(INVOKE_MODEL, apply), **more) as agent:
        ask = asking(cloud, scripted, agent)
        said = ask(text="Where is the casino?", enableTrace=True)
        assert said.text == "I cannot talk about that."
        assert said.traces[0]["trace"]["guardrailTrace"]["action"] == "INTERVENED"
        assert ask(the_model_says("Next to the casino.", with_tools=False)).text == "I cannot say that."
        assert ask(the_model_says("Next to the bank.", with_tools=False)).text == "Next to the bank."
    with (
        an_agent(cloud, **more) as agent,
        pytest.raises(EventStreamError, match=r"accessDeniedException.*bedrock:ApplyGuardrail"),
    ):
        asking(cloud, scripted, agent)()


# --- Knowledge bases


FILES = {
    "cards.txt": "A lost card is blocked within a minute. The replacement costs 12 euros and comes by post in 5 days.",
    "loans.txt": "The instalment of a loan is due on the first of the month. Paying it back early is free.",
    "picture.png": b"\x89PNG\xff\xfe",
}


@pytest.fixture(scope="module")
def handbook(cloud: Client) -> Iterator[str]:
    """The id of a knowledge base of FILES, ingested."""
    s3, bucket = cloud("s3"), "handbook"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    for name, content in FILES.items():
        s3.put_object(Bucket=bucket, Key=name, Body=content)
    embedding_model = "arn:aws:bedrock:eu-central-1::foundation-model/amazon.titan-embed-text-v2:0"
    vectors = {"IndexArn": "arn:aws:s3vectors:eu-central-1:000000000000:bucket/b/index/i"}
    base = {
        "Name": "handbook",
        "RoleArn": ROLE,
        "KnowledgeBaseConfiguration": {
            "Type": "VECTOR",
            "VectorKnowledgeBaseConfiguration": {"EmbeddingModelArn": embedding_model},
        },
        "StorageConfiguration": {"Type": "S3_VECTORS", "S3VectorsConfiguration": vectors},
    }
    source = {
        "Name": "files",
        "KnowledgeBaseId": {"Ref": "Base"},
        "DataSourceConfiguration": {"Type": "S3", "S3Configuration": {"BucketArn": f"arn:aws:s3:::{bucket}"}},
    }
    body = template(
        {
            "Role": a_role_resource(),
            "Base": {"Type": "AWS::Bedrock::KnowledgeBase", "Properties": base},
            "Source": {"Type": "AWS::Bedrock::DataSource", "Properties": source},
        },
        {"BaseId": {"Ref": "Base"}, "SourceId": {"Fn::GetAtt": ["Source", "DataSourceId"]}},
    )
    with deployed(cloud, body) as stack:
        out, agents = outputs_of(cloud, stack), cloud("bedrock-agent")
        place = {"knowledgeBaseId": out["BaseId"], "dataSourceId": out["SourceId"]}
        job = agents.start_ingestion_job(**place)["ingestionJob"]["ingestionJobId"]
        done = agents.get_ingestion_job(**place, ingestionJobId=job)["ingestionJob"]
        assert done["status"] == "COMPLETE"
        assert done["statistics"]["numberOfDocumentsFailed"] == 1
        yield out["BaseId"]


def test_retrieve_finds_what_is_meant_and_not_what_shares_words(cloud: Client, handbook: str) -> None:
    found = cloud("bedrock-agent-runtime").retrieve(
        knowledgeBaseId=handbook, retrievalQuery={"text": "How much do I pay for a new bank card?"}
    )["retrievalResults"]
    assert [result["location"]["s3Location"]["uri"] for result in found] == [
        "s3://handbook/cards.txt",
        "s3://handbook/loans.txt",
    ]
    assert found[0]["content"]["text"] == FILES["cards.txt"]
    assert 1 >= found[0]["score"] > found[1]["score"]


@pytest.mark.parametrize(
    ("search", "why"),
    [
        ({"overrideSearchType": "HYBRID"}, "HYBRID"),
        (
            {"rerankingConfiguration": {"type": "BEDROCK_RERANKING_MODEL"}},
            "rerankingConfiguration",
        ),
    ],
)
def test_retrieve_refuses_what_it_would_otherwise_ignore(
    cloud: Client, handbook: str, search: dict[str, Any], why: str
) -> None:
    with pytest.raises(ClientError, match=why) as raised:
        cloud("bedrock-agent-runtime").retrieve(
            knowledgeBaseId=handbook,
            retrievalQuery={"text": "fees"},
            retrievalConfiguration={"vectorSearchConfiguration": search},
        )
    assert code_of(raised) == ("ValidationException", 400)


def test_knowledge_base_that_is_not_there_is_not_found(cloud: Client) -> None:
    with pytest.raises(ClientError) as raised:
        cloud("bedrock-agent-runtime").retrieve(knowledgeBaseId="NOBASE1234", retrievalQuery={"text": "fees"})
    assert code_of(raised) == ("ResourceNotFoundException", 404)


def test_agent_cites_the_passage_that_it_looked_up_and_needs_the_role_s_grant(
    cloud: Client, scripted: ScriptedServer, handbook: str
) -> None:
    base_arn = f"arn:aws:bedrock:eu-central-1:000000000000:knowledge-base/{handbook}"
    retrieve = {"Effect": "Allow", "Action": "bedrock:Retrieve", "Resource": base_arn}
    bases = [{"KnowledgeBaseId": handbook, "Description": "The bank's handbook."}]
    script = (
        the_model_uses(f"x_amz_knowledgebase_{handbook}__Search", searchQuery="cost of a new card"),
        the_model_says("It costs 12 euros."),
    )
    with an_agent(cloud, granted=(INVOKE_MODEL, retrieve), KnowledgeBases=bases) as agent:
        said = asking(cloud, scripted, agent)(*script)
        (citation,) = said.chunks[0]["attribution"]["citations"]
        assert citation["retrievedReferences"][0]["content"]["text"] == FILES["cards.txt"]
        assert citation["generatedResponsePart"]["textResponsePart"]["text"] == said.text
    with (
        an_agent(cloud, KnowledgeBases=bases) as agent,
        pytest.raises(EventStreamError, match=r"accessDeniedException.*bedrock:Retrieve"),
    ):
        asking(cloud, scripted, agent)(script[0])


# --- Gaps


def test_engine_still_lacks_orchestration_and_answers_any_agent_with_a_canned_text() -> None:
    status, _, stream = engine_runtime._invoke_agent("NOAGENT123", "NOALIAS123", "s-1", b'{"inputText": "Hello"}')
    assert status == 200
    assert b'"bytes"' in stream


def test_engine_still_lacks_retrieval_by_meaning() -> None:
    """A question that shares no word with its answer finds nothing."""
    bedrock_agent._knowledge_bases["KB"] = {}
    bedrock_agent._kb_document_texts["KB/DS/cards.txt"] = {"Text": FILES["cards.txt"], "Uri": "s3://b/cards.txt"}
    _, _, body = engine_runtime._retrieve("KB", b'{"retrievalQuery": {"text": "How much must I pay?"}}')
    assert json.loads(body)["retrievalResults"] == []
