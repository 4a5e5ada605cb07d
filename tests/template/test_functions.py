"""Every function: a role and a log of its own, traced, described, and told all that it asks for."""

import ast

import pytest

from tests.sam_template import PROJECT, resources, target_of, written_template

WRITTEN = resources("AWS::Serverless::Function")
DEPLOYED = resources("AWS::Lambda::Function", deployed=True)


def test_there_are_functions_to_test() -> None:
    assert {"ScoreTransactionsFunction", "NotifyCustomerFunction"} <= WRITTEN.keys() == DEPLOYED.keys()


def test_no_two_functions_share_a_role() -> None:
    roles = [target_of(function["Role"]) for function in DEPLOYED.values()]
    assert len(set(roles)) == len(roles)
    assert set(roles) <= resources("AWS::IAM::Role").keys()


@pytest.mark.parametrize("name", DEPLOYED)
def test_function_logs_as_json_into_a_log_group_of_its_own_that_forgets(name: str) -> None:
    logging = DEPLOYED[name]["LoggingConfig"]
    assert logging["LogFormat"] == "JSON"
    group = target_of(logging["LogGroup"])
    assert group == name.replace("Function", "LogGroup")
    assert resources("AWS::Logs::LogGroup")[group]["RetentionInDays"] == {"Ref": "LogRetentionDays"}


@pytest.mark.parametrize("name", DEPLOYED)
def test_function_is_traced_described_and_bounded_in_time_and_memory(name: str) -> None:
    function = DEPLOYED[name]
    assert function["TracingConfig"] == {"Mode": "Active"}
    assert function["Description"].endswith(".")
    assert 1 <= function["Timeout"] <= 900
    assert 128 <= function["MemorySize"] <= 10_240


@pytest.mark.parametrize("name", WRITTEN)
def test_function_lies_in_a_folder_named_as_its_handler(name: str) -> None:
    module, _, attribute = WRITTEN[name]["Handler"].partition(".")
    folder = PROJECT / WRITTEN[name]["CodeUri"]
    assert folder.name == module
    assert (folder / f"{module}.py").is_file()
    assert attribute == "handler"
    assert name == "".join(word.title() for word in module.split("_")) + "Function"


@pytest.mark.parametrize("name", WRITTEN)
def test_function_is_told_the_settings_that_it_reads_and_no_others(name: str) -> None:
    module = WRITTEN[name]["Handler"].partition(".")[0]
    told = set(WRITTEN[name]["Environment"]["Variables"]) - {"POWERTOOLS_SERVICE_NAME"}
    assert told == settings_of(module)
    assert WRITTEN[name]["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"] == module


def settings_of(module: str) -> set[str]:
    """The variables that a function's Settings class is filled from."""
    source = ast.parse((PROJECT / "functions" / module / f"{module}.py").read_text())
    (settings,) = [node for node in source.body if isinstance(node, ast.ClassDef) and node.name == "Settings"]
    targets = [node.target for node in settings.body if isinstance(node, ast.AnnAssign)]
    return {target.id.upper() for target in targets if isinstance(target, ast.Name)}


def test_every_function_has_sample_events_a_good_a_bad_and_an_edge_one() -> None:
    for function in WRITTEN.values():
        folder = PROJECT / "events" / function["Handler"].partition(".")[0]
        assert {path.stem for path in folder.glob("*.json")} >= {"good", "bad", "edge"}


def test_the_one_switch_for_another_endpoint_is_empty_by_default_and_reaches_every_function() -> None:
    assert written_template()["Parameters"]["AwsEndpointUrl"]["Default"] == ""
    for function in DEPLOYED.values():
        assert function["Environment"]["Variables"]["AWS_ENDPOINT_URL"] == {"Ref": "AwsEndpointUrl"}
