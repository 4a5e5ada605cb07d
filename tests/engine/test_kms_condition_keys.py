"""Encrypt and Decrypt under a policy that is bound to the encryption context, with a key from CloudFormation."""

import inspect
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from ministack.core import iam_actions, iam_evaluator

from tests.engine.callers import a_user
from tests.engine.stacks import Client, deployed, outputs_of, template

CONTEXT = {"caseId": "case-1", "step": "3"}


def a_key(principal: Any) -> dict[str, Any]:
    """A stack's key that ``principal`` may use as far as their own policies go."""
    statement = {"Effect": "Allow", "Principal": principal, "Action": "kms:*", "Resource": "*"}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    properties = {"KeyPolicy": policy, "EnableKeyRotation": True, "PendingWindowInDays": 7}
    resources = {"TestKey": {"Type": "AWS::KMS::Key", "Properties": properties}}
    return template(resources, {"Arn": {"Fn::GetAtt": ["TestKey", "Arn"]}})


ROOT = {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}}


@pytest.fixture(scope="module")
def key(aws: Client) -> Iterator[str]:
    with deployed(aws, a_key(ROOT)) as stack:
        yield outputs_of(aws, stack)["Arn"]


def granted(action: str, key: str) -> dict[str, Any]:
    """``action`` with exactly the keys of CONTEXT."""
    condition = {
        "Null": {"kms:EncryptionContext:caseId": "false", "kms:EncryptionContext:step": "false"},
        "ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["caseId", "step"]},
    }
    return {"Effect": "Allow", "Action": action, "Resource": key, "Condition": condition}


def test_key_of_a_stack_rotates_and_keeps_the_policy_it_was_given(aws: Client, key: str) -> None:
    kms = aws("kms")
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is True
    assert ":root" in kms.get_key_policy(KeyId=key)["Policy"]


def test_what_one_encrypts_another_decrypts_under_the_same_context(aws: Client, key: str) -> None:
    with a_user(aws, granted("kms:Encrypt", key)) as writer, a_user(aws, granted("kms:Decrypt", key)) as reader:
        sealed = writer("kms").encrypt(KeyId=key, Plaintext=b"a token", EncryptionContext=CONTEXT)["CiphertextBlob"]
        assert b"a token" not in sealed
        opened = reader("kms").decrypt(KeyId=key, CiphertextBlob=sealed, EncryptionContext=CONTEXT)
        assert opened["Plaintext"] == b"a token"
        with pytest.raises(ClientError, match="InvalidCiphertextException"):
            reader("kms").decrypt(KeyId=key, CiphertextBlob=sealed, EncryptionContext=CONTEXT | {"step": "4"})
        with pytest.raises(ClientError, match="AccessDenied"):
            writer("kms").decrypt(KeyId=key, CiphertextBlob=sealed, EncryptionContext=CONTEXT)
        with pytest.raises(ClientError, match="AccessDenied"):
            reader("kms").encrypt(KeyId=key, Plaintext=b"forged", EncryptionContext=CONTEXT)


@pytest.mark.parametrize("context", [{}, {"caseId": "case-1"}, CONTEXT | {"more": "x"}], ids=["none", "less", "more"])
def test_another_context_than_the_grants_is_denied(aws: Client, key: str, context: dict[str, str]) -> None:
    with (
        a_user(aws, granted("kms:Encrypt", key)) as writer,
        pytest.raises(ClientError, match="AccessDenied"),
    ):
        writer("kms").encrypt(KeyId=key, Plaintext=b"a token", EncryptionContext=context)


def test_grant_is_worth_nothing_where_the_keys_policy_lets_nobody_in(aws: Client) -> None:
    nobody = {"AWS": "arn:aws:iam::111111111111:root"}
    with deployed(aws, a_key(nobody)) as stack:
        key = outputs_of(aws, stack)["Arn"]
        with (
            a_user(aws, granted("kms:Encrypt", key)) as writer,
            pytest.raises(ClientError, match="AccessDenied"),
        ):
            writer("kms").encrypt(KeyId=key, Plaintext=b"a token", EncryptionContext=CONTEXT)


def test_engine_still_knows_no_encryption_context() -> None:
    assert "encryptioncontext" not in inspect.getsource(iam_evaluator).lower()
    assert "encryptioncontext" not in inspect.getsource(iam_actions).lower()
