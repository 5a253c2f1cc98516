"""An SMTP sink that takes everything as fast as Python can: PIPELINING, one line per mail (recipient, time)."""

import asyncio
import sys
import time
from pathlib import Path
from typing import TextIO


class Sink:
    """Counts mails and notes when each recipient's came."""

    def __init__(self, log: TextIO, delay: float) -> None:
        """Note into `log`; wait `delay` seconds before every reply."""
        self._log = log
        self._delay = delay

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        writer.write(b"220 sink\r\n")
        recipient = ""
        while line := await reader.readline():
            verb = line[:4].upper()
            if verb == b"EHLO":
                reply = b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 50000000\r\n"
            elif verb == b"RCPT":
                recipient = line.partition(b"<")[2].partition(b">")[0].decode()
                reply = b"250 ok\r\n"
            elif verb == b"DATA":
                writer.write(b"354 go\r\n")
                await writer.drain()
                await reader.readuntil(b"\r\n.\r\n")
                self._log.write(f"{recipient} {time.time():.6f}\n")
                reply = b"250 taken\r\n"
            elif verb == b"QUIT":
                writer.write(b"221 bye\r\n")
                break
            else:
                reply = b"250 ok\r\n"
            if self._delay:
                await asyncio.sleep(self._delay)
            writer.write(reply)
        writer.close()


async def main(port: int, path: Path, delay: float) -> None:
    """Serve until told to stop."""
    with path.open("w", buffering=1) as log:
        server = await asyncio.start_server(Sink(log, delay).talk, "127.0.0.1", port, limit=2**20)
        async with server:
            await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])))
