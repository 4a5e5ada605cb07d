"""Mapping templates of API Gateway REST APIs: Velocity with ``$input``, ``$util``, ``$context``, ``$stageVariables``.

Reference: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-mapping-template-reference.html.
The language itself is airspeed-ext's (the dialect of airspeed that AWS services speak); this module brings the objects.
"""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus, unquote_plus

import airspeed  # type: ignore[import-untyped]  # it ships no types

_STEP = re.compile(r"\.([A-Za-z_][\w-]*)|\[(\d+)\]|\[['\"]([^'\"]+)['\"]\]|(\.\*|\[\*\])")


class TemplateError(Exception):
    """A mapping template cannot be rendered; the message says where and why."""


@dataclass(frozen=True)
class TemplateInput:
    """What a template sees. ``context`` takes what the template sets (``requestOverride``, ``responseOverride``)."""

    body: str
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    context: dict[str, Any]
    stage_variables: Mapping[str, str]


def render(template: str, source: TemplateInput) -> str:
    """The text that ``template`` makes of ``source``; raises TemplateError where it has a fault."""
    names = {
        "input": _Input(source),
        "util": _Utilities(),
        "context": source.context,
        "stageVariables": dict(source.stage_variables),
    }
    try:
        return str(airspeed.Template(template).merge(names))
    except airspeed.TemplateExecutionError as error:
        raise TemplateError(f"{error}") from error
    except airspeed.TemplateError as error:
        raise TemplateError(f"The mapping template does not parse: {error}") from error


def select(document: Any, path: str) -> Any:
    """The node of ``document`` at a JSONPath of names, indexes and ``[*]``; None where there is none.

    Raises TemplateError for filters, slices and descents, which API Gateway knows and this does not.
    """
    if not path.startswith("$"):
        raise TemplateError(f"The JSONPath {path!r} does not begin with $.")
    nodes, position, many = [document], 1, False
    while position < len(path):
        step = _STEP.match(path, position)
        if step is None:
            raise TemplateError(f"The JSONPath {path!r} is not understood at {path[position:]!r}.")
        nodes = [child for node in nodes for child in _children(node, step)]
        many = many or step[4] is not None
        position = step.end()
    if many:
        return nodes
    return nodes[0] if nodes else None


def _children(node: Any, step: re.Match[str]) -> list[Any]:
    if step[4] is not None:
        return list(node.values()) if isinstance(node, dict) else list(node) if isinstance(node, list) else []
    if step[2] is not None:
        index = int(step[2])
        return [node[index]] if isinstance(node, list) and index < len(node) else []
    name = step[1] or step[3]
    return [node[name]] if isinstance(node, dict) and name in node else []


class _Input:
    """``$input``. Method and attribute names are the template language's."""

    def __init__(self, source: TemplateInput) -> None:
        self._source = source
        self.body = source.body

    def path(self, expression: str) -> Any:
        return select(self._document(), expression)

    def json(self, expression: str) -> str:
        return json.dumps(self.path(expression), separators=(",", ":"), ensure_ascii=False)

    def params(self, name: str | None = None) -> Any:
        headers = _Headers({key.lower(): value for key, value in self._source.headers.items()})
        places = {"path": dict(self._source.path), "querystring": dict(self._source.query), "header": headers}
        if name is None:
            return places
        return next((values[name] for values in places.values() if name in values), "")

    def _document(self) -> Any:
        if not self.body:
            return {}
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise TemplateError(f"The body is not JSON: {error}") from error


class _Headers(dict[str, str]):
    """Headers by name in any case: the server hands them on in lower case, a template asks as the client wrote them."""

    def __contains__(self, name: object) -> bool:
        return super().__contains__(str(name).lower())

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)


class _Utilities:
    """``$util``. Method names are the template language's."""

    def base64Encode(self, text: str) -> str:  # noqa: N802
        return base64.b64encode(str(text).encode()).decode()

    def base64Decode(self, text: str) -> str:  # noqa: N802
        return base64.b64decode(str(text)).decode()

    def escapeJavaScript(self, text: str) -> str:  # noqa: N802
        # As Java's StringEscapeUtils, which escapes the single quote too.
        return json.dumps(str(text))[1:-1].replace("'", "\\'").replace("/", "\\/")

    def urlEncode(self, text: str) -> str:  # noqa: N802
        return quote_plus(str(text))

    def urlDecode(self, text: str) -> str:  # noqa: N802
        return unquote_plus(str(text))

    def parseJson(self, text: str) -> Any:  # noqa: N802
        return json.loads(text)
