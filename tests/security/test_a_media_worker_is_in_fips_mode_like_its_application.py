"""A media worker is a process of its own: in FIPS mode it must be in it too, or get no key."""

from __future__ import annotations

from tests.support.fips import in_fips_mode

START = """
    import asyncio
    import os
    from pathlib import Path
    from softphone.media.worker import process_link as module
    from softphone.media.worker.process_link import MediaWorkerProcess
    from softphone.errors import MediaError
    from softphone.media.interface import MediaConfig

    class Owner:
        def message_received(self, link, message): ...
        def worker_ended(self, link, reason): ...

    async def main():
        link = MediaWorkerProcess(Owner(), MediaConfig(placement="worker", capacity=8), 0)
        try:
            await link.start()
        except MediaError as error:
            print(error)
            return
        maps = Path(f"/proc/{link.process.pid}/maps").read_text()
        print("first/fips.so" in maps, "second/fips.so" in maps)
        await link.close()
"""


def test_it_is_in_fips_mode_like_its_application():
    seen = in_fips_mode(START + "    asyncio.run(main())")
    # Each library has its copy of the provider's file; `cryptography` does SRTP then.
    assert seen == "True True"


def test_one_that_came_up_without_it_gets_no_key():
    without = """
    module.INHERITED = ("LANG",)
    asyncio.run(main())
    """
    assert "has started not in FIPS mode" in in_fips_mode(START + without)


def test_one_whose_self_check_fails_says_why():
    damaged = """
    os.environ["SOFTPHONE_FIPS_FOLDER"] = "/nowhere"
    asyncio.run(main())
    """
    assert "self-check failed" in in_fips_mode(START + damaged)
