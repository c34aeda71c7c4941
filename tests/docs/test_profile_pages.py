"""What is published about profiles is what the program accepts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from docs.generators import _profile_man, profile_schema, profiles
from docs.generators._profile_keys import MEANINGS, keys
from hotsync.profiles.catalog import parse_profile, shipped
from hotsync.profiles.schema import Profile

ROOT = Path(__file__).resolve().parents[2]


def without_words(schema: Any) -> Any:
    """Return a schema without what only people read."""
    if isinstance(schema, dict):
        return {
            name: without_words(value)
            for name, value in schema.items()
            if not (name in ("description", "$schema", "title") and isinstance(value, str))
        }
    return [without_words(item) for item in schema] if isinstance(schema, list) else schema


def test_the_published_schema_is_the_one_that_profiles_are_checked_by() -> None:
    published = json.loads((ROOT / profile_schema.PATH).read_text())
    assert without_words(published) == without_words(Profile.model_json_schema())


def test_the_published_schema_says_what_every_key_means() -> None:
    published = json.loads((ROOT / profile_schema.PATH).read_text())
    lacking = [
        f"{model}.{name}"
        for model, definition in published["$defs"].items()
        for name, form in definition["properties"].items()
        if not form.get("description")
    ]
    assert lacking == []


def test_no_meaning_is_left_of_a_key_that_is_gone() -> None:
    assert {f"{key.table.strip('[]')}.{key.name}" for key in keys()} == set(MEANINGS)


def test_the_example_of_the_page_is_a_profile() -> None:
    profile = parse_profile(profiles.EXAMPLE, "the example")
    assert profile.name not in shipped()
    assert profile.checks


def test_the_man_page_names_every_key_and_the_page_every_shipped_profile() -> None:
    page = _profile_man.man_page("1", "2026-01-01")
    assert [key.name for key in keys() if key.name != "kind" and f"\\fB{key.name}\\fP" not in page] == []
    text = (ROOT / profiles.PATH).read_text()
    assert [name for name in shipped() if f"| `{name}` |" not in text] == []
