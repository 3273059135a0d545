"""The websocket below the application: it can be cut in the middle of a frame."""

import socket
import struct
from typing import Any, Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

TEAR: Final = "simulator.tear"
"""Message to the socket: send half of this text's frame, then reset the connection."""
_AT_ONCE: Final = struct.pack("ii", 1, 0)
"""SO_LINGER, so that closing is a reset."""


class Wire(WebSocketsSansIOProtocol):
    """uvicorn's websocket, with one message more."""

    async def send(self, message: Any) -> None:
        """Send what the application says."""
        if message["type"] != TEAR:
            await super().send(message)
            return
        if self.transport.is_closing():
            return
        self.conn.send_text(message["text"].encode())
        frame = b"".join(self.conn.data_to_send())
        self.transport.write(frame[: len(frame) // 2])
        peer = self.transport.get_extra_info("socket")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self.transport.abort()
