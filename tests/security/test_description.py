"""Every operation of the OpenAPI description with valid and invalid input: no server error."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error

from nurture.app.services import Services

House = tuple[Services, str, dict[str, str]]
#: Requests of each operation: in all some hundreds a run.
EXAMPLES = 5


@pytest.fixture(scope="module")
def operations(house: House) -> list[Any]:
    """Give every operation of the description that the live API gives."""
    schema = schemathesis.openapi.from_url(f"{house[1]}/openapi.json")
    found: list[Any] = list(schema.get_all_operations())
    return [operation.ok() for operation in found]


def test_the_description_is_whole(operations: list[Any]) -> None:
    paths = {operation.path for operation in operations}
    assert {
        "/v1/batch",
        "/v1/send/email",
        "/api/v2/batch",
        "/u/{token}",
        "/metrics",
        "/webhooks/{provider}",
    } <= paths
    assert len(operations) > 30


@pytest.mark.parametrize("has_key", [True, False], ids=["with keys", "as a stranger"])
def test_no_operation_fails_on_what_is_described(
    house: House, operations: list[Any], *, has_key: bool
) -> None:
    for operation in operations:
        ask(operation, GenerationMode.POSITIVE, auth_of(house, operation) if has_key else {})


def test_no_operation_with_a_body_fails_on_another(house: House, operations: list[Any]) -> None:
    with_body = [operation for operation in operations if list(operation.body)]
    assert len(with_body) >= 8
    for operation in with_body:
        ask(operation, GenerationMode.NEGATIVE, auth_of(house, operation))


def auth_of(house: House, operation: Any) -> dict[str, Any]:
    """Return what opens this operation."""
    if "/send/" in operation.path:
        return {"headers": {"Authorization": f"Bearer {house[2]['send']}"}}
    return {"auth": ("WK", "WK")}


def ask(operation: Any, mode: GenerationMode, given_auth: dict[str, Any]) -> None:
    """Ask one operation a few times."""
    asked = 0

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode))
    def one(case: Any) -> None:
        nonlocal asked
        asked += 1
        case.validate_response(case.call(**given_auth), checks=[not_a_server_error])

    one()
    assert asked > 0, operation.path
