"""Names in a statement that are not in its source are found; capitals that stand there for another reason are not."""

import pytest

from proper_names import KnownNames, missing, names_of_document

SOURCE = "Ingrid Solheim, a Greek lawyer, joined the United Nations in Turku. The Aurora's captain signed CARD-7171."
KNOWN = KnownNames({"solheim", "lindqvist", "boreas"}, is_english=True)


@pytest.mark.parametrize(
    "statement",
    [
        "Solheim joined the UN in Turku.",
        "A lawyer from Greece joined.",
        "The captain of the Aurora signed.",
        "Customers of the bank are safe.",
        "In March he signed.",
        "On the card CARD-7171 it was signed.",
        "Mr. Solheim signed it, and I saw it.",
    ],
)
def test_names_of_the_source_and_capitals_without_meaning_are_no_problem(statement: str) -> None:
    assert missing(statement, SOURCE, KNOWN) == []


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("It was Peter who joined.", "Peter"),
        ("Lindqvist joined the United Nations.", "Lindqvist"),
        ("The captain of the Boreas signed.", "Boreas"),
        ("It happened in Stockholm.", "Stockholm"),
        ("He signed CARD-7272.", "CARD-7272"),
        ("The EU was joined.", "EU"),
    ],
)
def test_another_name_is_named(statement: str, name: str) -> None:
    assert missing(statement, SOURCE, KNOWN) == [f"the name {name} is not there"]


def test_initials_in_the_source_stand_for_the_words() -> None:
    assert missing("He joined the United Nations.", "He joined the UN.", KNOWN) == []


def test_where_every_noun_has_a_capital_a_capital_says_nothing() -> None:
    german = "Der Kunde zahlt die Zinsen an die Bank, und die Bank schickt dem Kunden eine Quittung."
    assert missing("Der Kunde zahlt eine Gebühr.", german, names_of_document([german])) == []


def test_a_documents_names_are_what_it_never_writes_small() -> None:
    passages = ["We saw Solheim and Bank officers.", "The bank met Solheim in Turku."]
    assert names_of_document(passages) == KnownNames({"solheim", "turku"}, is_english=True)
