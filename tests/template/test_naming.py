"""Two stacks live in one account: nothing has a name of its own, and everything says what it is."""

import re

import pytest

from tests.sam_template import written_template

# The property by which each type could be given a physical name; None where it has none. A new type needs a line here.
NAME_OF = {
    "AWS::ApiGatewayV2::Api": "Name",
    "AWS::ApiGatewayV2::Authorizer": None,  # its name is within its API
    "AWS::ApiGatewayV2::Integration": None,
    "AWS::ApiGatewayV2::Route": None,
    "AWS::ApiGatewayV2::Stage": None,  # its name is within its API
    "AWS::Bedrock::Agent": "AgentName",
    "AWS::Bedrock::AgentAlias": None,  # its name is within its agent
    "AWS::Bedrock::DataSource": None,  # its name is within its knowledge base
    "AWS::Bedrock::Guardrail": "Name",
    "AWS::Bedrock::GuardrailVersion": None,
    "AWS::Bedrock::KnowledgeBase": "Name",
    "AWS::BedrockAgentCore::Harness": "HarnessName",
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::Cognito::UserPool": "UserPoolName",
    "AWS::Cognito::UserPoolClient": "ClientName",
    "AWS::Cognito::UserPoolGroup": None,  # its name is within its pool
    "AWS::DynamoDB::Table": "TableName",
    "AWS::EventSchemas::Registry": "RegistryName",
    "AWS::EventSchemas::Schema": None,  # its name is within its registry
    "AWS::Events::Archive": "ArchiveName",
    "AWS::Events::EventBus": "Name",
    "AWS::Events::Rule": "Name",
    "AWS::IAM::Policy": None,  # its name is within its roles
    "AWS::IAM::Role": "RoleName",
    "AWS::KMS::Key": None,
    "AWS::Lambda::Permission": None,
    "AWS::Kinesis::Stream": "Name",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::S3::BucketPolicy": None,
    "AWS::S3Vectors::Index": "IndexName",
    "AWS::S3Vectors::VectorBucket": "VectorBucketName",
    "AWS::SNS::Subscription": None,
    "AWS::SNS::Topic": "TopicName",
    "AWS::SNS::TopicPolicy": None,
    "AWS::SQS::Queue": "QueueName",
    "AWS::SQS::QueuePolicy": None,
    "AWS::SSM::Parameter": "Name",
    "AWS::SageMaker::Endpoint": "EndpointName",
    "AWS::SageMaker::EndpointConfig": "EndpointConfigName",
    "AWS::SageMaker::Model": "ModelName",
    "AWS::Serverless::Api": "Name",
    "AWS::Serverless::Function": "FunctionName",
    "AWS::Serverless::StateMachine": "Name",
    "AWS::Serverless::LayerVersion": "LayerName",
}
NAMED = {
    "AutonomySwitch": "whoever must pause the agents finds it at once; it is made from the stack's name",
    "BankAgent": "an agent must have a name; it is made from the stack's",
    "ChatApi": "an API must have a name; it is made from the stack's",
    "EventBus": "a bus must have a name; it is made from the stack's",
    "ChatHarness": "a harness must have a name; it is made from the stack's id",
    "GroundingGuardrail": "a guardrail must have a name; it is made from the stack's",
    "InvestigateTransactionLogGroup": "below /aws/vendedlogs/ log delivery needs no policy per group",
    "PassageKnowledgeBase": "a knowledge base must have a name; it is made from the stack's",
    "SummarizeDocumentLogGroup": "below /aws/vendedlogs/ log delivery needs no policy per group",
}
TEMPLATE = written_template()


@pytest.mark.parametrize("logical_id", TEMPLATE["Resources"])
def test_resource_has_no_physical_name_unless_there_is_a_reason(logical_id: str) -> None:
    resource = TEMPLATE["Resources"][logical_id]
    property_ = NAME_OF[resource["Type"]]
    name = resource.get("Properties", {}).get(property_)
    if logical_id in NAMED:
        assert "AWS::StackName" in str(name) or "AWS::StackId" in str(name)
    else:
        assert name is None


@pytest.mark.parametrize("section", ["Parameters", "Outputs"])
def test_every_parameter_and_output_is_described(section: str) -> None:
    assert [name for name, one in TEMPLATE[section].items() if not one["Description"].endswith(".")] == []


def test_every_parameter_stands_in_one_group_of_the_console_and_is_used() -> None:
    groups = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [name for group in groups for name in group["Parameters"]]
    assert sorted(grouped) == sorted(TEMPLATE["Parameters"])
    body = repr({name: section for name, section in TEMPLATE.items() if name not in ("Parameters", "Metadata")})
    assert [
        name for name in TEMPLATE["Parameters"] if f"'Ref': '{name}'" not in body and f"${{{name}}}" not in body
    ] == []


def test_every_parameter_has_a_default_so_that_a_first_deployment_asks_nothing() -> None:
    assert [name for name, one in TEMPLATE["Parameters"].items() if "Default" not in one] == []


@pytest.mark.parametrize("logical_id", TEMPLATE["Resources"])
def test_logical_id_ends_with_what_the_resource_is(logical_id: str) -> None:
    kind = TEMPLATE["Resources"][logical_id]["Type"].rpartition("::")[2]
    ending = {"LayerVersion": "Layer", "EventBus": "Bus", "Model": "Artefact", "Parameter": "Switch"}.get(kind, kind)
    assert logical_id.endswith(ending), f"{logical_id} is a {kind}"
    assert re.fullmatch("[A-Z][A-Za-z]+", logical_id)
