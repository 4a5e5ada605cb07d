"""Every place where something is handed from one resource to another, as the template has it."""

from dataclasses import dataclass

from tests.sam_template import as_list, resources, target_of
from tests.template.test_permissions import GRANTS

# A grant of one of these lets a role hand something on.
HANDING_ON = {
    "bedrock:IngestKnowledgeBaseDocuments",
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
    "events:PutEvents",
    "execute-api:ManageConnections",
    "kinesis:PutRecord",
    "kinesis:PutRecords",
    "lambda:InvokeFunction",
    "s3:PutObject",
    "sagemaker:InvokeEndpoint",
    "sns:Publish",
    "sqs:SendMessage",
    "states:SendTaskSuccess",
    "states:StartExecution",
}


@dataclass(frozen=True)
class Hop:
    """A hop by its logical id, or "<role>/<statement>"; ``dead_letters`` is the queue for what it gives up."""

    name: str
    dead_letters: str | None


def redrive_target(queue: str) -> str | None:
    """The dead-letter queue of a queue."""
    policy = resources("AWS::SQS::Queue")[queue].get("RedrivePolicy")
    return target_of(policy["deadLetterTargetArn"]) if policy else None


def hops() -> list[Hop]:
    """All hops: event source mappings, rule targets, subscriptions, archives, and what roles hand on."""
    return [
        *_mappings(),
        *(
            Hop(name, target_of(target["DeadLetterConfig"]["Arn"]) if "DeadLetterConfig" in target else None)
            for name, rule in resources("AWS::Events::Rule").items()
            for target in rule["Targets"]
        ),
        *(
            Hop(name, target_of(one["RedrivePolicy"]["deadLetterTargetArn"]) if "RedrivePolicy" in one else None)
            for name, one in resources("AWS::SNS::Subscription").items()
        ),
        *(Hop(name, None) for name in resources("AWS::Events::Archive")),
        *(Hop(f"{role}/{grant['Sid']}", None) for role, grant in GRANTS if set(as_list(grant["Action"])) & HANDING_ON),
    ]


def _mappings() -> list[Hop]:
    found = []
    for name, mapping in resources("AWS::Lambda::EventSourceMapping", deployed=True).items():
        if "DestinationConfig" in mapping:
            dead_letters = target_of(mapping["DestinationConfig"]["OnFailure"]["Destination"])
            found.append(Hop(name, dead_letters))
        else:
            found.append(Hop(name, redrive_target(target_of(mapping["EventSourceArn"]))))
    return found


def dead_letter_queues() -> set[str]:
    """Every queue that something is given up to."""
    redriven = {redrive_target(queue) for queue in resources("AWS::SQS::Queue")}
    return {queue for queue in redriven | {hop.dead_letters for hop in hops()} if queue is not None}
