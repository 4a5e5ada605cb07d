"""A batch of messages is authorised as the single action that it repeats.

AWS: "Actions, resources, and condition keys" of Amazon SQS and Amazon SNS, Service Authorization Reference. There is no
action ``sqs:SendMessageBatch``: SendMessageBatch needs ``sqs:SendMessage``, and so on. The engine asks for an action of
the operation's own name, so that a right policy would be refused here.
"""

from typing import Any

from ministack.core import iam_actions

from local.overlay.engine_hooks import Engine, replace

AUTHORISED_AS = {
    "sqs:SendMessageBatch": "sqs:SendMessage",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "sns:PublishBatch": "sns:Publish",
}


def install(_: Engine) -> None:
    """Makes the engine ask for the action that AWS asks for."""

    def single_action(*arguments: Any, **options: Any) -> str | None:
        action: str | None = extract(*arguments, **options)
        return AUTHORISED_AS.get(action, action) if action else action

    extract = replace(iam_actions, "extract_iam_action", single_action)
