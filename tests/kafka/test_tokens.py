"""Tokens are asked for one at a time, not for ever, and not again while they are fresh."""

from __future__ import annotations

import base64
import sys
import threading
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kafka.aws import signed_token
from kafka_consumer_scaler.kafka.connection import Oauth
from kafka_consumer_scaler.kafka.security import escaped
from kafka_consumer_scaler.kafka.tokens import Token, Tokens, requested_token
from tests.waiting import PATIENCE_SECONDS


class Maker:
    """Makes tokens when it is let."""

    def __init__(self, *answers: Token | Unknown | Exception) -> None:
        self.answers, self.asked, self.go = list(answers), 0, threading.Event()
        self.go.set()

    def __call__(self) -> Token | Unknown:
        self.asked += 1
        self.go.wait(PATIENCE_SECONDS)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


FRESH = Token.lasting("first", 86_400)


def test_a_fresh_token_is_not_asked_for_again() -> None:
    maker = Maker(FRESH)
    tokens = Tokens(maker, "x")
    assert [tokens.get(PATIENCE_SECONDS), tokens.get(PATIENCE_SECONDS)] == [FRESH, FRESH]
    assert maker.asked == 1


def test_a_token_at_the_end_of_its_life_is_replaced() -> None:
    maker = Maker(Token.lasting("old", 0), FRESH)
    tokens = Tokens(maker, "x")
    tokens.get(PATIENCE_SECONDS)
    assert tokens.get(PATIENCE_SECONDS) == FRESH


def test_the_wait_has_an_end_and_is_not_begun_twice() -> None:
    maker = Maker(FRESH)
    maker.go.clear()
    tokens, began = Tokens(maker, "https://identity.test"), time.monotonic()
    for _ in range(3):
        said = tokens.get(0.02)
        assert isinstance(said, Unknown)
        assert said.reason is Reason.IDENTITY_PROVIDER_UNREACHABLE
    assert time.monotonic() - began < PATIENCE_SECONDS / 2, "the maker answers later"
    assert maker.asked == 1
    assert tokens.trouble == said
    maker.go.set()
    assert tokens.get(PATIENCE_SECONDS) == FRESH
    assert tokens.trouble is None


def late(*answers: Token | Unknown) -> tuple[Maker, Tokens]:
    """Tokens whose first answer came after the wait for it."""
    maker = Maker(*answers)
    maker.go.clear()
    tokens = Tokens(maker, "x")
    assert isinstance(tokens.get(0.05), Unknown)
    assert tokens._asked is not None
    maker.go.set()
    tokens._asked.result(PATIENCE_SECONDS)
    return maker, tokens


def test_a_token_that_comes_after_the_wait_is_used() -> None:
    maker, tokens = late(FRESH)
    assert [tokens.get(0), tokens.get(0)] == [FRESH, FRESH]
    assert (maker.asked, tokens.trouble) == (1, None)


@pytest.mark.parametrize("answer", [Token.lasting("old", 0), Unknown("refused")])
def test_what_came_after_the_wait_and_is_of_no_use_by_now_is_asked_for_anew(answer: Token | Unknown) -> None:
    maker, tokens = late(answer, FRESH)
    assert tokens.get(PATIENCE_SECONDS) == FRESH
    assert (maker.asked, tokens.trouble) == (2, None)


def test_a_surprise_is_told_by_its_class_alone() -> None:
    said = Tokens(Maker(RuntimeError("planted-secret")), "https://identity.test").get(PATIENCE_SECONDS)
    assert said == Unknown("token endpoint https://identity.test: RuntimeError", Reason.IDENTITY_PROVIDER_UNREACHABLE)


def test_a_token_shows_itself_nowhere() -> None:
    assert "planted" not in repr(Token.lasting("planted-token", 10))


@pytest.mark.parametrize("address", ["http://identity.test/", "file:///etc/passwd", "https:///x", "ftp://x/"])
def test_only_https_is_spoken_to_a_token_endpoint(address: str) -> None:
    said = requested_token(Oauth(address, "operator", "secret"))
    assert said == Unknown(f"token endpoint {address}: it is no https address", Reason.IDENTITY_PROVIDER_UNREACHABLE)


def test_a_users_name_is_escaped_for_scram() -> None:
    assert escaped("a=b,c") == "a=3Db=2Cc"


def test_without_its_package_aws_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "awscrt", None)
    said = signed_token("eu-west-1")
    assert isinstance(said, Unknown)
    assert "kafka-consumer-scaler[aws]" in said.why


def test_an_aws_token_is_a_signed_url_of_the_region() -> None:
    auth: Any = pytest.importorskip("awscrt.auth")
    provider = auth.AwsCredentialsProvider.new_static("AKIDEXAMPLE", "planted-secret-key", "session")
    token = signed_token("eu-west-1", provider)
    assert isinstance(token, Token)
    url = urlsplit(base64.urlsafe_b64decode(token.value + "=" * (-len(token.value) % 4)).decode())
    asked = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert url.hostname == "kafka.eu-west-1.amazonaws.com"
    assert asked["Action"] == "kafka-cluster:Connect"
    assert asked["X-Amz-Credential"].endswith("/eu-west-1/kafka-cluster/aws4_request")
    assert (asked["X-Amz-Expires"], asked["X-Amz-Security-Token"]) == ("900", "session")
    assert "planted" not in url.query
    assert 800 < token.expires_at - time.time() <= 900
