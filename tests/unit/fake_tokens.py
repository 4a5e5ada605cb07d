"""Task tokens in memory; passes the real rows' contract (test_action_tokens)."""

from dataclasses import dataclass, field

from backbone.action_tokens import SealedToken


@dataclass
class FakeTokens:
    """TokenRows, by case."""

    rows: dict[str, SealedToken] = field(default_factory=dict)

    def put(self, token: SealedToken, expires_at: int) -> bool:  # noqa: ARG002 - nothing expires here
        known = self.rows.get(token.case_id)
        if known is not None and (known.step, known.asked_at) > (token.step, token.asked_at):
            return False
        self.rows[token.case_id] = token
        return True

    def get(self, case_id: str) -> SealedToken | None:
        return self.rows.get(case_id)

    def delete(self, token: SealedToken) -> None:
        known = self.rows.get(token.case_id)
        if known is not None and _place(known) == _place(token):
            del self.rows[token.case_id]


def _place(token: SealedToken) -> tuple[int, str, int]:
    return token.step, token.action_id, token.asked_at
