"""How the service listens."""

import asyncio
import socket

from service.server import _listen


def test_answers_do_not_wait_for_the_acknowledgement_of_their_first_packet() -> None:
    """asyncio turns Nagle's delay off only for sockets whose protocol says TCP; each answer took 40 ms more."""

    async def accepted() -> int:
        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def note(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection = writer.get_extra_info("socket")
            found.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listener = _listen("127.0.0.1", 8765)
        async with await asyncio.start_server(note, sock=listener):
            _, writer = await asyncio.open_connection(*listener.getsockname())
            value = await found
            writer.close()
            await writer.wait_closed()
            return value

    assert asyncio.run(accepted()) == 1


def test_a_busy_port_gives_the_next_one() -> None:
    with _listen("127.0.0.1", 8765) as first, _listen("127.0.0.1", first.getsockname()[1]) as second:
        assert second.getsockname()[1] > first.getsockname()[1]
