"""A web server for one folder: `python3 -m lab.web ADDRESS PORT FOLDER`, run in the client's namespace."""

from __future__ import annotations

import functools
import io
import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import BinaryIO


class Handler(SimpleHTTPRequestHandler):
    """Never answers "not modified": an index may be published twice within the second that file times can tell."""

    def send_head(self) -> io.BytesIO | BinaryIO | None:
        """Open the file that was asked for."""
        del self.headers["If-Modified-Since"]
        return super().send_head()


def main() -> None:
    """Serve until killed."""
    address, port, folder = sys.argv[1:]
    handler = functools.partial(Handler, directory=folder)
    ThreadingHTTPServer((address, int(port)), handler).serve_forever()


if __name__ == "__main__":
    main()
