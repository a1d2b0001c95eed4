"""`[[events]]` of busbar.toml: every mistake with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from busbar.installations import create_sample
from gateway.config import ConfigError, load
from gateway.events.subscriber import subscribers_of

GOOD = """
[[events]]
name = "call-centre"
url = "https://events.internal:8443/payments"
sign_key = "utility-2026"
[[events]]
name = "disconnection-desk"
url = "http://127.0.0.1:9000/payments"
sign_key = "utility-2026"
batch_events = 10
timeout_seconds = 2.5
give_up_after_seconds = 3600
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("installation")
    create_sample(made)
    curve = ec.generate_private_key(ec.SECP256R1())
    path = made / "keys" / "curve.key.pem"
    path.write_bytes(curve.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path.chmod(0o600)
    return made


@pytest.fixture
def sample(folder: Path, tmp_path: Path) -> Path:
    (tmp_path / "banks").symlink_to(folder / "banks")
    (tmp_path / "keys").symlink_to(folder / "keys")
    (tmp_path / "busbar.toml").write_text((folder / "busbar.toml").read_text("utf-8") + GOOD, "utf-8")
    return tmp_path


def test_the_sample_tells_nobody(folder: Path) -> None:
    assert subscribers_of(load(folder)) == ()


def test_two_subscribers(sample: Path) -> None:
    first, second = subscribers_of(load(sample))
    assert (first.name, first.batch_events, first.timeout_seconds) == ("call-centre", 100, 5)
    assert (second.name, second.batch_events, second.timeout_seconds) == ("disconnection-desk", 10, 2.5)
    assert second.patience.give_up_after.total_seconds() == 3600
    assert first.key.key_id == "utility-2026"


# What replaces what, where the mistake is (its line is the replacement's), and part of what is said.
MISTAKES = [
    ('name = "disconnection-desk"', 'name = "call-centre"', "events[1].name", "another subscriber's already"),
    ('name = "disconnection-desk"', 'name = "Desk 1"', "events[1].name", "not allowed"),
    ("batch_events = 10", "batch_events = 0", "events[1].batch_events", "greater than or equal to 1"),
    ("batch_events = 10", "batch_event = 10", "events[1].batch_event", "did you mean batch_events?"),
    ("timeout_seconds = 2.5", "timeout_seconds = 0", "events[1].timeout_seconds", "greater than 0"),
    ("give_up_after_seconds = 3600", "give_up_after_seconds = 0", "events[1].give_up_after_seconds", "greater than"),
    ("batch_events = 10", 'sign_key_ = "x"', "events[1].sign_key_", "did you mean sign_key?"),
    ("batch_events = 10", 'ca_file = "none.pem"', "events[1].ca_file", "can't be read"),
    ("batch_events = 10", 'ca_file = "busbar.toml"', "events[1].ca_file", "no certificate"),
    ('"http://127.0.0.1:9000/payments"', '"http://10.0.0.1/payments"', "events[1].url", "go over https"),
    ('"http://127.0.0.1:9000/payments"', '"https://u:verysecret@h/p"', "events[1].url", "may not stand here"),
    ('"http://127.0.0.1:9000/payments"', '"https://h/p#x"', "events[1].url", "may not stand here"),
    ('"http://127.0.0.1:9000/payments"', '"ftp://h/p"', "events[1].url", "not an address"),
    ('"http://127.0.0.1:9000/payments"', '"https://h:port/p"', "events[1].url", "not an address"),
    ('"http://127.0.0.1:9000/payments"', '"events"', "events[1].url", "not an address"),
]


def mistakes(folder: Path) -> list[tuple[int, str, str]]:
    with pytest.raises(ConfigError) as caught:
        load(folder)
    assert "verysecret" not in str(caught.value)
    return [(one.line, one.where, one.what) for one in caught.value.mistakes]


@pytest.mark.parametrize(("old", "new", "where", "what"), MISTAKES)
def test_a_mistake_is_named_with_its_line(sample: Path, old: str, new: str, where: str, what: str) -> None:
    path = sample / "busbar.toml"
    head, _, tail = path.read_text("utf-8").rpartition(old)
    path.write_text(head + new + tail, "utf-8")
    [(line, found, said)] = mistakes(sample)
    assert (line, found) == (head.count("\n") + 1, where)
    assert what in said


@pytest.mark.parametrize(("key", "what"), [("lost", "busbar keys new rsa lost"), ("curve", "is not an RSA key")])
def test_a_key_that_can_not_sign(sample: Path, key: str, what: str) -> None:
    path = sample / "busbar.toml"
    head, _, tail = path.read_text("utf-8").rpartition('"utility-2026"')
    path.write_text(f'{head}"{key}"{tail}', "utf-8")
    [(line, where, said)] = mistakes(sample)
    assert (line, where) == (head.count("\n") + 1, "events[1].sign_key")
    assert what in said


def test_what_is_missing(sample: Path) -> None:
    path = sample / "busbar.toml"
    text = path.read_text("utf-8") + "[[events]]\n"
    path.write_text(text, "utf-8")
    assert [(line, where) for line, where, _ in mistakes(sample)] == [
        (text.count("\n"), f"events[2].{name}") for name in ("name", "sign_key", "url")
    ]
