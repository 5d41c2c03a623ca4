"""An echo server of Python's `websockets`, for the interop tests.

Prints its port, then one line of JSON for each connection that has ended. `close CODE REASON` as a
message has it close, `fragments TEXT` has it send the text one character a frame.
"""

import asyncio
import json

import websockets


async def serve(socket, _path=None):
    try:
        async for message in socket:
            command, _, rest = (message if isinstance(message, str) else "").partition(" ")
            if command == "close":
                code, _, reason = rest.partition(" ")
                await socket.close(int(code), reason)
            elif command == "fragments":
                await socket.send(list(rest))
            else:
                await socket.send(message)
    except websockets.ConnectionClosed:
        pass
    await socket.wait_closed()
    end = {"code": socket.close_code, "reason": socket.close_reason}
    print(json.dumps(end), flush=True)


async def main():
    options = {"subprotocols": ["chat"], "max_size": 2**22}
    async with websockets.serve(serve, "127.0.0.1", 0, **options) as server:
        sockets = server.sockets or server.server.sockets
        print(sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()


asyncio.run(main())
