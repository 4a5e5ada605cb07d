"""The setting AGENT_ENGINE chooses one of three engines, and only that one is imported."""

import subprocess
import sys
from dataclasses import dataclass

import pytest

from agent_engines import agent_for
from backbone.settings import SettingsError
from tests.unit.agent_fakes import FakeTools, Measured

NAMES = {"converse": "ConverseAgent", "bedrock-agent": "BedrockAgent", "agentcore": "AgentCoreAgent"}


@dataclass(frozen=True)
class Settings:
    agent_engine: str
    model_id: str = "model-1"
    agent_id: str = "AGENT12345"
    agent_alias_id: str = "ALIAS12345"
    harness_arn: str = "arn:aws:bedrock-agentcore:eu-central-1:123456789012:harness/h"


@pytest.mark.parametrize("engine", NAMES)
def test_engine_is_the_one_that_is_set(engine: str) -> None:
    assert type(agent_for(Settings(engine), FakeTools(), Measured())).__name__ == NAMES[engine]


def test_unknown_engine_is_refused_when_the_function_starts() -> None:
    with pytest.raises(SettingsError, match="AGENT_ENGINE"):
        agent_for(Settings("oracle"), FakeTools(), Measured())


def test_other_engines_are_not_imported() -> None:
    program = (
        "import sys; import agent_engines; sys.exit(bool({'bedrock_agent', 'agentcore_agent'} & set(sys.modules)))"
    )
    paths = {"PYTHONPATH": ":".join(path for path in sys.path if path)}
    assert subprocess.run([sys.executable, "-c", program], env=paths, check=False).returncode == 0
