# shellcheck shell=sh
# Sourced by the scripts: `need PACKAGE ...` installs those Debian packages that are missing; nothing else is touched,
# and no service of theirs is started.
need() {
    missing=""
    for package in "$@"; do
        state="$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)"
        [ "$state" = installed ] || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ]; then
        echo "missing packages:$missing (run this as root, or install them)" >&2
        return 1
    fi
    DEBIAN_FRONTEND=noninteractive apt-get update -q >&2
    (
        # no server of a package starts by itself: who needs one starts his own
        policy=/usr/sbin/policy-rc.d
        if [ ! -e "$policy" ]; then
            trap 'rm -f "$policy"' EXIT
            trap 'exit 130' INT TERM HUP
            printf '#!/bin/sh\nexit 101\n' >"$policy"
            chmod 755 "$policy"
        fi
        # shellcheck disable=SC2086 # a list of words
        DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing >&2
    )
}
