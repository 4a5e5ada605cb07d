"""What a function's cold start adds to its clients' is measured on what is deployed."""

from benchmarks.cold_imports import measure
from local.process import EngineProcess
from local.stack import describe
from tests.stack.deployed import Stack


def test_function_s_import_is_measured_beside_its_clients_alone(stack: Stack, engine: EngineProcess) -> None:
    assert stack.name == "backbone"
    measured = measure(describe(engine.endpoint), "StartInvestigationFunction")
    assert measured.clients == ("stepfunctions",)
    assert 0 < measured.clients_alone < measured.seconds
    # Powertools and the X-Ray SDK; twice as much would be something heavy that slipped in.
    assert measured.ratio < 2
