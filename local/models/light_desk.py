"""What the light profile answers a message with: the tools that the request offers, and the router over them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from local.models.embeddings import LazyEmbeddingModel
from local.models.offered_tools import OfferedTool
from local.models.tool_router import Router, router_for


@dataclass(frozen=True, slots=True)
class Desk:
    """The tools by name, the JSON Schemas of their arguments, the router over them, the day (UTC)."""

    tools: Mapping[str, OfferedTool]
    schemas: Mapping[str, Mapping[str, Any]]
    router: Router
    model: LazyEmbeddingModel
    today: date

    def named(self, bare_name: str) -> str | None:
        """The offered tool with this bare name."""
        return next((name for name, tool in self.tools.items() if tool.bare_name == bare_name), None)

    def takes_words(self, name: str) -> bool:
        """Whether the tool ``name`` needs the person's question in words, as a search does."""
        properties, required = (self.schemas[name].get(key) or {} for key in ("properties", "required"))
        return any(properties[one].get("type") == "string" and not one.endswith("Id") for one in required)

    def abilities(self) -> str:
        """What the tools can do, as a list in words."""
        able = [tool.can for tool in self.tools.values()]
        return able[0] if len(able) == 1 else f"{', '.join(able[:-1])}, and {able[-1]}"


def desk_for(tools: Sequence[Mapping[str, Any]], model: LazyEmbeddingModel, today: date) -> Desk:
    """The desk for the ``tools`` of a chat completion request (OpenAI's functions), of which there is at least one."""
    functions = [tool["function"] for tool in tools]
    offered = tuple(OfferedTool(one["name"], one.get("description") or "") for one in functions)
    schemas = {one["name"]: one.get("parameters") or {} for one in functions}
    return Desk({tool.name: tool for tool in offered}, schemas, router_for(offered, model), model, today)
