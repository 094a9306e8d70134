"""What changes or fails behind a secured broker while we poll: tokens, secrets, refusals. No other is held up."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import time
from dataclasses import replace
from itertools import count
from pathlib import Path
from statistics import median

import pytest
from confluent_kafka.admin import AclOperation, ResourceType

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.kafka import brokers
from kafka_consumer_scaler.kafka.connection import Mechanism, Tls
from kafka_consumer_scaler.kafka.polling_process import PollingProcess
from tests.contracts.secured_group import ODD, READ, WRONG, Asked, reason, set_password, spelled, timed, until
from tests.contracts.test_lag_source import Cluster, fresh
from tests.environment import pki
from tests.oidc import Provider
from tests.proxy import CountingProxy
from tests.secured import SecuredBroker, allow
from tests.trials import awaited_in_one_of_several_trials

pytestmark = pytest.mark.cluster


class TestTokens:
    """The token endpoint is one more part that can fail."""

    async def test_a_token_endpoint_that_is_down_is_told_apart_from_the_brokers(
        self, broker: SecuredBroker, provider: Provider, process: PollingProcess, asked: Asked
    ) -> None:
        down = replace(provider, address="127.0.0.1:1")
        said = await asked.by(process, broker.by_token(down))
        assert reason(said) is Reason.IDENTITY_PROVIDER_UNREACHABLE

    @pytest.mark.parametrize("status", [302, 500, 503])
    async def test_an_endpoint_that_errs_or_redirects_is_unreachable(
        self, status: int, broker: SecuredBroker, provider: Provider, process: PollingProcess, asked: Asked
    ) -> None:
        provider.status = status
        assert reason(await asked.by(process, broker.by_token(provider))) is Reason.IDENTITY_PROVIDER_UNREACHABLE
        assert provider.asked == 1

    async def test_an_endpoint_of_an_unknown_authority_gets_no_secret(
        self, broker: SecuredBroker, provider: Provider, process: PollingProcess, asked: Asked
    ) -> None:
        connection = broker.by_token(provider)
        assert connection.sasl is not None
        assert connection.sasl.oauth is not None
        trusting_system = replace(connection.sasl, oauth=replace(connection.sasl.oauth, ca_pem=""))
        said = await asked.by(process, replace(connection, sasl=trusting_system))
        assert reason(said) is Reason.TLS_FAILED
        assert provider.asked == 0

    async def test_the_scope_is_asked_for_and_a_token_lasts_for_many_polls(
        self, broker: SecuredBroker, provider: Provider, process: PollingProcess, asked: Asked
    ) -> None:
        connection = broker.by_token(provider)
        assert connection.sasl is not None
        assert connection.sasl.oauth is not None
        oauth = replace(connection.sasl.oauth, scope="kafka read", extensions=(("logicalCluster", "lkc-1"),))
        connection = replace(connection, sasl=replace(connection.sasl, oauth=oauth))
        for _ in range(5):
            assert await asked.by(process, connection) == READ
        assert {tuple(form["scope"]) for form in provider.forms} == {("kafka read",)}
        assert provider.asked <= 2, "one for the offsets, one for the log sizes"

    async def test_a_token_is_renewed_before_it_expires(
        self, broker: SecuredBroker, provider: Provider, process: PollingProcess, asked: Asked
    ) -> None:
        provider.life_seconds = 3
        times = count(1)

        async def is_renewed() -> None:
            """Two tokens are for the offsets and for the sizes of logs. In a machine that stands still they expire."""
            connection, enough = spelled(broker.by_token(provider), next(times)), provider.asked + 4
            while provider.asked < enough:
                assert await asked.by(process, connection) == READ
                await asyncio.sleep(0.2)

        await awaited_in_one_of_several_trials(is_renewed)

    async def test_a_provider_that_hangs_delays_no_other_cluster(
        self, broker: SecuredBroker, provider: Provider, process: PollingProcess, asked: Asked
    ) -> None:
        other, times = broker.by_password(Mechanism.SCRAM_SHA_256), count(1)
        assert await asked.by(process, other) == READ
        provider.released.clear()

        async def is_not_delayed() -> None:
            """One that waits for the provider is answered once, when it is given up."""
            hanging = asyncio.create_task(asked.by(process, spelled(broker.by_token(provider), next(times))))
            polls = 0
            while not hanging.done():
                assert await asked.by(process, other) == READ
                polls += 1
                await asyncio.sleep(0.1)
            assert reason(await hanging) is Reason.IDENTITY_PROVIDER_UNREACHABLE
            assert polls > 2

        await awaited_in_one_of_several_trials(is_not_delayed)

    async def test_a_client_that_waits_for_its_next_token_is_let_go_without_delaying_another(
        self, broker: SecuredBroker, provider: Provider, process: PollingProcess, asked: Asked
    ) -> None:
        provider.life_seconds = 3
        other, times = broker.by_password(Mechanism.SCRAM_SHA_256), count(1)
        assert await asked.by(process, other) == READ

        async def is_let_go() -> None:
            """It waits for ten seconds."""
            provider.released.set()
            waiting, both = spelled(broker.by_token(provider), next(times)), provider.asked + 2
            assert await asked.by(process, waiting) == READ
            await until(lambda: provider.asked >= both)  # for the offsets and for the sizes of logs
            provider.released.clear()
            received = provider.received
            await until(lambda: provider.received > received)
            process.forget(waiting)
            assert max([await timed(asked, process, other) for _ in range(20)]) < 5

        await awaited_in_one_of_several_trials(is_let_go)


class TestRotation:
    """A changed secret is a changed connection, and a changed connection is another client."""

    async def test_a_new_password_is_used_without_a_restart_and_without_a_pause(
        self, broker: SecuredBroker, cluster: Cluster, process: PollingProcess, asked: Asked
    ) -> None:
        user, mechanism = fresh("user"), Mechanism.SCRAM_SHA_256
        allow(cluster.servers, user, (ResourceType.GROUP, asked.group, AclOperation.DESCRIBE),
              (ResourceType.TOPIC, asked.topic, AclOperation.DESCRIBE))  # fmt: skip
        set_password(cluster, mechanism, user, "the-first")
        first, second = (broker.by_password(mechanism, user, word) for word in ("the-first", "the-second"))
        assert await asked.by(process, first) == READ
        set_password(cluster, mechanism, user, "the-second")
        assert await asked.by(process, first) == READ, "a connection that stands is not asked again"
        assert reason(await asked.by(process, broker.by_password(mechanism, user, "the-third"))) is (
            Reason.AUTHENTICATION_FAILED)  # fmt: skip
        pid = process.pid
        assert await asked.by(process, second) == READ
        process.forget(first)
        assert (process.pid, process.restarts) == (pid, 0)

    async def test_a_new_certificate_is_used_and_the_old_client_closed(
        self, broker: SecuredBroker, process: PollingProcess, asked: Asked, tmp_path: Path
    ) -> None:
        old = broker.by_certificate()
        new = replace(old, tls=Tls(broker.security.ca_pem, *issued(broker, tmp_path)))
        assert await asked.by(process, old) == READ
        before = connections_to(broker.security.tls_servers, process)
        assert await asked.by(process, new) == READ
        process.forget(old)
        await until(lambda: connections_to(broker.security.tls_servers, process) <= before)
        assert await asked.by(process, new) == READ

    async def test_equal_connections_share_one_client_and_another_secret_is_another_one(
        self, broker: SecuredBroker, process: PollingProcess, asked: Asked
    ) -> None:
        with CountingProxy(broker.security.sasl_servers) as proxy:
            first, same, other = (
                replace(broker.by_password(Mechanism.PLAIN, password=password), bootstrap_servers=proxy.named_address)
                for password in ("wrong-one", "wrong-one", "wrong-two")
            )
            await asked.by(process, first)
            tried = proxy.accepted
            await asked.by(process, same)
            assert (tried > 0, proxy.accepted) == (True, tried), "the second waits with the first"
            await asked.by(process, other)
            assert proxy.accepted > tried


async def test_bad_credentials_are_tried_ever_more_seldom(
    broker: SecuredBroker, process: PollingProcess, asked: Asked
) -> None:
    """The pauses are 5 and 10 s. The library alone would have tried 20 times and more by then."""
    wrong = broker.by_password(Mechanism.SCRAM_SHA_256, password=WRONG)
    with CountingProxy(broker.security.sasl_servers) as proxy:
        proxied, began = replace(wrong, bootstrap_servers=proxy.named_address), time.monotonic()
        while time.monotonic() - began < 14:
            assert reason(await asked.by(process, proxied)) is Reason.AUTHENTICATION_FAILED
            await asyncio.sleep(0.2)
        assert 2 <= proxy.accepted <= 4


async def test_refused_clusters_delay_no_other(broker: SecuredBroker, process: PollingProcess, asked: Asked) -> None:
    good, numbers = broker.by_password(Mechanism.SCRAM_SHA_512), count()
    await timed(asked, process, good)

    async def are_no_delay() -> None:
        alone = [await timed(asked, process, good) for _ in range(10)]
        wrong = [broker.by_password(Mechanism.PLAIN, password=f"{WRONG}-{next(numbers)}") for _ in range(8)]
        polls = [asyncio.create_task(asked.by(process, connection)) for connection in wrong]
        beside = [await timed(asked, process, good) for _ in range(10)]
        assert {reason(said) for said in await asyncio.gather(*polls)} == {Reason.AUTHENTICATION_FAILED}
        assert median(beside) < 2 * median(alone) + 0.5

    await awaited_in_one_of_several_trials(are_no_delay)


async def test_secrets_are_in_no_argument_variable_or_log(
    broker: SecuredBroker, provider: Provider, process: PollingProcess, asked: Asked, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = [*broker.security.users.values(), ODD, WRONG, *broker.security.client_key_pem.splitlines()[1:-1]]
    connections = [broker.by_certificate(), broker.by_token(provider), broker.by_token(provider, secret=WRONG)]
    for connection in (*connections, broker.by_password(Mechanism.PLAIN, password=WRONG)):
        said = await asked.by(process, connection)
        brokers.ask(connection, [asked.partition], retention=True)
        shown = f"{said} {connection!r}"
        assert not [secret for secret in secrets if secret in shown]
    seen = caplog.text + "".join(Path(f"/proc/{process.pid}/{name}").read_text() for name in ("cmdline", "environ"))
    assert not [secret for secret in secrets if secret in seen]


def issued(broker: SecuredBroker, folder: Path) -> tuple[str, str]:
    """Another certificate of the operator, by the authority that the broker trusts."""
    for name in ("ca.crt", "ca.key", "openssl.cnf"):
        (folder / name).write_bytes((broker.security.pki / name).read_bytes())
    pki.issue(folder, "operator", "/CN=operator")
    return (folder / "operator.crt").read_text(), (folder / "operator.key").read_text()


def connections_to(servers: str, process: PollingProcess) -> int:
    """Established connections of the polling process to an address."""
    command = ["ss", "-Htnp", "state", "established", "dst", servers]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return sum(f"pid={process.pid}," in line for line in lines)
