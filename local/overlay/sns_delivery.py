"""SNS subscriptions: dead-letter queues, function policies, and Lambda's asynchronous retries.

Follows https://docs.aws.amazon.com/sns/latest/dg/sns-dead-letter-queues.html: a delivery that SNS cannot make because
the endpoint is gone or its policy refuses sns.amazonaws.com is not tried again; the message goes to the queue named in
the subscription's RedrivePolicy. The engine stores RedrivePolicy and drops the message, calls a function once, in a
thread, without asking its policy, and judges queue policies as if SNS came over plain HTTP.
HTTP(S), e-mail and SMS endpoints stay the engine's.
"""

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

from ministack.core.arn import parse_arn
from ministack.services import sns

from local.overlay import engine_hooks
from local.overlay.engine_hooks import Engine
from local.overlay.service_calls import Caller, CallError, invoke_function, send_to_queue

logger = logging.getLogger("overlay.sns")


def install(_: Engine) -> None:
    engine_hooks.replace(sns, "_deliver_to_sqs", _deliver_to_queue)
    engine_hooks.replace(sns, "_deliver_to_lambda", _deliver_to_function)


def _deliver_to_queue(  # noqa: PLR0917 - the engine's signature, and it passes some by position
    endpoint: str,
    envelope: str,
    raw: bool,
    raw_message: str,
    message_group_id: str = "",
    message_dedup_id: str = "",
    message_attributes: Mapping[str, Any] | None = None,
    topic_arn: str = "",
) -> None:
    subscription = _subscription(topic_arn, "sqs", endpoint)

    def send(queue_arn: str) -> None:
        send_to_queue(
            _caller(topic_arn),
            queue_arn,
            raw_message if raw else envelope,
            message_attributes=message_attributes if raw else None,
            group_id=message_group_id,
            deduplication_id=message_dedup_id,
        )

    _deliver_or_bury(subscription, send, lambda: send(endpoint))


def _deliver_to_function(
    endpoint: str,
    envelope: str,
    topic_arn: str,
    sub_arn: str,
    _message_id: str,
    _raw_message: str,
    _message_attributes: Mapping[str, Any],
) -> None:
    event = {
        "Records": [
            {
                "EventSource": "aws:sns",
                "EventVersion": "1.0",
                "EventSubscriptionArn": sub_arn,
                "Sns": _lambda_notification(json.loads(envelope)),
            }
        ]
    }
    caller = _caller(topic_arn)
    _deliver_or_bury(
        _subscription(topic_arn, "lambda", endpoint),
        lambda queue_arn: send_to_queue(caller, queue_arn, envelope),
        lambda: invoke_function(caller, endpoint, event),
    )


def _deliver_or_bury(
    subscription: Mapping[str, Any], to_queue: Callable[[str], None], deliver: Callable[[], None]
) -> None:
    """Delivers; where that fails for good, sends the same message to the subscription's dead-letter queue."""
    try:
        deliver()
    except CallError as error:
        _bury(subscription, error, to_queue)


def _bury(subscription: Mapping[str, Any], error: CallError, to_queue: Callable[[str], None]) -> None:
    subscription_arn = subscription.get("arn")
    queue_arn = _dead_letter_queue(subscription)
    if not queue_arn:
        logger.error("Message lost, %s has no dead-letter queue: %s (%s)", subscription_arn, error.code, error)
        return
    try:
        to_queue(queue_arn)
    except CallError as second:
        logger.error("Message lost, %s: %s; dead-letter queue: %s", subscription_arn, error, second)
        return
    logger.error("Message of %s to the dead-letter queue %s: %s (%s)", subscription_arn, queue_arn, error.code, error)


def _dead_letter_queue(subscription: Mapping[str, Any]) -> str | None:
    policy = subscription.get("attributes", {}).get("RedrivePolicy") or "{}"
    queue_arn: str | None = (json.loads(policy) if isinstance(policy, str) else policy).get("deadLetterTargetArn")
    return queue_arn


def _subscription(topic_arn: str, protocol: str, endpoint: str) -> Mapping[str, Any]:
    topic = sns._topic_by_arn_any_scope(topic_arn) or {}
    wanted = (protocol, endpoint)
    matches = (s for s in topic.get("subscriptions", []) if (s["protocol"], s["endpoint"]) == wanted)
    return next(matches, {})


def _lambda_notification(notification: dict[str, Any]) -> dict[str, Any]:
    """The notification as Lambda gets it: every member present, and two of them spelled differently than in SQS."""
    renamed = {
        "SigningCertUrl": notification.pop("SigningCertURL", None),
        "UnsubscribeUrl": notification.pop("UnsubscribeURL", None),
    }
    return {"Subject": None, "MessageAttributes": {}} | notification | renamed


def _caller(topic_arn: str) -> Caller:
    topic = parse_arn(topic_arn)
    return Caller("sns.amazonaws.com", topic_arn, topic.account_id, topic.region)
