"""What is published about profiles is what the program accepts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from docs.generators import _profile_man, applications, profile_schema, profiles
from docs.generators._original import PACKAGES
from docs.generators._profile_keys import MEANINGS, keys
from docs.generators._untried import UNTRIED
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


def test_every_package_of_the_originals_list_is_answered_once_and_in_order() -> None:
    text = (ROOT / profiles.PATH).read_text()
    rows = re.findall(
        r"^\| (\d+) \| (\S+) \| (`.*?) \| (.*?) \| (.*?) \| (.*?) \| (.+?) \| (.*?) \|$", text, re.MULTILINE
    )
    assert [(int(row[0]), row[1]) for row in rows] == list(enumerate(PACKAGES, start=1))
    assert len(PACKAGES) == 50
    assert {name for profile in shipped().values() for name in profile.profile.answers} == set(PACKAGES)
    assert [row for row in rows if row[3] == "—"] == [], "every one is found on NethServer"


def test_what_is_tried_in_the_lab_or_with_the_real_program_is_told_apart() -> None:
    """A test of that ring names the profile's packages or units, or the claim is empty."""
    for ring in ("lab", "contract"):
        source = "".join(path.read_text() for folder in ("tests", "lab") for path in _sources(ROOT / folder, ring))
        claimed = [profile for profile in shipped().values() if profile.profile.tested == ring]
        for profile in claimed:
            words = {
                *profile.detect.debian,
                *(unit.rpartition(".")[0] for unit in profile.services.start),
                profile.name,
            }
            assert any(word in source for word in words), profile.name


def test_an_application_counts_as_tried_in_the_lab_if_its_last_round_was_good() -> None:
    tried: dict[str, Any] = json.loads((ROOT / "docs/applications.json").read_text())
    assert tried
    assert {name: row["remark"] for name, row in tried.items() if row["remark"]} == {}
    assert [name for name in tried if shipped()[name].profile.tested != "lab"] == []


def test_each_application_with_a_package_is_tried_in_the_lab_or_the_page_says_why_not() -> None:
    packaged = {name for name, profile in shipped().items() if profile.detect.debian}
    described = {path.stem for path in (ROOT / "tests/lab/applications/data").glob("*.toml")}
    assert packaged - described == set(UNTRIED)
    result = json.loads((ROOT / "docs/applications.json").read_text())
    text = (ROOT / applications.PATH).read_text()
    assert [name for name in packaged if (f"(`{name}`) |" in text) is (name in result)] == []
    assert [name for name in packaged if (f"\n| `{name}` |" in text) is not (name in result)] == []


def _sources(folder: Path, ring: str) -> list[Path]:
    top = folder if folder.name == ring else folder / ring
    return sorted(path for kind in ("*.py", "*.toml") for path in top.rglob(kind))


def test_the_man_page_names_every_key_and_the_page_every_shipped_profile() -> None:
    page = _profile_man.man_page("1", "2026-01-01")
    assert [key.name for key in keys() if key.name != "kind" and f"\\fB{key.name}\\fP" not in page] == []
    text = (ROOT / profiles.PATH).read_text()
    assert [name for name in shipped() if f"| `{name}` |" not in text] == []
