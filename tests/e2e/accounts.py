# SPDX-License-Identifier: GPL-2.0-or-later
"""The accounts of messages: what came in is delivered, reported or under way."""

import dataclasses

import waiting


@dataclasses.dataclass(frozen=True)
class Account:
    """One direction, `to_xmpp` or `to_sip`."""

    taken: int
    delivered: int
    errored: int
    in_flight: int

    @classmethod
    def of(cls, kamailio, direction):
        """As the statistics have it."""
        statistics = kamailio.statistics()
        name = f"messages_{direction}"
        return cls(statistics[name], *(statistics[f"{name}_{end}"] for end in ("delivered", "errored", "in_flight")))

    def adds_up(self):
        """Whether nothing is unaccounted for."""
        return self.taken == self.delivered + self.errored + self.in_flight


def settled(kamailio, direction, delivered, errored):
    """Waits until so many messages have ended that way and none is under way."""
    def ended():
        account = Account.of(kamailio, direction)
        assert account.adds_up(), account
        return account == Account(delivered + errored, delivered, errored, 0)

    waiting.until(ended, f"{delivered} messages {direction} to be delivered and {errored} to be reported",
                  evidence=lambda: str(Account.of(kamailio, direction)))
