"""Which engine answers: the setting AGENT_ENGINE. Only the chosen one is imported, for a cold start's sake."""

from typing import Protocol

from agent_port import Agent, Meter, Tools
from backbone.clients import client
from backbone.settings import SettingsError

# Shorter than the function's own timeout (120 s), so that a model that hangs is seen as one.
MODEL_TIMEOUT_SECONDS = 60


class EngineSettings(Protocol):
    """The part of the function's settings that chooses and finds an engine."""

    @property
    def agent_engine(self) -> str: ...
    @property
    def model_id(self) -> str: ...
    @property
    def agent_id(self) -> str: ...
    @property
    def agent_alias_id(self) -> str: ...
    @property
    def harness_arn(self) -> str: ...


def agent_for(settings: EngineSettings, tools: Tools, meter: Meter) -> Agent:
    """The agent that the settings name; raises SettingsError where they name none."""
    match settings.agent_engine:
        case "converse":
            from converse_agent import ConverseAgent  # noqa: PLC0415 - one engine of three

            return ConverseAgent(client("bedrock-runtime", MODEL_TIMEOUT_SECONDS), settings.model_id, tools, meter)
        case "bedrock-agent":
            from bedrock_agent import BedrockAgent  # noqa: PLC0415 - one engine of three

            service = client("bedrock-agent-runtime", MODEL_TIMEOUT_SECONDS)
            return BedrockAgent(service, settings.agent_id, settings.agent_alias_id, meter)
        case "agentcore":
            from agentcore_agent import AgentCoreAgent  # noqa: PLC0415 - one engine of three

            service = client("bedrock-agentcore", MODEL_TIMEOUT_SECONDS)
            return AgentCoreAgent(service, settings.harness_arn, settings.model_id, tools, meter)
    raise SettingsError(f"AGENT_ENGINE is converse, bedrock-agent or agentcore, not {settings.agent_engine!r}")
