"""Consume, POST, acknowledge after a 2xx: aio-pika and aiohttp on uvloop, as an asyncio service would."""

import asyncio
import os

import aio_pika
import aiohttp
import uvloop

URL, QUEUE, TRIGGER = (os.environ[name] for name in ("PEER_URL", "PEER_QUEUE", "PEER_TRIGGER"))
PREFETCH, IN_FLIGHT = (int(os.environ[name]) for name in ("PEER_PREFETCH", "PEER_IN_FLIGHT"))
AUTH = aiohttp.BasicAuth(os.environ["PEER_USER"], os.environ["PEER_PASSWORD"])


async def main() -> None:
    connector = aiohttp.TCPConnector(limit=IN_FLIGHT)
    headers = {"content-type": "application/json"}
    async with aiohttp.ClientSession(auth=AUTH, connector=connector, headers=headers) as session:

        async def deliver(message: aio_pika.abc.AbstractIncomingMessage) -> None:
            async with message.process(requeue=True):
                async with session.post(TRIGGER, data=message.body) as answer:
                    answer.raise_for_status()

        connection = await aio_pika.connect_robust(URL)
        async with connection:
            channel = await connection.channel()
            await channel.set_qos(prefetch_count=PREFETCH)
            queue = await channel.get_queue(QUEUE)
            await queue.consume(deliver)
            await asyncio.Future()


uvloop.run(main())
