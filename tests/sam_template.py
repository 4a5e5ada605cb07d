"""The template as tests read it: as it is written, and as AWS deploys it after SAM's transform."""

import copy
from functools import cache
from pathlib import Path
from typing import Any

from samcli.yamlhelper import yaml_parse  # type: ignore[import-untyped] # the SAM CLI ships no types
from samtranslator.translator.managed_policy_translator import (  # type: ignore[import-untyped] # nor does this
    ManagedPolicyLoader,
)
from samtranslator.translator.transform import transform  # type: ignore[import-untyped] # nor this

PROJECT = Path(__file__).resolve().parents[1]

type Resource = dict[str, Any]


@cache
def written_template() -> dict[str, Any]:
    """template.yaml with intrinsic functions in their long form ({"Fn::GetAtt": [...]}). Do not change it."""
    template: dict[str, Any] = yaml_parse((PROJECT / "template.yaml").read_text())
    return template


@cache
def deployed_template() -> dict[str, Any]:
    """The template after the transform: what CloudFormation sees. Do not change it."""
    template = copy.deepcopy(written_template())
    for resource in template["Resources"].values():
        for name in ("CodeUri", "ContentUri", "DefinitionUri"):
            if name in resource.get("Properties", {}):
                resource["Properties"][name] = "s3://bucket/key"  # where `sam package` would have put it
    defaults = {name: str(parameter["Default"]) for name, parameter in template["Parameters"].items()}
    deployed: dict[str, Any] = transform(template, defaults, ManagedPolicyLoader(None))
    return deployed


def resources(kind: str, *, deployed: bool = False) -> dict[str, Resource]:
    """The properties of all resources of a type (e.g. "AWS::SQS::Queue") by their logical ids."""
    template = deployed_template() if deployed else written_template()
    return {
        name: resource.get("Properties", {})
        for name, resource in template["Resources"].items()
        if resource["Type"] == kind
    }


def target_of(value: object) -> str:
    """The logical id that {"Ref": ...} or {"Fn::GetAtt": ...} points at; ValueError for anything else."""
    match value:
        case {"Ref": str(name)}:
            return name
        case {"Fn::GetAtt": [str(name), *_]}:
            return name
        case {"Fn::GetAtt": str(path)}:
            return path.partition(".")[0]
    raise ValueError(f"points at no resource: {value!r}")


def as_list(value: object) -> list[Any]:
    """A policy's Action, Resource or Statement, which may be one or many."""
    return value if isinstance(value, list) else [value]
