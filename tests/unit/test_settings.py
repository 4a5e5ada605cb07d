"""Settings: typed, read once, and every mistake named at once."""

from dataclasses import dataclass

import pytest

from backbone.settings import SettingsError, from_environment


@dataclass(frozen=True)
class Settings:
    table_name: str
    retention_days: int
    endpoint_name: str = "none"
    attempts: int = 3


def problems(environment: dict[str, str]) -> str:
    """The message for ``environment``; fails where it is taken."""
    with pytest.raises(SettingsError) as error:
        from_environment(Settings, environment)
    return str(error.value)


def test_settings_are_read_and_typed() -> None:
    environment = {"TABLE_NAME": "rows", "RETENTION_DAYS": "90", "ENDPOINT_NAME": "model", "ATTEMPTS": "-1"}
    assert from_environment(Settings, environment) == Settings("rows", 90, "model", -1)


def test_a_variable_with_a_default_may_be_absent_or_empty() -> None:
    environment = {"TABLE_NAME": "rows", "RETENTION_DAYS": "90", "ENDPOINT_NAME": ""}
    assert from_environment(Settings, environment) == Settings("rows", 90)


def test_every_missing_variable_is_named_at_once() -> None:
    assert problems({"TABLE_NAME": ""}) == "TABLE_NAME is missing; RETENTION_DAYS is missing"


@pytest.mark.parametrize("text", ["ninety", "9.5", "--5", "-", "²", " 90", "9_0", "٩"])
def test_what_is_no_whole_number_is_named_with_its_text(text: str) -> None:
    said = problems({"TABLE_NAME": "rows", "RETENTION_DAYS": text})
    assert said == f"RETENTION_DAYS is not a whole number: {text!r}"


def test_the_environment_of_the_process_is_read_where_no_other_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TABLE_NAME", "rows")
    monkeypatch.setenv("RETENTION_DAYS", "90")
    assert from_environment(Settings) == Settings("rows", 90)
