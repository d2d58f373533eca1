"""Each line of standard input is an item; work(), and what it starts, read it as well."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence


async def read_by_asyncio() -> str:
    program = await asyncio.create_subprocess_exec("cat", stdout=subprocess.PIPE)
    return (await program.communicate())[0].decode()


def items(inputs: Sequence[str]) -> Iterator[tuple[str, str]]:
    return ((line.strip(), line) for line in sys.stdin)


def work(line: str) -> tuple[str, str, bool, str]:
    program = subprocess.run(["cat"], capture_output=True, text=True, check=True)
    shell = os.system("read line")
    return program.stdout, asyncio.run(read_by_asyncio()), shell != 0, sys.stdin.read()
