"""Asks a person which network card takes the place of which of the MASTER's."""

from __future__ import annotations

import click

from hotsync.cli.render import table
from hotsync.flows.network_cards import CardsFacts
from hotsync.model.network.cards import NONE, Pairs, complete

COLUMNS = ("the MASTER's card", "has", "this server's", "why")


def ask_pairs(facts: CardsFacts) -> Pairs:
    """Given the cards of both servers, show what is proposed and return what the person says; raise ConfigError."""
    proposal = facts.proposal()
    has = {card.name: ", ".join(card.networks) for card in facts.theirs}
    rows = [(each.card, has[each.card], each.here or NONE, each.reason) for each in proposal]
    table("Which network card takes which one's place", COLUMNS, rows)
    pairs = tuple((each.card, each.here) for each in proposal)
    if not click.confirm("Is that right?", default=False):
        names = click.Choice([*facts.names, NONE])
        said = [
            (
                each.card,
                str(click.prompt(f"In the place of the MASTER's {each.card}", type=names, default=each.here or NONE)),
            )
            for each in proposal
        ]
        pairs = tuple((old, "" if new == NONE else new) for old, new in said)
    return complete(pairs, facts.theirs, facts.names)
