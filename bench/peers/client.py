"""One Python client: runs one workload, prints what it measured as JSON.

Called with a workload of workloads.mjs, the timing, "package" and "url" as one JSON object.
"""

import asyncio
import json
import sys
import time


class Websockets:
    """https://github.com/python-websockets/websockets"""

    async def __aenter__(self):
        options = {"compression": "deflate" if TASK["deflate"] else None, "max_size": 2**26}
        try:
            from websockets.asyncio.client import connect

            options["proxy"] = None
        except ImportError:  # before 13, as Debian 12 has it
            from websockets.client import connect
        self.ws = await connect(TASK["url"], **options)
        self.send = self.ws.send
        self.receive = self.ws.recv
        return self

    async def __aexit__(self, *_):
        self.ws.transport.abort()


class Original:
    """https://github.com/asyncins/aiowebsocket"""

    async def __aenter__(self):
        from aiowebsocket.converses import AioWebSocket

        self.aws = AioWebSocket(TASK["url"])
        await self.aws.create_connection()
        self.send = self.aws.manipulator.send
        self.receive = self.aws.manipulator.receive
        return self

    async def __aexit__(self, *_):
        pass


class Meter:
    """The clock: a warm-up, then the section that counts. Times in seconds."""

    def __init__(self):
        self.measuring = False
        self.until = time.perf_counter() + TASK["warmup"] / 1000

    def is_over(self, count):
        now = time.perf_counter()
        if now < self.until:
            return False
        if self.measuring:
            return True
        self.measuring = True
        self.until = now + TASK["duration"] / 1000
        self.started, self.cpu, self.count = now, time.process_time(), count
        return False

    def sample(self, count):
        units = count - self.count
        seconds = time.perf_counter() - self.started
        cpu = time.process_time() - self.cpu
        return {"rate": units / seconds, "cpu": cpu * 1e6 / units}


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] * 1e6


async def ping_pong(peer, payload):
    meter, latencies, count = Meter(), [], 0
    while True:
        sent = time.perf_counter()
        await peer.send(payload)
        await peer.receive()
        if meter.measuring:
            latencies.append(time.perf_counter() - sent)
        count += 1
        if meter.is_over(count):
            break
    p50, p99 = percentile(latencies, 0.5), percentile(latencies, 0.99)
    return {**meter.sample(count), "p50": p50, "p99": p99}


async def pipeline(peer, payload):
    for _ in range(TASK["window"]):
        await peer.send(payload)
    meter, count = Meter(), 0
    while True:
        message = await peer.receive()
        count += 1
        if count % TASK["every"] == 0 and meter.is_over(count):
            return meter.sample(count)
        # What comes in is JSON as the other clients send it.
        await peer.send(message if TASK["kind"] == "json" else payload)


async def receive(peer, _):
    await peer.send("go")
    meter, count = Meter(), 0
    while True:
        await peer.receive()
        count += 1
        if count % TASK["every"] == 0 and meter.is_over(count):
            return meter.sample(count)


async def send(peer, payload):
    meter, count = Meter(), 0
    while True:
        await peer.send(payload)
        count += 1
        if count % TASK["every"] == 0 and meter.is_over(count):
            break
    await peer.send("done")
    if int(await peer.receive()) != count:
        raise RuntimeError("the server did not get every message")
    return meter.sample(count)


async def main():
    peer = {"websockets": Websockets, "aiowebsocket": Original}[TASK["package"]]
    scenario = {"ping-pong": ping_pong, "pipeline": pipeline, "receive": receive, "send": send}
    payload = b"x" * TASK["size"] if TASK["kind"] == "binary" else "x" * TASK["size"]
    async with peer() as connection:
        print(json.dumps(await scenario[TASK["scenario"]](connection, payload)))


TASK = json.loads(sys.argv[1])
asyncio.run(main())
