"""The README is true: its commands exist, its links lead somewhere, its figures are the committed ones."""

import json
import re

import pytest

from local.process import PROJECT

README = (PROJECT / "README.md").read_text()
MAKEFILE = (PROJECT / "Makefile").read_text()


@pytest.mark.parametrize("verb", sorted(set(re.findall(r"`?make ([a-z-]+)", README))))
def test_every_command_of_the_readme_is_a_verb_of_the_makefile(verb: str) -> None:
    assert re.search(rf"^{verb}:", MAKEFILE, re.MULTILINE)


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_every_link_of_the_readme_leads_to_a_file(target: str) -> None:
    assert (PROJECT / target).exists()


@pytest.mark.parametrize("path", sorted(set(re.findall(r"events/[a-z_]+/[a-z_]+\.json", README))))
def test_every_sample_event_of_the_readme_exists(path: str) -> None:
    assert (PROJECT / path).is_file()


def test_models_figures_in_the_readme_are_those_of_the_committed_metrics() -> None:
    metrics = json.loads((PROJECT / "models" / "fraud" / "metrics.json").read_text())
    ours = [f"{metrics[name]:.3f}" for name in ("auc_roc", "average_precision", "card_precision_100")]
    assert f"| this model | {' | '.join(ours)} |" in README


def test_readmes_count_of_streamed_transactions_is_the_load_tests() -> None:
    load_test = (PROJECT / "tests" / "stack" / "test_load.py").read_text()
    default = re.search(r'BACKBONE_LOAD_TRANSACTIONS", "(\d+)"', load_test)
    twice = re.search(r"SENT_TWICE = ([\d.]+)", load_test)
    assert default
    assert twice
    assert f"{int(default[1]):,} transactions, {float(twice[1]):.0%}".replace("%", " %") in README
