"""The light profile's investigator: it keeps its word on a world that it has not seen, and learns from no oracle."""

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

import fraud_model
from features import SECONDS_PER_DAY, CardProfile
from local.models.investigation_facts import read_briefing
from local.models.investigator_model import WEIGHTS, to_document, trained
from local.models.light_investigator import ASK
from models.fraud.simulate import LabelledTransaction
from models.investigator.bank import CASE_SECONDS, Bank
from models.investigator.build import METRICS, fitted
from models.investigator.judge import Played, figures, play, threshold_accuracy
from models.investigator.prompts import prompt
from models.investigator.replay import ReplayedCase, a_world, replayed_cases
from tests.unit.transaction_builder import a_transaction
from verdict import Verdict

ROOT = Path(__file__).parents[2]
ARTEFACT = ROOT / "functions" / "score_transactions" / "fraud_model.json"
FIGURES = json.loads(METRICS.read_bytes())
UNSEEN_SEED = 5_001  # neither learned from nor judged on by the build


@pytest.fixture(scope="module")
def cases() -> list[ReplayedCase]:
    return list(replayed_cases(a_world(UNSEEN_SEED), fraud_model.load(ARTEFACT)))


@pytest.fixture(scope="module")
def played(cases: list[ReplayedCase]) -> list[Played]:
    return [play(case, trained()) for case in cases]


# ---- how well it decides


def test_decisions_are_right_and_few_cases_are_handed_over_in_an_unseen_world(played: list[Played]) -> None:
    found = figures(played)
    print(found)  # noqa: T201 # shown with -s, for the curious
    assert found["cases"] >= 150
    assert found["right_of_decided"] >= 0.96
    assert found["wrong_of_blocked"] <= 0.03
    assert found["handed_over"] <= 0.2
    assert found["expected_calibration_error"] <= 0.05


def test_far_fewer_are_decided_wrongly_than_by_the_scores_threshold(played: list[Played]) -> None:
    threshold = FIGURES["baselines"]["threshold_only"]["threshold"]
    wrong_by_threshold = 1 - threshold_accuracy([one.case for one in played], threshold)
    assert figures(played)["wrong"] <= wrong_by_threshold / 2


def test_genuine_transactions_are_let_go_and_not_only_handed_over(played: list[Played]) -> None:
    genuine = [one for one in played if not one.case.is_fraud]
    assert sum(one.is_right for one in genuine) >= len(genuine) / 2


def test_look_ups_go_where_the_flag_points(played: list[Played]) -> None:
    """To the terminal where its frauds raised the score most, to the card where it was the amount."""
    first: dict[str, list[str]] = {"terminal": [], "amount": []}
    for one in played:
        drivers = one.case.facts["explain_flag"][2].removeprefix("What raised the score most: ")
        if drivers.startswith(("the share of known frauds", "the amount")):
            first["amount" if drivers.startswith("the amount") else "terminal"].append(one.look_ups[0])
    shares = {
        kind: look_ups.count(wanted) / len(look_ups)
        for (kind, look_ups), wanted in zip(first.items(), ("review_terminal", "review_card"), strict=True)
    }
    assert min(shares.values()) >= 0.6, shares


def test_nothing_is_decided_without_a_look_up(played: list[Played]) -> None:
    assert min(len(one.look_ups) for one in played) == 1


# ---- what it learns from


def test_every_sentence_of_the_tools_is_understood_but_the_cards_name(cases: list[ReplayedCase]) -> None:
    for case in cases:
        text, ids = prompt(case, [(tool, "done") for tool in case.facts], [ASK])
        told = dict(re.findall(r"^\[(F\d+\.\d+)\] (.*)$", text, re.MULTILINE))
        facts = {quantity.fact for quantity in read_briefing(text, ids).quantities.values()}
        left = [sentence for identity, sentence in told.items() if identity not in facts]
        without_a_number = ("The customer's debit card ending", "No other payment of those days is on record")
        assert all(one.startswith(without_a_number) for one in left), left


def a_flag(severity: str = "high") -> Verdict:
    return Verdict("TX-1", 0.9, True, severity, (), (), {}, "v")  # type: ignore[arg-type]


def taken(bank: Bank, identity: str, occurred_at: int, *, is_fraud: bool = True, severity: str = "high") -> None:
    transaction = replace(a_transaction(occurred_at=occurred_at), transaction_id=identity)
    bank.take(LabelledTransaction(transaction, is_fraud, int(is_fraud)), a_flag(severity), CardProfile())


def test_bank_knows_what_a_flag_was_when_its_case_is_closed_and_not_before() -> None:
    bank, noon = Bank({}, {}), 20_000 * SECONDS_PER_DAY + 43_200
    taken(bank, "TX-1", noon)
    terminal = bank.get("TX-1").terminal_id  # type: ignore[union-attr]
    assert [one.label for one in bank.flagged_at(terminal, 0, noon)[0]] == [None]
    assert bank.terminal_days(terminal) == {20_000: (1, 0)}
    taken(bank, "TX-2", noon + CASE_SECONDS)
    assert [one.label for one in bank.flagged_at(terminal, 0, bank.now)[0]] == ["fraud", None]
    assert bank.terminal_days(terminal) == {20_000: (2, 1)}


def test_bank_learns_of_what_nobody_investigated_seven_days_later_only() -> None:
    bank, noon = Bank({}, {}), 20_000 * SECONDS_PER_DAY + 43_200
    taken(bank, "TX-1", noon, severity="low")
    taken(bank, "TX-2", noon + 6 * SECONDS_PER_DAY, is_fraud=False)
    terminal = bank.get("TX-1").terminal_id  # type: ignore[union-attr]
    assert bank.terminal_days(terminal)[20_000] == (1, 0)
    taken(bank, "TX-3", noon + 7 * SECONDS_PER_DAY, is_fraud=False)
    assert bank.terminal_days(terminal)[20_000] == (1, 1)
    assert [one.label for one in bank.flagged_at(terminal, 0, noon)[0]] == [None]


# ---- the committed files


def test_same_cases_give_the_same_weights_byte_for_byte(cases: list[ReplayedCase]) -> None:
    one, other = (json.dumps(to_document(fitted(cases, 0.2, 0.9))) for _ in range(2))
    assert one == other


def test_figures_are_of_the_committed_weights() -> None:
    assert FIGURES["weights_sha256"] == hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()
    assert (trained().low, trained().high) == (FIGURES["training"]["low"], FIGURES["training"]["high"])


def test_build_judges_on_worlds_that_it_did_not_learn_from() -> None:
    assert not set(FIGURES["training"]["seeds"]) & {*FIGURES["held_out"]["seeds"], UNSEEN_SEED}


def test_figures_in_the_documentation_are_those_of_the_build() -> None:
    said = (ROOT / "docs" / "models.md").read_text().partition("## The investigator")[2]
    held_out, baselines = FIGURES["held_out"], FIGURES["baselines"]
    rows = {
        "the investigator": held_out,
        "threshold only": baselines["threshold_only"],
        "always a person": baselines["always_escalate"],
    }
    for name, row in rows.items():
        assert f"| {name} | {row['right']:.1%} | {row['wrong']:.1%} | {row['handed_over']:.1%} |" in said, name
    for seed, row in FIGURES["held_out_worlds"].items():
        shares = " | ".join(f"{row[one]:.1%}" for one in ("right", "wrong", "handed_over", "threshold_only"))
        assert f"| {seed} | {row['cases']} | {row['fraud_share']:.1%} | {shares} | {row['mean_look_ups']:.2f} |" in said
