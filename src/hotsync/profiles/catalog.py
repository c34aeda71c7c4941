"""Finds and loads profiles: the shipped ones, and the site's, which replace shipped ones of the same name."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable
from importlib import resources
from pathlib import Path

from pydantic import ValidationError

from hotsync.errors import ProfileError
from hotsync.profiles.schema import Profile


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
    folder = resources.files("hotsync.profiles") / "data"
    profiles = (
        parse_profile(item.read_text(encoding="utf-8"), item.name)
        for item in sorted(folder.iterdir(), key=lambda item: item.name)
        if item.name.endswith(".toml")
    )
    return {profile.name: profile for profile in profiles}


def load_catalog(site: Path) -> tuple[dict[str, Profile], list[ProfileError]]:
    """Given the site's folder, return all profiles by name, and the errors of those left out."""
    profiles = shipped()
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


def matching(profiles: Iterable[Profile], packages: frozenset[str], units: frozenset[str], root: Path) -> list[Profile]:
    """Given all profiles and what a host has, return those whose application is here, by name."""
    found = [profile for profile in profiles if _is_here(profile, packages, units, root)]
    return sorted(found, key=lambda profile: profile.name)


def _is_here(profile: Profile, packages: frozenset[str], units: frozenset[str], root: Path) -> bool:
    detect = profile.detect
    if not (detect.packages or detect.paths or detect.units):
        return True
    return (
        not packages.isdisjoint(detect.packages)
        or not units.isdisjoint(detect.units)
        # a path that no file system can hold is no reason to fail: a site's profile comes from the MASTER
        or any(os.path.exists(root / path.lstrip("/")) for path in detect.paths)
    )
