"""WebSocket APIs as API Gateway has them, driven by a real WebSocket client and boto3."""

import asyncio
import inspect
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.session import Session
from ministack.services import apigateway
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection

from local.overlay import websocket_connections
from local.overlay.websocket_api import IDLE_SECONDS, LIFE_SECONDS, overdue_in
from local.overlay.websocket_connections import Connection, Visitor
from local.process import EngineProcess
from tests.conftest import REGION
from tests.engine.callers import a_user
from tests.engine.functions import a_function, a_role, logged
from tests.engine.stacks import Client
from tests.engine.waiting import wait_until
from tests.engine.websocket_apis import WebSocketApi, a_websocket_api

KB = 1024

# Does what a message asks for, and prints every event that it gets.
BACKEND = """
import json, time

def handler(event, context):
    print("EVENT " + json.dumps(event))
    if event["requestContext"]["eventType"] != "MESSAGE":
        return {"statusCode": int((event.get("queryStringParameters") or {}).get("status", 200))}
    message = json.loads(event["body"]) if event["body"].startswith("{") else {}
    if message.get("do") == "raise":
        raise ValueError("a secret detail")
    if message.get("do") == "return":
        return message["value"]
    if message.get("do") == "sleep":
        time.sleep(message["seconds"])
    return {"statusCode": 200, "body": "answer to " + event["body"]}
"""

# Allows tickets that begin with "good".
AUTHORIZER = """
def handler(event, context):
    ticket = event["queryStringParameters"]["ticket"]
    if ticket in ("used", "broken"):
        raise Exception("Unauthorized" if ticket == "used" else "a secret detail")
    if ticket == "nested":
        return {"principalId": "x", "policyDocument": {"Statement": []}, "context": {"deep": {}}}
    statement = {"Effect": "Allow" if ticket.startswith("good") else "Deny",
                 "Action": "execute-api:Invoke", "Resource": event["methodArn"]}
    return {"principalId": "person-1", "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
            "context": {"personId": "person-1", "role": "customer", "customerId": "", "attempts": 3}}
"""

# Answers by PostToConnection with nothing but what its environment says.
POSTER = """
import boto3, os

client = boto3.client("apigatewaymanagementapi")

def handler(event, context):
    id = event["requestContext"]["connectionId"]
    try:
        client.post_to_connection(ConnectionId=id, Data=("posted: " + event["body"]).encode())
    except Exception as error:
        print(f"FAILED {error}")
    print("ADDRESS " + os.environ["AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI"] + " " + os.environ["CHAT_URL"])
    return {"statusCode": 200}
"""


@dataclass(frozen=True)
class Chat:
    """An API whose routes are one function each, and what posts to its connections as root."""

    api: WebSocketApi
    backend: str
    management: Any


@pytest.fixture(scope="module")
def chat(aws: Client) -> Iterator[Chat]:
    with a_function(aws, BACKEND, timeout=20) as backend, a_function(aws, AUTHORIZER) as authorizer:
        routes = dict.fromkeys(("$connect", "$disconnect", "sendMessage", "twoWay", "$default"), backend)
        with a_websocket_api(aws, routes, authorizer=authorizer, two_way=("twoWay",)) as api:
            yield Chat(api, backend, management(api.management_url))


def management(url: str) -> Any:
    return client_maker(url)("apigatewaymanagementapi")


def events_of(aws: Client, function: str, connection_id: str) -> list[dict[str, Any]]:
    """Events of one connection that the function has printed, oldest first."""
    lines = [line for line in logged(aws, function) if line.startswith("EVENT ")]
    events = [json.loads(line.removeprefix("EVENT ")) for line in lines]
    return [event for event in events if event["requestContext"]["connectionId"] == connection_id]


def connection_id_of(client: ClientConnection) -> str:
    """What the API calls this connection: its refusals say so."""
    client.send(json.dumps({"action": "sendMessage", "do": "raise"}))
    refusal = json.loads(client.recv(timeout=10))
    return str(refusal["connectionId"])


def ask(client: ClientConnection, message: dict[str, Any]) -> str:
    """The answer of the route twoWay to ``message``."""
    client.send(json.dumps({"action": "twoWay"} | message))
    return str(client.recv(timeout=20))


def close_code(client: ClientConnection) -> int:
    """With what code the other side closed, once it has."""
    with pytest.raises(ConnectionClosed) as closed:
        client.recv(timeout=20)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


# Handshake, routes, events


def test_connection_carries_what_the_authorizer_said_of_the_person_on_every_route(aws: Client, chat: Chat) -> None:
    before = int(time.time() * 1000)
    with chat.api.connect("ticket=good-1&theme=dark") as client:
        connection_id = connection_id_of(client)
        client.send('{"action": "unknown"}')
        client.send("no JSON")
        client.send('{"action": "$connect"}')
        ask(client, {})  # the others are through: $disconnect does not wait for them
    wait_until(lambda: len(events_of(aws, chat.backend, connection_id)) == 7, 20, "seven events")
    events = events_of(aws, chat.backend, connection_id)
    contexts = [event["requestContext"] for event in events]
    assert [(context["eventType"], context["routeKey"]) for context in contexts] == [
        ("CONNECT", "$connect"),
        ("MESSAGE", "sendMessage"),
        *[("MESSAGE", "$default")] * 3,
        ("MESSAGE", "twoWay"),
        ("DISCONNECT", "$disconnect"),
    ]
    who = {"principalId": "person-1", "personId": "person-1", "role": "customer", "customerId": "", "attempts": "3"}
    assert [context["authorizer"] for context in contexts] == [who] * 7
    assert len({context["connectedAt"] for context in contexts}) == 1
    assert before <= contexts[0]["connectedAt"] <= contexts[6]["requestTimeEpoch"]
    assert events[0]["queryStringParameters"] == {"ticket": "good-1", "theme": "dark"}
    assert [event["body"] for event in events[2:5]] == ['{"action": "unknown"}', "no JSON", '{"action": "$connect"}']
    assert {context["stage"] for context in contexts} == {"v1"}
    assert {context["apiId"] for context in contexts} == {chat.api.id}


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ("", 401, "Unauthorized"),
        (
            "ticket=bad",
            403,
            "User is not authorized to access this resource with an explicit deny in an identity-based policy",
        ),
        ("ticket=used", 401, "Unauthorized"),
        ("ticket=broken", 500, "Internal server error"),
        ("ticket=nested", 500, "Internal server error"),
        ("ticket=good&status=429", 429, "Too Many Requests"),
        ("ticket=good&status=302", 502, "Found"),
    ],
)
def test_handshake_is_refused_with_the_status_of_who_refused_it(
    chat: Chat, query: str, status: int, message: str
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        chat.api.connect(query)
    assert refused.value.response.status_code == status
    assert json.loads(refused.value.response.body or b"{}")["message"] == message


def test_handshake_is_refused_when_there_is_no_such_stage(chat: Chat) -> None:
    elsewhere = WebSocketApi(chat.api.id, chat.api.url.removesuffix("/v1") + "/v2", "", "")
    with pytest.raises(InvalidStatus) as refused:
        elsewhere.connect("ticket=good")
    assert refused.value.response.status_code == 403


def test_logs_of_functions_behind_a_websocket_api_are_in_cloudwatch(aws: Client, chat: Chat) -> None:
    with chat.api.connect("ticket=good") as client:
        ask(client, {"about": "the log"})
    lines = logged(aws, chat.backend)
    assert any("the log" in line for line in lines)
    assert any(line.startswith("REPORT RequestId:") for line in lines)


# Answers


def test_answer_of_a_function_goes_back_only_when_the_route_has_a_route_response(chat: Chat) -> None:
    with chat.api.connect("ticket=good") as client:
        client.send('{"action": "sendMessage", "number": 1}')
        client.send('{"action": "twoWay", "number": 2}')
        assert client.recv(timeout=10) == 'answer to {"action": "twoWay", "number": 2}'


@pytest.mark.parametrize(
    "message",
    [{"do": "raise"}, {"do": "return", "value": None}, {"do": "return", "value": {"statusCode": 200, "Data": "x"}}],
    ids=["raises", "returns nothing", "returns what is no proxy response"],
)
def test_client_is_told_of_an_internal_error_and_no_more_when_the_function_fails(
    chat: Chat, message: dict[str, Any]
) -> None:
    with chat.api.connect("ticket=good") as client:
        client.send(json.dumps({"action": "sendMessage"} | message))
        refusal = json.loads(client.recv(timeout=10))
        assert refusal.keys() == {"message", "connectionId", "requestId"}
        assert refusal["message"] == "Internal server error"
        assert ask(client, {}) == 'answer to {"action": "twoWay"}'  # the connection stays


def test_client_is_told_when_the_function_takes_longer_than_its_integration_may(chat: Chat) -> None:
    with chat.api.connect("ticket=good") as client:
        client.send(json.dumps({"action": "sendMessage", "do": "sleep", "seconds": 6}))
        assert json.loads(client.recv(timeout=5))["message"] == "Endpoint request timed out"


def test_message_without_a_route_is_forbidden_when_there_is_no_default_route(aws: Client) -> None:
    with (
        a_function(aws, BACKEND) as backend,
        a_websocket_api(aws, {"sendMessage": backend}) as api,
        api.connect() as client,  # no $connect route: nobody to ask
    ):
        client.send('{"action": "other"}')
        assert json.loads(client.recv(timeout=10))["message"] == "Forbidden"


def test_function_is_not_invoked_when_its_policy_does_not_name_the_api(aws: Client) -> None:
    with a_function(aws, BACKEND) as backend:
        with a_websocket_api(aws, {"$default": backend}, permitted=False) as api, api.connect() as client:
            client.send("hello")
            assert json.loads(client.recv(timeout=10))["message"] == "Internal server error"
        with a_websocket_api(aws, {"$connect": backend}, permitted=False) as api:
            with pytest.raises(InvalidStatus) as refused:
                api.connect()
            assert refused.value.response.status_code == 500
        assert not aws("logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{backend}")["logGroups"]


def test_authorizer_is_not_invoked_when_its_policy_does_not_name_the_api(aws: Client) -> None:
    with a_function(aws, BACKEND) as backend, a_function(aws, AUTHORIZER) as authorizer:
        with a_websocket_api(aws, {"$connect": backend}, authorizer=authorizer, permitted=False) as api:
            with pytest.raises(InvalidStatus) as refused:
                api.connect("ticket=good")
            assert refused.value.response.status_code == 500
        assert not aws("logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{authorizer}")["logGroups"]


# Limits


def test_message_of_128_kb_is_taken_in_frames_of_32_kb(chat: Chat) -> None:
    message = '{"action": "twoWay", "text": "' + "x" * (128 * KB - 32) + '"}'
    assert len(message) == 128 * KB
    with chat.api.connect("ticket=good") as client:
        client.send([message[start : start + 32 * KB] for start in range(0, len(message), 32 * KB)])
        assert client.recv(timeout=20) == f"answer to {message}"


@pytest.mark.parametrize(
    "frames",
    [["x" * (32 * KB + 1)], ["x" * 32 * KB] * 4 + ["x"], ["é" * (16 * KB) + "x"]],
    ids=["a frame of 32 KB and a byte", "a message of 128 KB and a byte", "two bytes a character"],
)
def test_connection_is_closed_with_1009_when_a_frame_or_message_is_too_large(
    aws: Client, chat: Chat, frames: list[str]
) -> None:
    with chat.api.connect("ticket=good") as client:
        connection_id = connection_id_of(client)
        client.send(frames)
        assert close_code(client) == 1009
    events = wait_until(
        lambda: [
            event["requestContext"]
            for event in events_of(aws, chat.backend, connection_id)
            if event["requestContext"]["eventType"] == "DISCONNECT"
        ],
        10,
        "$disconnect",
    )
    assert [context["disconnectStatusCode"] for context in events] == [1009]


def test_connection_is_overdue_when_it_is_idle_for_ten_minutes_or_open_for_two_hours() -> None:
    connection = a_connection()
    connection.last_active_at = 1000.0
    assert overdue_in(connection, 1000.0 + 599) == pytest.approx(1)
    assert overdue_in(connection, 1000.0 + IDLE_SECONDS) == 0
    connection.last_active_at = 7199.0  # of a connection opened at 0
    assert overdue_in(connection, 7199.0) == pytest.approx(1)
    assert overdue_in(connection, LIFE_SECONDS) == 0


# @connections


def test_get_connection_tells_since_when_and_from_where(chat: Chat) -> None:
    began = datetime.now(UTC).timestamp() - 0.001
    with chat.api.connect("ticket=good", user_agent_header="a test") as client:
        connection_id = connection_id_of(client)
        first = chat.management.get_connection(ConnectionId=connection_id)
        ask(client, {})
        second = chat.management.get_connection(ConnectionId=connection_id)
    assert first["Identity"] == {"SourceIp": "127.0.0.1", "UserAgent": "a test"}
    assert began <= first["ConnectedAt"].timestamp() <= first["LastActiveAt"].timestamp()
    assert second["ConnectedAt"] == first["ConnectedAt"]
    assert second["LastActiveAt"] > first["LastActiveAt"]


def test_posted_messages_arrive_in_order_and_whole(chat: Chat) -> None:
    with chat.api.connect("ticket=good") as client:
        connection_id = connection_id_of(client)
        for number in range(200):
            chat.management.post_to_connection(ConnectionId=connection_id, Data=f"{number} ü".encode())
        largest = b"x" * 128 * KB
        chat.management.post_to_connection(ConnectionId=connection_id, Data=largest)
        assert [client.recv(timeout=5) for _ in range(200)] == [f"{number} ü" for number in range(200)]
        assert client.recv(timeout=5) == largest.decode()


def test_post_is_refused_when_the_data_is_larger_than_128_kb(chat: Chat) -> None:
    with chat.api.connect("ticket=good") as client:
        connection_id = connection_id_of(client)
        with pytest.raises(chat.management.exceptions.PayloadTooLargeException) as refused:
            chat.management.post_to_connection(ConnectionId=connection_id, Data=b"x" * (128 * KB + 1))
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413
        chat.management.post_to_connection(ConnectionId=connection_id, Data=b"still here")
        assert client.recv(timeout=5) == "still here"


def test_connection_is_gone_for_everybody_when_the_client_has_left(chat: Chat) -> None:
    with chat.api.connect("ticket=good") as client:
        connection_id = connection_id_of(client)
    gone = chat.management.exceptions.GoneException

    def is_gone() -> bool:
        try:
            chat.management.get_connection(ConnectionId=connection_id)
        except gone:
            return True
        return False

    wait_until(is_gone, 5, "the connection is gone")
    with pytest.raises(gone) as refused:
        chat.management.post_to_connection(ConnectionId=connection_id, Data=b"anybody?")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 410
    with pytest.raises(gone):
        chat.management.delete_connection(ConnectionId=connection_id)


def test_deleted_connection_is_closed_normally(aws: Client, chat: Chat) -> None:
    with chat.api.connect("ticket=good") as client:
        connection_id = connection_id_of(client)
        chat.management.delete_connection(ConnectionId=connection_id)
        assert close_code(client) == 1000
    context = wait_until(
        lambda: [
            event["requestContext"]
            for event in events_of(aws, chat.backend, connection_id)
            if event["requestContext"]["eventType"] == "DISCONNECT"
        ],
        10,
        "$disconnect",
    )[0]
    assert (context["disconnectStatusCode"], context["disconnectReason"]) == (1000, "Connection Closed Normally")


def test_posting_gives_up_on_a_client_that_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_connections, "TAKE_SECONDS", 0.05)
    connection = a_connection()

    async def post_twice() -> list[bool]:
        return [await connection.post("one"), await connection.post("two")]

    assert asyncio.run(post_twice()) == [False, False]
    assert connection.closing.is_set()


# Functions that post


def test_function_posts_to_the_address_in_its_environment_and_its_role_decides(aws: Client) -> None:
    with a_function(aws, POSTER) as poster, a_websocket_api(aws, {"$default": poster}) as api:
        know_address(aws, poster, api)
        arn = f"arn:aws:execute-api:*:*:{api.id}/v1/POST/@connections/*"
        allowed = {"Effect": "Allow", "Action": "execute-api:ManageConnections", "Resource": arn}
        with a_role(aws, allowed) as role, api.connect() as client:
            change(aws, poster, Role=role)
            client.send("with the grant")
            assert client.recv(timeout=20) == "posted: with the grant"
        with a_role(aws) as role, api.connect() as client:
            change(aws, poster, Role=role)
            client.send("without the grant")
            failed = wait_until(
                lambda: [line for line in logged(aws, poster) if line.startswith("FAILED")], 20, "a refusal"
            )
    assert "not authorized to perform: execute-api:ManageConnections" in failed[0]
    addresses = {line.strip() for line in logged(aws, poster) if line.startswith("ADDRESS")}
    assert addresses == {f"ADDRESS {api.management_url} {api.url}"}


def know_address(aws: Client, function: str, api: WebSocketApi) -> None:
    """Gives the function the API's addresses as a template does: AWS's."""
    variables = {
        "AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI": api.aws_management_url,
        "CHAT_URL": api.aws_management_url.replace("https://", "wss://"),
    }
    change(aws, function, Environment={"Variables": variables})


def change(aws: Client, function: str, **configuration: Any) -> None:
    aws("lambda").update_function_configuration(FunctionName=function, **configuration)
    aws("lambda").get_waiter("function_updated_v2").wait(FunctionName=function, WaiterConfig={"Delay": 0.05})


def test_connections_are_managed_only_by_who_may(aws: Client, chat: Chat) -> None:
    with chat.api.connect("ticket=good") as client, a_user(aws) as nobody:
        connection_id = connection_id_of(client)
        stranger = nobody("apigatewaymanagementapi")
        stranger.meta.events.register(
            "before-sign", lambda request, **_: setattr(request, "url", _at(request.url, chat.api))
        )
        with pytest.raises(ClientError) as refused:
            stranger.delete_connection(ConnectionId=connection_id)
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
        assert ask(client, {}) == 'answer to {"action": "twoWay"}'


def _at(url: str, api: WebSocketApi) -> str:
    return api.management_url + url[url.index("/@connections") :]


# Many at once


def test_slow_function_holds_up_its_own_connection_only_and_keeps_its_order(chat: Chat) -> None:
    with chat.api.connect("ticket=good") as slow, chat.api.connect("ticket=good") as quick:
        ask(quick, {})
        slow.send(json.dumps({"action": "twoWay", "do": "sleep", "seconds": 2}))
        slow.send(json.dumps({"action": "twoWay", "number": 2}))
        began = time.monotonic()
        ask(quick, {})
        assert time.monotonic() - began < 1.5
        assert '"sleep"' in str(slow.recv(timeout=20))
        assert '"number": 2' in str(slow.recv(timeout=20))


def test_disconnect_is_told_at_once_when_the_connection_drops_while_a_function_runs(aws: Client, chat: Chat) -> None:
    with chat.api.connect("ticket=good") as client:
        connection_id = connection_id_of(client)
        active = chat.management.get_connection(ConnectionId=connection_id)["LastActiveAt"]
        client.send(json.dumps({"action": "sendMessage", "do": "sleep", "seconds": 6}))
        wait_until(
            lambda: chat.management.get_connection(ConnectionId=connection_id)["LastActiveAt"] > active, 10, "a message"
        )
        began = time.monotonic()
        client.socket.shutdown(socket.SHUT_RDWR)  # no closing handshake: the wire is cut
    wait_until(
        lambda: any(
            event["requestContext"]["eventType"] == "DISCONNECT"
            for event in events_of(aws, chat.backend, connection_id)
        ),
        5,
        "$disconnect",
    )
    assert time.monotonic() - began < 4


def test_sixty_connections_at_once_each_get_their_own_answers_in_order(chat: Chat) -> None:
    def talk(client: ClientConnection, name: int) -> list[str]:
        for number in range(3):
            client.send(json.dumps({"action": "twoWay", "name": name, "number": number}))
        return [str(client.recv(timeout=60)) for _ in range(3)]

    all_are_connected = threading.Barrier(60, timeout=60)

    def connect_and_talk(name: int) -> list[str]:
        with chat.api.connect("ticket=good", open_timeout=60) as client:
            all_are_connected.wait()
            return talk(client, name)

    with ThreadPoolExecutor(60) as pool:
        answers = list(pool.map(connect_and_talk, range(60)))
    expected = [
        [f"answer to {json.dumps({'action': 'twoWay', 'name': name, 'number': number})}" for number in range(3)]
        for name in range(60)
    ]
    assert answers == expected


def test_engine_stops_at_once_and_says_goodbye_when_connections_are_open(tmp_path: Path) -> None:
    engine = EngineProcess.start(home=tmp_path / "engine", region=REGION)
    try:
        aws = client_maker(engine.endpoint)
        api_id = aws("apigatewayv2").create_api(
            Name="chat", ProtocolType="WEBSOCKET", RouteSelectionExpression="$request.body.action"
        )["ApiId"]
        aws("apigatewayv2").create_stage(ApiId=api_id, StageName="v1")
        url = f"{engine.endpoint.replace('http', 'ws', 1)}/_aws/execute-api/{api_id}/v1"
        with WebSocketApi(api_id, url, "", "").connect() as client:
            client.ping().wait(10)
            began = time.monotonic()
            with ThreadPoolExecutor(1) as pool:
                stopped = pool.submit(engine.stop)
                assert close_code(client) == 1001
                stopped.result()
            assert time.monotonic() - began < 5  # ten seconds, and a kill, without the goodbye
    finally:
        engine.stop()


def client_maker(endpoint: str) -> Client:
    return lambda service: Session().create_client(
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 - made up: the engine's root identity
    )


def a_connection() -> Connection:
    """A connection opened at 0 whose client takes nothing."""

    async def send(_message: Any) -> None:
        await asyncio.Event().wait()

    visitor = Visitor("id", "api", "v1", "000000000000", "eu-central-1", "127.0.0.1", {}, {}, connected_at=0.0)
    return Connection(visitor, None, send)


def test_engine_still_lacks_limits_permissions_and_a_readable_get_connection() -> None:
    conversation = inspect.getsource(apigateway.handle_websocket) + inspect.getsource(apigateway._invoke_ws_lambda)
    assert "1009" not in conversation
    assert "policy" not in conversation
    assert "Internal server error" not in conversation
    assert '"Unauthorized"' not in inspect.getsource(apigateway._invoke_request_authorizer_lambda)
    assert "_route_responses" not in conversation
    connections = inspect.getsource(apigateway.handle_connections_api)
    assert "PayloadTooLargeException" not in connections
    assert '"connectedAt"' not in connections.replace('conn.get("connectedAt")', "")
