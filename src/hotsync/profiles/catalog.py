"""Finds and loads profiles: the shipped ones, and the site's, which replace shipped ones of the same name."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import cast

from pydantic import ValidationError

from hotsync.errors import ProfileError
from hotsync.profiles.schema import KEPT_FOR_LATER, Profile

_Table = dict[str, object]


def parse_profile(text: str, document: str) -> Profile:
    """Given a profile's text, return the profile; raise ProfileError with all its faults."""
    try:
        return Profile.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(document=document, faults=str(error)) from error
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise ProfileError(document=document, faults=faults) from error


def shipped() -> dict[str, Profile]:
    """Return the profiles that come with HotSync, by name."""
    return dict(_shipped())


@cache
def _shipped() -> Mapping[str, Profile]:
    """Return them as they were read first: more than seventy files, which a command asks for more than once."""
    folder = resources.files("hotsync.profiles") / "data"
    profiles = (
        parse_profile(item.read_text(encoding="utf-8"), item.name)
        for item in sorted(folder.iterdir(), key=lambda item: item.name)
        if item.name.endswith(".toml")
    )
    return {profile.name: profile for profile in profiles}


def idle_keys(profile: Profile) -> list[str]:
    """Given a profile, return the keys that it uses and that nothing acts on in this version (`section.key`)."""
    sections = cast("dict[str, _Table | tuple[_Table, ...]]", profile.model_dump(exclude_unset=True))
    found: set[str] = set()
    for section, value in sections.items():
        for part in value if isinstance(value, tuple) else (value,):
            found |= {f"{section}.{name}" for name in part}
    return sorted(found & KEPT_FOR_LATER)


def load_catalog(site: Path) -> tuple[dict[str, Profile], list[ProfileError]]:
    """Given the site's folder, return all profiles by name, and the errors of those left out."""
    own, errors = load_site(site)
    return {**shipped(), **own}, errors


def load_site(site: Path) -> tuple[dict[str, Profile], list[ProfileError]]:
    """Given the site's folder, return its profiles by name, and the errors of those left out."""
    profiles: dict[str, Profile] = {}
    errors: list[ProfileError] = []
    for path in sorted(site.glob("*.toml")) if site.is_dir() else []:
        try:
            profile = parse_profile(path.read_text(encoding="utf-8"), str(path))
        except ProfileError as error:
            errors.append(error)
        except (OSError, UnicodeDecodeError) as error:
            errors.append(ProfileError(document=str(path), faults=str(error)))
        else:
            profiles[profile.name] = profile
    return profiles, errors


def matching(
    profiles: Iterable[Profile], packages: frozenset[str], units: frozenset[str], *roots: Path
) -> list[Profile]:
    """Given all profiles and what a host has, return those whose application is here, by name.

    A path counts where it exists below any of the roots: a promotion moves it from the one to the other.
    """
    found = [profile for profile in profiles if _is_here(profile, packages, units, roots)]
    return sorted(found, key=lambda profile: profile.name)


def _is_here(profile: Profile, packages: frozenset[str], units: frozenset[str], roots: Sequence[Path]) -> bool:
    detect = profile.detect
    if not (detect.all_packages or detect.paths or detect.units):
        return True
    return (
        not packages.isdisjoint(detect.all_packages)
        or not units.isdisjoint(detect.units)
        # a path that no file system can hold is no reason to fail: a site's profile comes from the MASTER
        or any(os.path.exists(root / path.lstrip("/")) for root in roots for path in detect.paths)
    )
