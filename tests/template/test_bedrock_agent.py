"""The Bedrock agent of the template: told what the converse engine is told, behind an alias that follows it."""

import hashlib
import json

from agent_instructions import _INSTRUCTIONS
from tests.sam_template import resources

(AGENT,) = resources("AWS::Bedrock::Agent").values()
(ALIAS,) = resources("AWS::Bedrock::AgentAlias").values()


def test_agent_is_told_the_rules_of_the_converse_engine() -> None:
    assert AGENT["Instruction"].partition("\n\n")[2].strip() == _INSTRUCTIONS.partition("\n\n")[2].strip()
    assert 40 <= len(AGENT["Instruction"]) <= 4000


def test_agent_keeps_the_quotas_of_bedrock() -> None:
    (group,) = AGENT["ActionGroups"]
    functions = group["FunctionSchema"]["Functions"]
    assert len(functions) <= 11
    assert max(len(function.get("Parameters", {})) for function in functions) <= 5


def test_alias_is_updated_with_the_agent_because_else_it_would_stay_with_the_version_before() -> None:
    digest = hashlib.sha256(json.dumps(AGENT, sort_keys=True).encode()).hexdigest()[:12]
    assert f"Definition {digest}," in ALIAS["Description"]["Fn::Sub"]
