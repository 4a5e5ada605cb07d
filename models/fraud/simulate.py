"""A small world of cards and terminals, with three kinds of fraud in it.

Source of the recipe: "Reproducible Machine Learning for Credit Card Fraud Detection" (Le Borgne, Siblini, Lebichot,
Bontempi; Université Libre de Bruxelles, 2022), section 3.2, written anew with numpy. What differs, and why:

* Frauds drawn per day scale with the size of the world (2 terminals of 10,000 and 3 customers of 5,000 a day), so
  that a small world has about the fraud rate of the source's.
* A customer without a terminal in reach uses the nearest one; in a world of the source's size this hardly happens.
* Amounts are whole cents, at least one, and places are degrees: a grid unit is a kilometre.
* One customer has one card.

Everything follows from ``WorldParameters``: the same parameters give the same world, byte for byte.
"""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple, TypedDict

import numpy as np
from numpy.typing import NDArray

from transaction import Transaction

SECONDS_PER_DAY = 86_400
HANDBOOK_START = 1_522_540_800  # 2018-04-01T00:00:00Z, the first day of the source's data
CURRENCY = "EUR"

GRID_SIZE = 100.0
REACH = 5.0  # a customer's terminals are within this many grid units
KILOMETRES_PER_DEGREE = 111.195  # of latitude, on a sphere of 6,371 km radius
ORIGIN_LATITUDE = 50.4  # the grid lies over Belgium, the source's home
ORIGIN_LONGITUDE = 3.6

FRAUD_AMOUNT_MINOR = 22_000  # scenario 1: every amount above 220.00
COMPROMISED_TERMINALS_PER_DAY = 2 / 10_000  # scenario 2, of all terminals
TERMINAL_FRAUD_DAYS = 28
COMPROMISED_CUSTOMERS_PER_DAY = 3 / 5_000  # scenario 3, of all customers
CUSTOMER_FRAUD_DAYS = 14
CUSTOMER_FRAUD_SHARE = 3  # a third of a compromised customer's transactions ...
CUSTOMER_FRAUD_FACTOR = 5  # ... are five times as large

type Integers = NDArray[np.int64]
type Numbers = NDArray[np.float64]
type Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class WorldParameters:
    """Size and seed of a world; ``start`` is the epoch second at which day 0 begins (any second will do)."""

    customers: int = 5_000
    terminals: int = 10_000
    days: int = 72
    start: int = HANDBOOK_START
    seed: int = 7


@dataclass(frozen=True, slots=True)
class World:
    """All transactions in order of time, one array element each, and where the terminals stand (degrees).

    ``scenario`` is 0 for a genuine transaction and 1, 2 or 3 for the last fraud scenario that claimed it.
    """

    parameters: WorldParameters
    occurred_at: Integers
    customer: Integers
    terminal: Integers
    amount_minor: Integers
    scenario: Integers
    terminal_latitude: Numbers
    terminal_longitude: Numbers

    @property
    def is_fraud(self) -> Flags:
        """One flag per transaction."""
        return self.scenario > 0

    def __len__(self) -> int:
        return len(self.occurred_at)


class LabelledTransaction(NamedTuple):
    """A transaction and the truth about it."""

    transaction: Transaction
    is_fraud: bool
    scenario: int


class StreamLocation(TypedDict):
    """Degrees, WGS 84."""

    latitude: float
    longitude: float


class StreamRecord(TypedDict):
    """The JSON object that producers put on the stream."""

    transactionId: str
    cardId: str
    customerId: str
    terminalId: str
    amountMinor: int
    currency: str
    occurredAt: str
    location: StreamLocation


def simulate(parameters: WorldParameters) -> World:
    """Simulate every transaction of a world, frauds included."""
    random = np.random.default_rng(parameters.seed)
    customer_places = random.uniform(0, GRID_SIZE, (parameters.customers, 2))
    terminal_places = random.uniform(0, GRID_SIZE, (parameters.terminals, 2))
    occurred_at, customer, amount_minor = _spending(random, parameters)
    terminal = _choose_terminals(random, customer, customer_places, terminal_places)

    order = np.argsort(occurred_at, kind="stable")
    occurred_at, customer, terminal, amount_minor = (
        column[order] for column in (occurred_at, customer, terminal, amount_minor)
    )
    day = (occurred_at - parameters.start) // SECONDS_PER_DAY
    scenario = np.where(amount_minor > FRAUD_AMOUNT_MINOR, 1, 0)
    scenario[_at_compromised_terminals(random, parameters, terminal, day)] = 2
    stolen = _by_compromised_customers(random, parameters, customer, day)
    scenario[stolen] = 3
    amount_minor[stolen] *= CUSTOMER_FRAUD_FACTOR

    latitude, longitude = _degrees(terminal_places)
    return World(
        parameters=parameters,
        occurred_at=occurred_at,
        customer=customer,
        terminal=terminal,
        amount_minor=amount_minor,
        scenario=scenario,
        terminal_latitude=latitude,
        terminal_longitude=longitude,
    )


def labelled_transactions(world: World, first: int = 0, last: int | None = None) -> Iterator[LabelledTransaction]:
    """Yield the transactions at positions ``first`` up to but not including ``last``, in order of time."""
    prefix = transaction_id_prefix(world.parameters)
    for position in range(first, len(world) if last is None else last):
        customer = int(world.customer[position])
        terminal = int(world.terminal[position])
        scenario = int(world.scenario[position])
        transaction = Transaction(
            transaction_id=f"{prefix}-{position:08d}",
            card_id=card_id(customer),
            customer_id=customer_id(customer),
            terminal_id=terminal_id(terminal),
            amount_minor=int(world.amount_minor[position]),
            currency=CURRENCY,
            occurred_at=int(world.occurred_at[position]),
            latitude=float(world.terminal_latitude[terminal]),
            longitude=float(world.terminal_longitude[terminal]),
        )
        yield LabelledTransaction(transaction, scenario > 0, scenario)


def as_stream_record(transaction: Transaction) -> StreamRecord:
    """Return the JSON object that a producer puts on the stream; ``occurredAt`` is RFC 3339, UTC, whole seconds."""
    return {
        "transactionId": transaction.transaction_id,
        "cardId": transaction.card_id,
        "customerId": transaction.customer_id,
        "terminalId": transaction.terminal_id,
        "amountMinor": transaction.amount_minor,
        "currency": transaction.currency,
        "occurredAt": datetime.fromtimestamp(transaction.occurred_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "location": {"latitude": transaction.latitude, "longitude": transaction.longitude},
    }


def position_at(world: World, moment: int) -> int:
    """Return the position of the first transaction at or after an epoch second: the past is everything before it."""
    return int(np.searchsorted(world.occurred_at, moment, side="left"))


def card_id(customer: int) -> str:
    """Return the id of a customer's one card."""
    return f"CARD-{customer:06d}"


def customer_id(customer: int) -> str:
    """Return the id of a customer."""
    return f"CUST-{customer:06d}"


def terminal_id(terminal: int) -> str:
    """Return the id of a terminal."""
    return f"TERM-{terminal:05d}"


def transaction_id_prefix(parameters: WorldParameters) -> str:
    """Return the prefix that all transaction ids of a world share and no other world has."""
    return f"TX-{hashlib.sha256(repr(parameters).encode()).hexdigest()[:10]}"


def _spending(random: np.random.Generator, parameters: WorldParameters) -> tuple[Integers, Integers, Integers]:
    """Draw when, who and how much: a Poisson number of transactions per customer and day, most of them around noon."""
    mean_amount = random.uniform(5, 100, parameters.customers)
    mean_per_day = random.uniform(0, 4, parameters.customers)
    per_day = random.poisson(mean_per_day[:, np.newaxis], (parameters.customers, parameters.days))
    customer, day = (np.repeat(index.ravel(), per_day.ravel()) for index in np.indices(per_day.shape))

    second = random.normal(SECONDS_PER_DAY / 2, 20_000, len(customer)).astype(np.int64)
    mean = mean_amount[customer]
    amount = random.normal(mean, mean / 2)
    amount = np.where(amount < 0, random.uniform(0, 2 * mean), amount)

    within_day = (second > 0) & (second < SECONDS_PER_DAY)
    occurred_at = parameters.start + day * SECONDS_PER_DAY + second
    amount_minor = np.maximum(np.rint(amount * 100).astype(np.int64), 1)
    return occurred_at[within_day], customer[within_day], amount_minor[within_day]


def _choose_terminals(
    random: np.random.Generator, customer: Integers, customer_places: Numbers, terminal_places: Numbers
) -> Integers:
    """Draw for each transaction one of the terminals in its customer's reach, each as likely as the others."""
    in_reach = [_terminals_in_reach(place, terminal_places) for place in customer_places]
    sizes = np.array([len(terminals) for terminals in in_reach])
    starts = np.cumsum(sizes) - sizes
    choice = (random.random(len(customer)) * sizes[customer]).astype(np.int64)
    chosen: Integers = np.concatenate(in_reach)[starts[customer] + choice]
    return chosen


def _terminals_in_reach(place: Numbers, terminal_places: Numbers) -> Integers:
    squared = ((terminal_places - place) ** 2).sum(axis=1)
    in_reach = np.flatnonzero(squared < REACH**2)
    return in_reach if len(in_reach) else np.array([squared.argmin()])


def _at_compromised_terminals(
    random: np.random.Generator, parameters: WorldParameters, terminal: Integers, day: Integers
) -> Flags:
    """Scenario 2: every transaction at a compromised terminal, for 28 days."""
    compromised = np.zeros((parameters.terminals, parameters.days), dtype=np.bool_)
    for first_day, drawn in _draws_per_day(
        random, parameters.days, parameters.terminals, COMPROMISED_TERMINALS_PER_DAY
    ):
        compromised[drawn, first_day : first_day + TERMINAL_FRAUD_DAYS] = True
    flags: Flags = compromised[terminal, day]
    return flags


def _by_compromised_customers(
    random: np.random.Generator, parameters: WorldParameters, customer: Integers, day: Integers
) -> Flags:
    """Scenario 3: a third of the transactions of a compromised customer, for 14 days."""
    stolen = np.zeros(len(customer), dtype=np.bool_)
    by_customer = np.argsort(customer, kind="stable")
    starts = np.searchsorted(customer[by_customer], np.arange(parameters.customers + 1))
    for first_day, drawn in _draws_per_day(
        random, parameters.days, parameters.customers, COMPROMISED_CUSTOMERS_PER_DAY
    ):
        own = np.concatenate([by_customer[starts[one] : starts[one + 1]] for one in drawn])
        candidates = own[(day[own] >= first_day) & (day[own] < first_day + CUSTOMER_FRAUD_DAYS)]
        taken = random.choice(candidates, len(candidates) // CUSTOMER_FRAUD_SHARE, replace=False)
        stolen[taken] = True
    return stolen


def _draws_per_day(
    random: np.random.Generator, days: int, population: int, share_per_day: float
) -> Iterator[tuple[int, Integers]]:
    """Yield (day, drawn members): ``share_per_day`` of the population a day, fractions carried to the next day."""
    for day in range(days):
        count = math.floor((day + 1) * population * share_per_day) - math.floor(day * population * share_per_day)
        if count:
            yield day, random.choice(population, count, replace=False)


def _degrees(places: Numbers) -> tuple[Numbers, Numbers]:
    """Turn grid units (kilometres east and north of the origin) into latitude and longitude, to about a metre."""
    kilometres_per_degree_east = KILOMETRES_PER_DEGREE * math.cos(math.radians(ORIGIN_LATITUDE))
    latitude = np.round(ORIGIN_LATITUDE + places[:, 1] / KILOMETRES_PER_DEGREE, 5)
    longitude = np.round(ORIGIN_LONGITUDE + places[:, 0] / kilometres_per_degree_east, 5)
    return latitude, longitude
