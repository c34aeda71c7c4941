"""A mail relay that keeps all it is given: `python3 -m lab.sink ADDRESS PORT FOLDER`, run in the client's namespace."""

from __future__ import annotations

import asyncio
import itertools
import sys
from pathlib import Path

_NUMBERS = itertools.count(1)


async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, folder: Path) -> None:
    """Speak SMTP with one sender; each mail becomes one file, whole or not at all."""

    async def answer(line: str) -> None:
        writer.write(f"{line}\r\n".encode())
        await writer.drain()

    sender, receivers = "", list[str]()
    await answer("220 sink.lab.example ESMTP")
    while line := (await reader.readline()).decode(errors="replace").strip():
        verb = line[:4].upper()
        if verb == "QUIT":
            await answer("221 bye")
            break
        if verb == "DATA":
            await answer("354 go on")
            _keep(folder, sender, receivers, await _body(reader))
            sender, receivers = "", []
        elif verb == "MAIL":
            sender = _address(line)
        elif verb == "RCPT":
            receivers.append(_address(line))
        elif verb == "RSET":
            sender, receivers = "", []
        await answer("250-sink.lab.example\r\n250-8BITMIME\r\n250 SMTPUTF8" if verb == "EHLO" else "250 OK")
    writer.close()


async def _body(reader: asyncio.StreamReader) -> bytes:
    lines = []
    while (line := await reader.readline()) not in (b".\r\n", b".\n", b""):
        lines.append(line.removeprefix(b"."))
    return b"".join(lines)


def _address(line: str) -> str:
    return line.partition("<")[2].partition(">")[0]


def _keep(folder: Path, sender: str, receivers: list[str], body: bytes) -> None:
    number = next(_NUMBERS)
    while (folder / f"{number:06}.eml").exists():
        number = next(_NUMBERS)
    half = folder / f".{number:06}"
    half.write_bytes(f"X-Lab-From: {sender}\r\nX-Lab-To: {', '.join(receivers)}\r\n".encode() + body)
    half.rename(folder / f"{number:06}.eml")


async def main() -> None:
    """Take mail until killed."""
    address, port, folder = sys.argv[1:]
    server = await asyncio.start_server(
        lambda reader, writer: take(reader, writer, Path(folder)), address, int(port), limit=1 << 24
    )
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
