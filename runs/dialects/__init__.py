"""The source systems, a folder each. A further one is a copied folder and a line in `_all`."""

from collections.abc import Mapping
from functools import cache

from runs.dialects.profile import Profile


@cache
def profiles() -> Mapping[str, Profile]:
    """The dialects by name."""
    return {profile.name: profile for profile in _all()}


def names() -> list[str]:
    return list(profiles())


def _all() -> tuple[Profile, ...]:
    from runs.dialects.eachlabs.profile import PROFILE as EACHLABS
    from runs.dialects.elan.profile import PROFILE as ELAN
    from runs.dialects.leap.profile import PROFILE as LEAP
    from runs.dialects.leaperone.profile import PROFILE as LEAPERONE
    from runs.dialects.skyvern.profile import PROFILE as SKYVERN

    return (ELAN, LEAP, LEAPERONE, SKYVERN, EACHLABS)
