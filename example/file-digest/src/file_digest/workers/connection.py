"""Main's end of the socket pair that it shares with one worker."""

import pickle
import socket
from collections import deque
from collections.abc import Iterator
from multiprocessing import connection

from ..items.messages import Shutdown
from ..worker import HEADER, ToMain, ToWorker, frame

READ_BYTES = BUFFER_BYTES = 1 << 20
"""With the kernel's own size of a socket's buffer, 208 kB, items of 1 MB take up to 1.5 times as
long. Linux gives no more than net.core.wmem_max allows."""


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Return two connected stream sockets that take large messages at once.

    Raises:
        OSError: No more descriptors are to be had.
    """
    pair = socket.socketpair()
    for end in pair:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
    return pair


class WorkerConnection:
    """Main's end. It never blocks: a worker that is stopped must not stop main."""

    def __init__(self, sock: socket.socket) -> None:
        """Take over a connected stream socket."""
        self.sock = sock
        self.sock.setblocking(False)
        self.outgoing: deque[memoryview] = deque()
        self.incoming = bytearray()

    def send(self, message: ToWorker) -> None:
        """Send now what the socket takes, and keep the rest for ``flush``."""
        self.outgoing.append(memoryview(frame(message)))
        self.flush()

    def flush(self) -> None:
        """Send what is left to send; to a dead worker it is dropped."""
        try:
            while self.outgoing:
                sent = self.sock.send(self.outgoing[0])
                rest = self.outgoing[0][sent:]
                self.outgoing.popleft()
                if rest:
                    self.outgoing.appendleft(rest)
        except BlockingIOError:
            return
        except OSError:
            self.outgoing.clear()

    def receive(self) -> Iterator[ToMain]:
        """Yield the messages that are complete by now.

        Raises:
            EOFError: The worker is gone and everything that it sent was yielded.
        """
        ended = self._read()
        at = 0
        while len(self.incoming) >= at + HEADER.size:
            end = at + HEADER.size + HEADER.unpack_from(self.incoming, at)[0]
            if end > len(self.incoming):
                break
            blob = bytes(memoryview(self.incoming)[at + HEADER.size : end])
            at = end
            yield pickle.loads(blob)
        del self.incoming[:at]
        if ended:
            raise EOFError

    def drain(self) -> Iterator[ToMain]:
        """Yield all that was sent by now; a dead worker's children may hold the stream open."""
        try:
            while connection.wait([self.sock], 0):
                yield from self.receive()
        except EOFError:
            return

    def shutdown(self) -> None:
        """Tell the worker to leave in good order, and close the stream."""
        self.send(Shutdown())
        self.sock.close()

    def close(self) -> None:
        """Close the socket."""
        self.sock.close()

    def _read(self) -> bool:
        try:
            data = self.sock.recv(READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            return True
        self.incoming += data
        return not data
