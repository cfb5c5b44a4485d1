"""A bot to deploy: it says whether it is well, counts its calls, and leaves without losing one.

    softphone lab --dir lab
    python production_bot.py lab/bob.toml --health 127.0.0.1:8080 --metrics 127.0.0.1:9464
    curl 127.0.0.1:8080/ready 127.0.0.1:9464/metrics

SIGTERM drains it: new callers are sent elsewhere, those who are here are served to the end, or to
that of `[drain] timeout` in the account file.  A second signal ends it at once.
"""

import argparse
import asyncio
import logging
import signal

from softphone import IncomingCall, Phone, SoftphoneError, ToneSource, load_account
from softphone.monitoring import HealthServer, MetricsServer, PageAccess

log = logging.getLogger("bot")


async def serve(incoming: IncomingCall) -> None:
    """Answer one call: a tone until the caller hangs up, where your bot has its conversation."""
    try:
        async with await incoming.answer() as call:
            call.audio.play(ToneSource(440.0))
            ended = await call.ended()
            log.info("%s: ended by the %s side", call.id, ended.by.value)
    except SoftphoneError as error:  # the caller gave up
        log.info("%s: %s", incoming.id, error)


async def answer_all(phone: Phone, path: str) -> None:
    """Register, and serve all calls at once."""
    account = await phone.register(load_account(path).config)
    log.info("%s waits for calls", account.aor)
    async with asyncio.TaskGroup() as calls:
        async for incoming in account.incoming():
            calls.create_task(serve(incoming))


async def main(options: argparse.Namespace) -> int:
    """Run until a signal, then drain; return the exit status."""
    signals: asyncio.Queue[int] = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, signals.put_nowait, number)
    async with (
        Phone() as phone,
        HealthServer(phone, *options.health) as health,
        MetricsServer(phone, PageAccess(*options.metrics)) as metrics,
    ):
        log.info("health at %s, metrics at %s", health.url, metrics.url)
        serving = asyncio.create_task(answer_all(phone, options.account))
        asked = asyncio.create_task(signals.get())
        await asyncio.wait({serving, asked}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            await serving  # it could not register: raises why
        log.info("draining: %d calls are up", sum(len(each.calls) for each in phone.accounts))
        draining = asyncio.create_task(phone.drain())
        again = asyncio.create_task(signals.get())
        await asyncio.wait({draining, again}, return_when=asyncio.FIRST_COMPLETED)
        lost = not (draining.done() and draining.result())
        log.info("goodbye%s", ": calls were hung up" if lost else "")
        for task in (serving, draining, again):
            task.cancel()
    return 1 if lost else 0


def place(text: str) -> tuple[str, int]:
    """Read HOST:PORT."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A bot with health, metrics and a drain.")
    parser.add_argument("account", help="the account file")
    parser.add_argument("--health", type=place, default=("127.0.0.1", 8080), metavar="HOST:PORT")
    parser.add_argument("--metrics", type=place, default=("127.0.0.1", 9464), metavar="HOST:PORT")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    try:
        raise SystemExit(asyncio.run(main(arguments)))
    except SoftphoneError as error:  # not registered: the text says why, and what to do
        raise SystemExit(str(error)) from error
