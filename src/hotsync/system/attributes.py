"""Extended attributes and ACLs, raw: read, written and hashed in one way on both servers.

An ACL is the attribute system.posix_acl_access or system.posix_acl_default. Objects are named by an open folder and a
name in it, so that no link is followed and nothing has to be opened (opening a device may do things).
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Mapping

Attributes = dict[str, bytes]

_ACLS = ("system.posix_acl_access", "system.posix_acl_default")
_LABEL = "security.selinux"
"""What SELinux says of a file is made by the policy of the machine that it lies on, and is never carried."""
_SILENT = (errno.ENOTSUP, errno.ENODATA, errno.EPERM)


def read_attributes(name: str, folder: int) -> Attributes:
    """Given a name in an open folder, return its attributes as rsync carries them; raise OSError if it is gone."""
    path = _through(name, folder)
    return _read(path, lambda: os.listxattr(path, follow_symlinks=False), follow=False)


def attributes_of(descriptor: int) -> Attributes:
    """Given an open file or folder, return its attributes, as `read_attributes` does but many times faster."""
    return _read(descriptor, lambda: os.listxattr(descriptor), follow=True)


def _read(target: str | int, list_names: Callable[[], list[str]], *, follow: bool) -> Attributes:
    try:
        names = list_names()
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return {}
        raise
    found: Attributes = {}
    for attribute in names:
        if attribute == _LABEL or (attribute.startswith("system.") and attribute not in _ACLS):
            continue  # the file system's own, or the machine's
        try:
            found[attribute] = os.getxattr(target, attribute, follow_symlinks=follow)
        except OSError as error:
            if error.errno not in _SILENT:
                raise
    return found


def write_attributes(
    name: str, folder: int, wanted: Mapping[str, bytes], refused: Callable[[str, OSError], None] | None = None
) -> None:
    """Given the attributes that an object shall have, set what differs and remove the rest but a label; raise OSError.

    `refused` is called with one that cannot be set, and may raise; the others are set then.
    Do this after a change of owner (which drops file capabilities) and before setting the mode (an ACL alters it).
    """
    path = _through(name, folder)
    present = read_attributes(name, folder)
    for attribute in present.keys() - wanted.keys():
        os.removexattr(path, attribute, follow_symlinks=False)
    for attribute, value in wanted.items():
        if attribute == _LABEL or present.get(attribute) == value:
            continue
        try:
            os.setxattr(path, attribute, value, follow_symlinks=False)
        except OSError as error:
            if refused is None:
                raise
            refused(attribute, error)


def hash_attributes(attributes: Mapping[str, bytes]) -> str:
    """Given attributes, return the hash that an Entry carries: 32 hexadecimal digits, "" if there are none."""
    if not attributes:
        return ""
    digest = hashlib.sha256()
    for name in sorted(attributes):
        for part in (os.fsencode(name), attributes[name]):
            digest.update(len(part).to_bytes(4, "big"))
            digest.update(part)
    return digest.hexdigest()[:32]


def _through(name: str, folder: int) -> str:
    # there is no getxattrat before kernel 6.13; the way through the open folder follows no link but proc's own
    return f"/proc/self/fd/{folder}/{name}"
