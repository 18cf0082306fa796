"""The servers themselves: they start, survive a kill with what they promised to keep, and a pause."""

import asyncpg
import pytest
from redis.asyncio import Redis as Client
from servers import Redis

pytestmark = pytest.mark.anyio


async def test_redis_and_valkey_answer(shared_redis):
    async with Client.from_url(shared_redis.url) as client:
        await client.set("here", "yes")
        assert await client.get("here") == b"yes"


async def test_a_redis_killed_comes_back_empty_and_a_durable_one_complete(own_redis, box):
    durable = Redis("durable", own_redis.binary, box / "durable", durable=True).start()
    try:
        for server, kept in ((own_redis, None), (durable, b"1")):
            async with Client.from_url(server.url) as client:
                await client.set("k", 1)
            server.kill()
            server.start()
            async with Client.from_url(server.url) as client:
                assert await client.get("k") == kept
    finally:
        durable.stop()


async def test_postgres_keeps_what_was_committed_when_killed(own_postgres):
    connection = await asyncpg.connect(own_postgres.url)
    await connection.execute("create table t (n int); insert into t values (7)")
    own_postgres.kill()
    connection.terminate()
    own_postgres.start()
    connection = await asyncpg.connect(own_postgres.url)
    assert await connection.fetchval("select n from t") == 7
    await connection.close()
