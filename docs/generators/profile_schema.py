"""docs/profile.schema.json: the form of a profile, for editors and other programs."""

from __future__ import annotations

import json

from docs.generators._profile_keys import keys
from hotsync.profiles.schema import Profile

PATH = "docs/profile.schema.json"


def render() -> str:
    """Return the JSON schema of a profile, each key with its meaning."""
    schema = Profile.model_json_schema()
    definitions = schema["$defs"]
    for key in keys():
        if key.model in definitions:
            definitions[key.model]["properties"][key.name]["description"] = key.meaning
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Profile of HotSync"}
    return json.dumps({**head, **{name: value for name, value in schema.items() if name != "title"}}, indent=2) + "\n"
