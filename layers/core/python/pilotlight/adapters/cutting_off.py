"""An end to what a server may take its time with: a socket's timeout begins anew with every byte that comes."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Timer


@contextmanager
def cut_off(sock: socket.socket | None, seconds: float) -> Iterator[Event]:
    """Shut a socket down if what happens within takes longer; the event tells whether that was so."""
    late = Event()

    def cut() -> None:
        late.set()
        try:
            if sock:
                sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it is over already

    watch = Timer(seconds, cut)
    watch.daemon = True
    watch.start()
    try:
        yield late
    finally:
        watch.cancel()
