"""The model card: metrics.json in words. Written by ``python -m models.fraud``; a test keeps the two together."""

from collections.abc import Mapping
from typing import Any

TEMPLATE = """\
# Model card: card fraud

Written by `python -m models.fraud` from [metrics.json](metrics.json); do not edit.

| | |
|---|---|
| Version | `{version}` (beginning of the artefact's checksum) |
| What it is | {trees} boosted trees of depth {depth} (xgboost {xgboost_version}, learning rate {learning_rate}) |
| Input | 15 features of one card transaction, its card and its terminal (`features.py` of the function) |
| Output | a score in 0..1; flagged from {threshold} on |
| `functions/score_transactions/fraud_model.json` | sha256 `{artefact_sha256}` |
| `models/fraud/sagemaker/xgboost-model` | sha256 `{booster_sha256}` |

## Meant for

Ranking card transactions for an analyst, together with explicit rules, in a demonstration of an event-driven system.
**Not for real cards**: it has learned a simulation. A bank that takes this project over trains it on its own
transactions and labels; the features, the split in time and the figures below stay what they are.

## Data

{rows:,} simulated transactions ({fraud_share:.2%} fraud) of {customers:,} cards at {terminals:,} terminals
in {days} days, seed {seed}; no data of any person. The recipe is public: "Reproducible Machine Learning for Credit Card
Fraud Detection" (Le Borgne, Siblini, Lebichot, Bontempi; ULB, 2022). Three kinds of fraud: amounts above 220.00;
terminals where everything is fraud for 28 days; customers of whose transactions a third are a thief's, five times as
large, for 14 days.

## How it was judged

Seven days to train, seven days until the labels are known, seven days to judge: {test_rows:,} transactions with
{test_frauds} frauds, cards already known to be compromised left out. Hyperparameters (best mean average precision,
{validation_average_precision}) and the threshold were chosen on two earlier rounds, not on the week judged. Card
precision@100 is the share of compromised cards among the 100 most suspicious a day; a perfect model would reach
{card_precision_100_ceiling} here.

| Model | AUC ROC | Average precision | Card precision@100 |
|---|---|---|---|
{compared}

The handbook's figures are for its own simulated world
({published_source}).
How much a world matters: the same training on {other_worlds_count} other seeds gives

| Seed | AUC ROC | Average precision | Card precision@100 |
|---|---|---|---|
{other_worlds}

## At the threshold

Chosen so that {target_alert_rate:.1%} of the validation transactions are alerts. In the test week {alert_rate:.2%}
were: precision {precision}, recall {recall} (by kind of fraud: {recall_by_scenario}).
A terminal's frauds show seven days after they began, when the first labels arrive; that bounds the recall for them.

## The rules beside it

On days {rules_first_day} to {rules_last_day} of a world of {rules_customers:,} cards the rules fired
on {fired_on_genuine} of {genuine:,} genuine transactions ({genuine_by_rule})
and on {fired_on_fraud} of {fraudulent:,} frauds ({fraud_by_rule}).

## Limits

* Features know nothing of currencies, trades, devices or people; a card's first days look like any new card's.
* Drivers are found by occlusion against the training medians: they say what moved this score, not what caused a fraud.
* Labels are assumed complete after seven days. Real ones come earlier and later.
* The artefact is reproduced byte for byte on Linux x86-64 with the locked packages; elsewhere rounding may differ.
"""


def model_card(metrics: Mapping[str, Any]) -> str:
    """Return the model card's Markdown for a metrics document."""
    chosen, alerts, rules = metrics["hyperparameters"], metrics["threshold"], metrics["rules"]
    return TEMPLATE.format(
        **{name: metrics[name] for name in PLAIN},
        **{name: metrics["world"][name] for name in ("customers", "terminals", "days", "fraud_share")},
        trees=chosen["trees"],
        depth=chosen["depth"],
        learning_rate=chosen["learning_rate"],
        threshold=alerts["value"],
        target_alert_rate=alerts["target_alert_rate"],
        alert_rate=alerts["alert_rate"],
        precision=alerts["precision"],
        recall=alerts["recall"],
        recall_by_scenario=_pairs(alerts["recall_by_scenario"]),
        compared=_rows({"**this model**": metrics} | metrics["compared"]["ours"] | _published(metrics)),
        published_source=metrics["compared"]["published_source"],
        other_worlds_count=len(metrics["other_worlds"]),
        other_worlds=_rows(metrics["other_worlds"]),
        rules_first_day=rules["first_day"],
        rules_last_day=rules["last_day"],
        rules_customers=rules["customers"],
        genuine=rules["genuine"],
        fraudulent=rules["fraudulent"],
        fired_on_genuine=sum(rules["fired_on_genuine"].values()),
        fired_on_fraud=sum(rules["fired_on_fraud"].values()),
        genuine_by_rule=_pairs(rules["fired_on_genuine"]) or "none",
        fraud_by_rule=_pairs(rules["fired_on_fraud"]) or "none",
    )


PLAIN = (
    "version",
    "xgboost_version",
    "artefact_sha256",
    "booster_sha256",
    "rows",
    "seed",
    "test_rows",
    "test_frauds",
    "validation_average_precision",
    "card_precision_100_ceiling",
)


def _published(metrics: Mapping[str, Any]) -> dict[str, Any]:
    return {f"handbook: {name}": figures for name, figures in metrics["compared"]["published"].items()}


def _rows(performances: Mapping[str, Mapping[str, float]]) -> str:
    figures = ("auc_roc", "average_precision", "card_precision_100")
    return "\n".join(
        f"| {name} | {' | '.join(f'{performance[figure]:.3f}' for figure in figures)} |"
        for name, performance in performances.items()
    )


def _pairs(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())
