"""An SMTP sink for measurements: takes everything, notes one line per mail (recipient, time), answers after a delay.

    python -m bench.sink PORT LOG DELAY_SECONDS

The delay is that of a distant server: each answer leaves so long after its command came; commands that were
pipelined together are answered together. `LOG` of `-` notes nothing.
"""

import asyncio
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TextIO

_END = b"\r\n.\r\n"
_HELLO = b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 50000000\r\n"


class Sink(asyncio.Protocol):
    """One connection."""

    def __init__(self, log: TextIO | None, delay: float) -> None:
        """Note into `log`; answer after so many seconds."""
        self._log = log
        self._delay = delay
        self._buffer = bytearray()
        self._in_data = False
        self._recipient = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._say(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        """Answer every complete command and mail."""
        self._buffer += data
        answers = b""
        while True:
            end = self._buffer.find(_END if self._in_data else b"\r\n")
            if end < 0:
                break
            line = bytes(self._buffer[:end])
            del self._buffer[: end + (len(_END) if self._in_data else 2)]
            answers += self._answer(line)
        if answers:
            self._say(answers)

    def _answer(self, line: bytes) -> bytes:
        if self._in_data:
            self._in_data = False
            if self._log is not None:
                self._log.write(f"{self._recipient} {time.time():.6f}\n")
            return b"250 2.0.0 taken\r\n"
        match line[:4].upper():
            case b"EHLO":
                return _HELLO
            case b"RCPT":
                self._recipient = line.partition(b"<")[2].partition(b">")[0].decode()
                return b"250 ok\r\n"
            case b"DATA":
                self._in_data = True
                return b"354 go\r\n"
            case b"QUIT":
                self._transport.close()
                return b""
            case _:
                return b"250 ok\r\n"

    def _say(self, answers: bytes) -> None:
        if self._delay:
            asyncio.get_running_loop().call_later(self._delay, self._transport.write, answers)
        else:
            self._transport.write(answers)


async def main(port: int, log: TextIO | None, delay: float) -> None:
    """Listen until killed."""
    server = await asyncio.get_running_loop().create_server(
        lambda: Sink(log, delay), "127.0.0.1", port, backlog=500
    )
    await server.serve_forever()


if __name__ == "__main__":
    where = sys.argv[2]
    with nullcontext() if where == "-" else Path(where).open("w", buffering=1, encoding="utf-8") as noted:
        asyncio.run(main(int(sys.argv[1]), noted, float(sys.argv[3])))
