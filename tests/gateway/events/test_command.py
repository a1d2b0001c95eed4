"""`busbar events` on an installation: status, the list of dead letters, telling again, giving up."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from busbar.cli import main
from busbar.installations import create_sample
from tests.gateway.ledger.installations import PASSWORD

from .receiver import Event
from .world import CUSTOMERS, World

pytestmark = pytest.mark.usefixtures("log_stream")  # standard output is the command's alone
ANNE, BERT = CUSTOMERS[:2]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    out, err = capsys.readouterr()
    return int(str(ended.value.code or 0)), out, err


@pytest.fixture
def folder(tmp_path: Path, world: World) -> Path:
    """The sample installation, on the ledger of the test."""
    create_sample(tmp_path)
    path = tmp_path / "busbar.toml"
    parts = urlsplit(world.dsn)
    dsn = f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}?{parts.query}"
    text = path.read_text("utf-8").replace('dsn = "embedded"', f'dsn = "{dsn}"')
    text = text.replace("partitions = 4", "partitions = 2")
    text += f'\n[[events]]\nname = "call-centre"\nurl = "{world.receiver.url}"\nsign_key = "utility-2026"\n'
    path.write_text(text, "utf-8")
    (tmp_path / "var" / "passwords").mkdir(parents=True)
    for role in ("gateway", "night"):
        password = tmp_path / "var" / "passwords" / role
        password.write_text(PASSWORD, "utf-8")
        password.chmod(0o600)
    return tmp_path


async def run_apart(capsys: pytest.CaptureFixture[str], folder: Path, *words: str) -> tuple[int, list[str], str]:
    """The command in a thread: it runs a loop of its own. Output by line."""
    code, out, err = await asyncio.to_thread(run, capsys, "events", *words, "--installation", str(folder))
    return code, out.splitlines(), err


async def test_a_dead_letter_from_the_shell(folder: Path, world: World, capsys: pytest.CaptureFixture[str]) -> None:
    async def ask(*words: str) -> tuple[int, list[str], str]:
        return await run_apart(capsys, folder, *words)

    assert (await ask("status"))[1] == ["call-centre              begins when `busbar serve` starts 待启动"]

    def refuse_bert(events: list[Event]) -> int:
        return 422 if any(event["customer_no"] == BERT for event in events) else 204

    world.receiver.decide = refuse_bert
    async with world.telling():
        await world.pay(ANNE, BERT, BERT)
        await world.until_letters(dead=1, behind=1)
        code, [first, second], _ = await ask("status")
        assert code == 0
        assert "partition 00  told  waiting 0  trying 0  behind 1  dead 1" in first
        assert "partition 01  told  waiting 0  trying 0  behind 0  dead 0" in second
        code, [line], _ = await ask("dead")
        reference_no = line.split()[1]
        assert line.split()[-5:] == ["1", "attempts", "1", "HTTP", "422"]
        assert "DEAD" in line
        assert not any(who in line for who in CUSTOMERS)

        world.receiver.decide = lambda _events: 204
        code, out, _ = await ask("redeliver", "call-centre", reference_no)
        assert (code, out[0]) == (0, reference_no)
        await world.receiver.until_taken(3)
        await world.until_letters(dead=0, behind=0, trying=0)
        assert (await ask("dead"))[1] == ["nothing is set aside 没有未送达事件"]


async def test_giving_up_from_the_shell(folder: Path, world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.receiver.decide = lambda _events: 422
    async with world.telling():
        await world.pay(ANNE)
        await world.until_letters(dead=1)
    _, [line], _ = await run_apart(capsys, folder, "dead", "--subscriber", "call-centre")
    code, out, _ = await run_apart(capsys, folder, "discard", "call-centre", line.split()[1])
    assert (code, len(out)) == (0, 1)
    assert (await run_apart(capsys, folder, "dead"))[1] == ["nothing is set aside 没有未送达事件"]


async def test_a_subscriber_that_is_not_configured_any_more(
    folder: Path, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    await world.subscribe()
    await world.pay(ANNE)
    path = folder / "busbar.toml"
    path.write_text(path.read_text("utf-8").partition("[[events]]")[0], "utf-8")
    _, [first, _second], _ = await run_apart(capsys, folder, "status")
    assert "nobody tells  waiting 1, oldest" in first
    assert "not configured any more" in first


REFUSED: list[tuple[tuple[str, ...], str]] = [
    (("redeliver", "nobody", "--all"), "nobody subscribes as nobody; see: busbar events status"),
    (("redeliver", "call-centre", "000000000009"), "in no queue of dead letters; see: busbar events dead"),
    (("redeliver", "call-centre"), "name the event's REFERENCE_NO, or say --all"),
    (("redeliver", "call-centre", "000000000009", "--all"), "name the event's REFERENCE_NO, or say --all"),
    (("discard", "call-centre", "000000000009"), "is not set aside; see: busbar events dead"),
    (("discard", "call-centre"), "Missing argument 'REFERENCE_NO'"),
    (("dead", "--limit", "0"), "Invalid value for '--limit'"),
]


@pytest.mark.parametrize(("words", "what"), REFUSED)
async def test_what_is_refused_is_one_line(
    folder: Path, world: World, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], what: str
) -> None:
    await world.subscribe()
    code, out, err = await run_apart(capsys, folder, *words)
    assert (code, out, err.count("\n")) == (2, [], 1)
    assert what in err


@pytest.mark.parametrize("words", [(), ("status",), ("dead",), ("redeliver",), ("discard",)])
def test_help_in_english_and_chinese(capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    code, out, _ = run(capsys, "events", *words, "--help")
    assert code == 0
    assert any("\u4e00" <= character <= "\u9fff" for character in out)
