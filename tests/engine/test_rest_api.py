"""A REST API defined by OpenAPI whose POST /transactions puts the validated body on a Kinesis stream, with no function.

``DEFINITION`` is the shape to take over into a template: as ``Body`` of AWS::ApiGateway::RestApi, or as
``DefinitionBody`` of AWS::Serverless::Api (``test_sam_api_behaves_the_same_as_a_plain_one``).
"""

import asyncio
import copy
import inspect
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from ministack.services import apigateway_v1

from local.overlay import rest_api_integrations
from local.overlay.rest_api_templates import TemplateError, TemplateInput, render
from tests.engine.callers import credentials_of_a_user
from tests.engine.stacks import Client, Template, create, delete, deployed, outputs_of, template, update
from tests.engine.waiting import wait_until

ROOT = Credentials("test", "test")
STREAM_TEMPLATE = (
    '{"StreamName": "$stageVariables.stream", "PartitionKey": "$input.path(\'$.cardId\')", '
    '"Data": "$util.base64Encode($input.body)"}'
)
BUS_TEMPLATE = """#set($context.requestOverride.header.X-Amz-Target = "AWSEvents.PutEvents")
#set($context.requestOverride.header.Content-Type = "application/x-amz-json-1.1")
{"Entries": [#foreach($item in $input.path('$.items'))
{"Source": "backbone.web", "DetailType": "ItemReceived", "EventBusName": "$stageVariables.bus",
 "Detail": "{\\"item\\": \\"$item.name\\", \\"request\\": \\"$context.requestId\\"}"}#if($foreach.hasNext),#end
#end]}"""

DEFINITION: dict[str, Any] = {
    "openapi": "3.0.1",
    "info": {"title": "webhooks", "version": "1"},
    "x-amazon-apigateway-request-validators": {
        "everything": {"validateRequestBody": True, "validateRequestParameters": True}
    },
    "x-amazon-apigateway-gateway-responses": {
        "BAD_REQUEST_BODY": {
            "statusCode": 400,
            "responseTemplates": {
                "application/json": '{"message":$context.error.messageString,'
                '"reason":"$context.error.validationErrorString"}'
            },
        },
        "REQUEST_TOO_LARGE": {
            "statusCode": 413,
            "responseTemplates": {"application/json": '{"message":"at most 10 MB"}'},
        },
    },
    "paths": {
        "/transactions": {
            "post": {
                "operationId": "receiveTransaction",
                "security": [{"AWS_IAM": []}],
                "x-amazon-apigateway-request-validator": "everything",
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Transaction"}}},
                },
                "responses": {"202": {"description": "accepted"}, "502": {"description": "the stream refused it"}},
                "x-amazon-apigateway-integration": {
                    "type": "aws",
                    "httpMethod": "POST",
                    "uri": {"Fn::Sub": "arn:aws:apigateway:${AWS::Region}:kinesis:action/PutRecord"},
                    "credentials": {"Fn::GetAtt": ["Role", "Arn"]},
                    "passthroughBehavior": "never",
                    "requestParameters": {"integration.request.header.Content-Type": "'application/x-amz-json-1.1'"},
                    "requestTemplates": {"application/json": STREAM_TEMPLATE},
                    "responses": {
                        "200": {
                            "statusCode": "202",
                            "responseParameters": {
                                "method.response.header.X-Shard": "integration.response.body.ShardId"
                            },
                            "responseTemplates": {
                                "application/json": '{"sequenceNumber": "$input.path(\'$.SequenceNumber\')"}'
                            },
                        },
                        "default": {
                            "statusCode": "502",
                            "responseTemplates": {
                                "application/json": '{"error": "$input.path(\'$.__type\')", '
                                "\"reason\": $input.json('$.message')}"
                            },
                        },
                    },
                },
            }
        },
        "/items": {
            "post": {
                "x-amazon-apigateway-request-validator": "everything",
                "parameters": [{"name": "from", "in": "query", "required": True, "schema": {"type": "string"}}],
                "responses": {"200": {"description": "sent"}},
                "x-amazon-apigateway-integration": {
                    "type": "aws",
                    "httpMethod": "POST",
                    "uri": {"Fn::Sub": "arn:aws:apigateway:${AWS::Region}:events:action/PutEvents"},
                    "credentials": {"Fn::GetAtt": ["Role", "Arn"]},
                    "requestTemplates": {"application/json": BUS_TEMPLATE},
                    "responses": {"200": {"statusCode": "200"}},
                },
            }
        },
    },
    "components": {
        "schemas": {
            "Transaction": {
                "type": "object",
                "required": ["cardId", "amount"],
                "properties": {
                    "cardId": {"type": "string", "minLength": 1},
                    "amount": {"$ref": "#/components/schemas/Money"},
                },
            },
            "Money": {"type": "number", "minimum": 0},
        },
        "securitySchemes": {
            "AWS_IAM": {
                "type": "apiKey",
                "name": "Authorization",
                "in": "header",
                "x-amazon-apigateway-authtype": "awsSigv4",
            }
        },
    },
}


def resources(actions: list[str], trusted: str = "apigateway.amazonaws.com") -> dict[str, Any]:
    trust = {"Effect": "Allow", "Principal": {"Service": trusted}, "Action": "sts:AssumeRole"}
    grants = [{"Effect": "Allow", "Action": action, "Resource": "*"} for action in actions]
    return {
        "Stream": {"Type": "AWS::Kinesis::Stream", "Properties": {"ShardCount": 1}},
        "Bus": {"Type": "AWS::Events::EventBus", "Properties": {"Name": {"Fn::Sub": "${AWS::StackName}-bus"}}},
        "Role": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]},
                "Policies": [{"PolicyName": "put", "PolicyDocument": {"Version": "2012-10-17", "Statement": grants}}],
            },
        },
    }


VARIABLES = {"stream": {"Ref": "Stream"}, "bus": {"Ref": "Bus"}}
GRANTS = ["kinesis:PutRecord", "events:PutEvents"]


def an_api(definition: dict[str, Any] = DEFINITION, actions: list[str] = GRANTS, **known: str) -> Template:
    return template(
        {
            **resources(actions, **known),
            "Api": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Body": definition}},
            "Deployment": {"Type": "AWS::ApiGateway::Deployment", "Properties": {"RestApiId": {"Ref": "Api"}}},
            "Stage": {
                "Type": "AWS::ApiGateway::Stage",
                "Properties": {
                    "RestApiId": {"Ref": "Api"},
                    "DeploymentId": {"Ref": "Deployment"},
                    "StageName": "v1",
                    "Variables": VARIABLES,
                },
            },
        },
        {"Api": {"Ref": "Api"}, "Stream": {"Ref": "Stream"}, "Bus": {"Ref": "Bus"}},
    )


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass(frozen=True)
class Api:
    base: str
    identifier: str
    stream: str
    bus: str

    def post(
        self, path: str, body: Any, signer: Credentials | None = None, content_type: str = "application/json"
    ) -> Answer:
        """Posts ``body`` (as JSON where it is no text), signed by ``signer`` where there is one."""
        content = body if isinstance(body, str) else json.dumps(body)
        request = AWSRequest("POST", self.base + path, {"Content-Type": content_type}, content)
        if signer:
            SigV4Auth(signer, "execute-api", "eu-central-1").add_auth(request)
        try:
            with urlopen(Request(self.base + path, content.encode(), dict(request.headers)), timeout=30) as answer:  # noqa: S310 - loopback
                return Answer(answer.status, dict(answer.headers), json.loads(answer.read()))
        except HTTPError as refused:
            with refused:
                return Answer(refused.code, dict(refused.headers), json.loads(refused.read()))


def api_of(aws: Client, stack: str) -> Api:
    outputs = outputs_of(aws, stack)
    endpoint = aws("sts").meta.endpoint_url
    base = f"{endpoint}/restapis/{outputs['Api']}/v1/_user_request_"
    return Api(base, outputs["Api"], outputs["Stream"], outputs["Bus"])


@pytest.fixture(scope="module")
def api(aws: Client) -> Iterator[Api]:
    with deployed(aws, an_api()) as stack:
        yield api_of(aws, stack)


def records_of(aws: Client, stream: str) -> list[dict[str, Any]]:
    kinesis = aws("kinesis")
    (shard,) = kinesis.list_shards(StreamName=stream)["Shards"]
    start = kinesis.get_shard_iterator(StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")
    found: list[dict[str, Any]] = kinesis.get_records(ShardIterator=start["ShardIterator"])["Records"]
    return found


def changed(**operation: Any) -> dict[str, Any]:
    """The definition with other values at the top of POST /transactions."""
    definition = copy.deepcopy(DEFINITION)
    definition["paths"]["/transactions"]["post"].update(operation)
    return definition


def integrated(**integration: Any) -> dict[str, Any]:
    """The definition with other values in the integration of POST /transactions."""
    definition = copy.deepcopy(DEFINITION)
    definition["paths"]["/transactions"]["post"]["x-amazon-apigateway-integration"].update(integration)
    return definition


def test_valid_body_is_on_the_stream_under_its_card_and_the_answer_has_the_sequence_number(
    aws: Client, api: Api
) -> None:
    body = '{"cardId": "card-7", "amount": 12.50, "note": "é"}'
    answer = api.post("/transactions", body, ROOT)
    assert answer.status == 202
    record = records_of(aws, api.stream)[-1]
    assert answer.body == {"sequenceNumber": record["SequenceNumber"]}
    assert answer.headers["X-Shard"] == "shardId-000000000000"
    assert record["PartitionKey"] == "card-7"
    assert record["Data"].decode() == body


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"note": "x"}, '[object has missing required properties (["amount","cardId"])]'),
        ({"cardId": "c", "amount": "12"}, "$.amount: '12' is not of type 'number'"),
        ({"cardId": "c", "amount": -1}, "$.amount: -1 is less than the minimum of 0"),
        ("{oops", "the body is not JSON"),
    ],
)
def test_invalid_body_is_refused_with_the_reason_and_never_reaches_the_stream(
    aws: Client, api: Api, body: Any, reason: str
) -> None:
    before = len(records_of(aws, api.stream))
    answer = api.post("/transactions", body, ROOT)
    assert answer.status == 400
    assert answer.body["message"] == "Invalid request body"
    assert reason in answer.body["reason"]
    assert len(records_of(aws, api.stream)) == before


def test_unsigned_request_is_refused(api: Api) -> None:
    answer = api.post("/transactions", {"cardId": "c", "amount": 1})
    assert (answer.status, answer.body["message"]) == (403, "Missing Authentication Token")


def test_signer_is_refused_without_execute_api_invoke_on_the_method_and_accepted_with_it(aws: Client, api: Api) -> None:
    transaction = {"cardId": "c", "amount": 1}
    with credentials_of_a_user(aws) as nobody:
        answer = api.post("/transactions", transaction, nobody)
        assert answer.status == 403
        assert "not authorized to perform: execute-api:Invoke" in json.dumps(answer.body)
    method = f"arn:aws:execute-api:eu-central-1:000000000000:{api.identifier}/v1/POST/transactions"
    grant = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": method}
    with credentials_of_a_user(aws, grant) as sender:
        assert api.post("/transactions", transaction, sender).status == 202
        forged = Credentials(sender.access_key, "not-the-secret")
        assert api.post("/transactions", transaction, forged).status == 403


def test_role_without_kinesis_put_record_gives_a_clear_5xx(aws: Client) -> None:
    with deployed(aws, an_api(actions=["kinesis:DescribeStream"])) as stack:
        answer = api_of(aws, stack).post("/transactions", {"cardId": "c", "amount": 1}, ROOT)
        assert answer.status == 502
        assert answer.body["error"] == "AccessDeniedException"
        assert "not authorized to perform: kinesis:PutRecord on resource: arn:aws:kinesis:" in answer.body["reason"]


def test_role_that_does_not_trust_api_gateway_is_an_internal_server_error(aws: Client) -> None:
    with deployed(aws, an_api(trusted="lambda.amazonaws.com")) as stack:
        answer = api_of(aws, stack).post("/transactions", {"cardId": "c", "amount": 1}, ROOT)
        assert (answer.status, answer.body) == (500, {"message": "Internal server error"})


def test_missing_stream_takes_the_default_integration_response(aws: Client) -> None:
    body = STREAM_TEMPLATE.replace("$stageVariables.stream", "nowhere")
    with deployed(aws, an_api(integrated(requestTemplates={"application/json": body}))) as stack:
        answer = api_of(aws, stack).post("/transactions", {"cardId": "c", "amount": 1}, ROOT)
        assert (answer.status, answer.body["error"]) == (502, "ResourceNotFoundException")


def test_other_content_type_is_refused_when_nothing_may_pass_through(api: Api) -> None:
    answer = api.post("/transactions", '{"cardId": "c", "amount": 1}', ROOT, content_type="text/plain")
    assert answer.status == 415


def test_body_over_ten_megabytes_is_refused_with_the_declared_gateway_response(api: Api) -> None:
    answer = api.post("/transactions", {"cardId": "c", "amount": 1, "note": "x" * (10 * 1024 * 1024)}, ROOT)
    assert (answer.status, answer.body) == (413, {"message": "at most 10 MB"})


def test_template_with_a_loop_puts_one_event_per_item_on_the_bus(aws: Client, api: Api) -> None:
    queue = aws("sqs").create_queue(QueueName="items")["QueueUrl"]
    queue_arn = aws("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = {"Version": "2012-10-17", "Statement": [allow | {"Resource": queue_arn}]}
    aws("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps(policy)})
    events = aws("events")
    events.put_rule(Name="items", EventBusName=api.bus, EventPattern='{"source": ["backbone.web"]}')
    events.put_targets(Rule="items", EventBusName=api.bus, Targets=[{"Id": "queue", "Arn": queue_arn}])
    answer = api.post("/items?from=test", {"items": [{"name": "a"}, {"name": "b"}]})
    assert answer.status == 200
    assert answer.body["FailedEntryCount"] == 0
    seen: set[str] = set()

    def both() -> bool:
        received = aws("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        seen.update(json.loads(message["Body"])["detail"]["item"] for message in received.get("Messages", []))
        return seen == {"a", "b"}

    wait_until(both, 10, "both items on the bus")
    events.remove_targets(Rule="items", EventBusName=api.bus, Ids=["queue"])
    events.delete_rule(Name="items", EventBusName=api.bus)
    aws("sqs").delete_queue(QueueUrl=queue)


def test_missing_required_parameter_is_refused(api: Api) -> None:
    answer = api.post("/items", {"items": []})
    assert (answer.status, answer.body["message"]) == (400, "Missing required request parameters: [from]")


def test_api_keeps_its_address_when_its_definition_changes(aws: Client) -> None:
    with deployed(aws, an_api()) as stack:
        before = api_of(aws, stack)
        response = {"200": {"statusCode": "202", "responseTemplates": {"application/json": '{"taken": true}'}}}
        assert update(aws, stack, an_api(integrated(responses=response))) == ("UPDATE_COMPLETE", "")
        assert api_of(aws, stack) == before
        answer = before.post("/transactions", {"cardId": "c", "amount": 1}, ROOT)
        assert (answer.status, answer.body) == (202, {"taken": True})


def test_api_keeps_its_old_definition_when_the_new_one_cannot_be_imported(aws: Client) -> None:
    with deployed(aws, an_api()) as stack:
        status, reason = update(aws, stack, an_api(integrated(type="magic")))
        assert status == "UPDATE_ROLLBACK_COMPLETE"
        assert "integration type 'MAGIC' is not one of" in reason
        api = api_of(aws, stack)
        assert api.post("/transactions", {"cardId": "c", "amount": 1}, ROOT).status == 202
        assert api.post("/transactions", {"cardId": "c"}, ROOT).status == 400


def test_resource_policy_in_the_definition_is_enforced(aws: Client) -> None:
    deny = {"Effect": "Deny", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "execute-api:/*/POST/items"}
    allow = {"Effect": "Allow", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "execute-api:/*"}
    policy = {"Version": "2012-10-17", "Statement": [allow, deny]}
    with deployed(aws, an_api(DEFINITION | {"x-amazon-apigateway-policy": policy})) as stack:
        answer = api_of(aws, stack).post("/items?from=test", {"items": []})
        assert answer.status == 403
        assert "explicit deny" in json.dumps(answer.body)


def test_any_method_answers_every_verb(aws: Client) -> None:
    mock = {
        "type": "mock",
        "requestTemplates": {"application/json": '{"statusCode": 200}'},
        "responses": {"default": {"statusCode": "200", "responseTemplates": {"application/json": '{"mocked": true}'}}},
    }
    operation = {"responses": {"200": {"description": "ok"}}, "x-amazon-apigateway-integration": mock}
    definition = DEFINITION | {"paths": {"/any": {"x-amazon-apigateway-any-method": operation}}}
    with deployed(aws, an_api(definition)) as stack:
        answer = api_of(aws, stack).post("/any", {})
        assert (answer.status, answer.body) == (200, {"mocked": True})


def test_event_bus_integration_fails_as_on_aws_when_it_does_not_name_its_target(aws: Client) -> None:
    definition = copy.deepcopy(DEFINITION)
    integration = definition["paths"]["/items"]["post"]["x-amazon-apigateway-integration"]
    integration["requestTemplates"] = {"application/json": '{"Entries": []}'}
    integration["responses"]["4\\d{2}"] = {"statusCode": "400"}
    definition["paths"]["/items"]["post"]["responses"]["400"] = {"description": "refused"}
    with deployed(aws, an_api(definition)) as stack:
        answer = api_of(aws, stack).post("/items?from=test", {})
        assert answer.status == 400
        assert "needs Content-Type application/x-amz-json-1.1 and X-Amz-Target AWSEvents.PutEvents" in str(answer.body)


def test_function_behind_an_implicit_sam_api_is_still_reached_with_its_model_checked(aws: Client) -> None:
    order = {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}
    event = {
        "Type": "Api",
        "Properties": {
            "Path": "/orders",
            "Method": "post",
            "RestApiId": {"Ref": "Api"},
            "RequestModel": {"Model": "Order", "Required": True, "ValidateBody": True},
        },
    }
    function = {
        "Handler": "index.handler",
        "Runtime": "python3.13",
        "InlineCode": "def handler(event, context):\n    return {'statusCode': 201, 'body': event['body']}\n",
        "Events": {"Post": event},
    }
    body = template(
        {
            **resources(GRANTS),
            "Api": {"Type": "AWS::Serverless::Api", "Properties": {"StageName": "v1", "Models": {"Order": order}}},
            "Orders": {"Type": "AWS::Serverless::Function", "Properties": function},
        },
        {"Api": {"Ref": "Api"}, "Stream": {"Ref": "Stream"}, "Bus": {"Ref": "Bus"}},
        Transform="AWS::Serverless-2016-10-31",
    )
    with deployed(aws, body) as stack:
        api = api_of(aws, stack)
        assert api.post("/orders", {"id": "o-1"}).body == {"id": "o-1"}
        assert api.post("/orders", {}).status == 400


def test_sam_api_behaves_the_same_as_a_plain_one(aws: Client) -> None:
    body = template(
        {
            **resources(GRANTS),
            "Api": {
                "Type": "AWS::Serverless::Api",
                "Properties": {"StageName": "v1", "DefinitionBody": DEFINITION, "Variables": VARIABLES},
            },
        },
        {"Api": {"Ref": "Api"}, "Stream": {"Ref": "Stream"}, "Bus": {"Ref": "Bus"}},
        Transform="AWS::Serverless-2016-10-31",
    )
    with deployed(aws, body) as stack:
        api = api_of(aws, stack)
        assert api.post("/transactions", {"cardId": "c", "amount": 1}, ROOT).status == 202
        assert api.post("/transactions", {"cardId": "c", "amount": 1}).status == 403
        assert api.post("/transactions", {"cardId": "c"}, ROOT).status == 400
        assert [record["PartitionKey"] for record in records_of(aws, api.stream)] == ["c"]


@pytest.mark.parametrize(
    ("definition", "reason"),
    [
        (changed(responses={"202": {"description": "accepted"}}), "Invalid Response status code specified: 502"),
        (integrated(credentials=""), "an AWS integration needs credentials"),
        (integrated(timeoutInMillis=30_000), "timeoutInMillis is 50 to 29000"),
        (changed(**{"x-amazon-apigateway-request-validator": "none"}), "there is no request validator 'none'"),
        (DEFINITION | {"components": {"schemas": {"Not_Allowed": {}}}}, "Model name must be alphanumeric"),
        (DEFINITION | {"components": {"schemas": {"Bad": {"type": "thing"}}}}, "Invalid model specified: Bad"),
        (DEFINITION | {"x-amazon-apigateway-endpoint-configuration": {}}, "Not imported by the local API Gateway"),
    ],
)
def test_stack_fails_with_the_reason_when_the_definition_is_not_importable(
    aws: Client, definition: dict[str, Any], reason: str
) -> None:
    status, why = create(aws, "bad-api", an_api(definition))
    delete(aws, "bad-api")
    assert status == "ROLLBACK_COMPLETE"
    assert reason in why


def rendered(text: str, body: str = "{}", **known: Any) -> str:
    context = {"requestId": "r-1", "identity": {"sourceIp": "192.0.2.1"}, "requestOverride": {"header": {}}}
    source = {"path": {}, "query": {}, "headers": {}, "context": context, "stage_variables": {}} | known
    return render(text, TemplateInput(body=body, **source))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$input.json('$')", '{"a":{"b":[{"c":1},{"c":2.5}]},"t":"é\'\\""}'),
        ("$input.json('$.a.b[1].c')", "2.5"),
        ("$input.path('$.a.b[*].c').size()", "2"),
        ("$input.path(\"$['a']['b'][0].c\")", "1"),
        ("[$input.path('$.missing.deeper')]", "[]"),
        ("$util.escapeJavaScript($input.path('$.t'))", "\\u00e9\\'\\\""),
        ("$util.base64Decode($util.base64Encode('é'))", "é"),
        ("$util.urlEncode('a b&c')/$util.urlDecode('a+b%26c')", "a+b%26c/a b&c"),
        ("$util.parseJson('{\"x\": [1, 2]}').x[1]", "2"),
        ("$context.requestId $context.identity.sourceIp", "r-1 192.0.2.1"),
        ("$input.params('X-Key')/$input.params('q')/$input.params().path.get('id')", "header/query/path"),
        ("$input.params().header.get('X-Key')", "header"),
        ("$stageVariables.stream", "stream"),
        ("#set($all = $input.path('$.a'))#foreach($x in $all.b)$x.c#if($foreach.hasNext),#end#end", "1,2.5"),
        ("#if($input.path('$.a.b[0].c') == 1)one#{else}other#end", "one"),
    ],
)
def test_mapping_template_renders_as_the_reference_says(text: str, expected: str) -> None:
    body = '{"a": {"b": [{"c": 1}, {"c": 2.5}]}, "t": "é\'\\""}'
    known = {"path": {"id": "path"}, "query": {"q": "query"}, "headers": {"x-key": "header"}}
    assert rendered(text, body, **known, stage_variables={"stream": "stream"}) == expected


@pytest.mark.parametrize("text", ["#if($x)", "$input.path('$..deep')", "#foreach($x in)#end"])
def test_mapping_template_fails_with_the_reason_when_it_is_faulty(text: str) -> None:
    with pytest.raises(TemplateError):
        rendered(text)


def test_integration_that_takes_too_long_is_a_gateway_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object) -> rest_api_integrations.BackendAnswer:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    monkeypatch.setattr(rest_api_integrations, "_call", never)
    integration = {
        "uri": "arn:aws:apigateway:eu-central-1:kinesis:action/PutRecord",
        "credentials": "arn:aws:iam::000000000000:role/any",
        "timeoutInMillis": 50,
        "requestTemplates": {},
        "requestParameters": {},
        "passthroughBehavior": "WHEN_NO_MATCH",
        "integrationResponses": {},
    }
    source = TemplateInput("{}", {}, {}, {}, {"requestOverride": {"header": {}}}, {})
    with pytest.raises(rest_api_integrations.GatewayError) as raised:
        asyncio.run(rest_api_integrations.run(integration, source))
    assert raised.value.response_type == "INTEGRATION_TIMEOUT"


def test_engine_still_lacks_the_import_of_mapping_templates_and_the_kinesis_integration() -> None:
    assert "requestTemplates" not in inspect.getsource(apigateway_v1._import_operation)
    assert "kinesis" not in inspect.getsource(apigateway_v1._execute_in_scope)
