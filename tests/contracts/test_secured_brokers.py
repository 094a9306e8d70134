"""A real broker that wants TLS, passwords, tokens and ACLs: who is let in, who is not, and what is said of it."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest
import pytest_asyncio
from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AclOperation,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Reading, TopicPartition, Unknown
from kafka_consumer_scaler.kafka import brokers
from kafka_consumer_scaler.kafka.connection import Connection, Mechanism, Tls
from kafka_consumer_scaler.kafka.polling_process import PollingProcess
from kafka_consumer_scaler.kafka.sample import GroupQuery
from tests.contracts.test_lag_source import Cluster, eventually, fresh
from tests.environment import Environment, Unsupported, pki
from tests.oidc import Provider, identity_provider
from tests.proxy import CountingProxy
from tests.secured import SecuredBroker, allow

pytestmark = pytest.mark.cluster
WAYS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "mutual TLS")
ODD = "s=e,c\"r'e${t} \\ [x];%41+:/ü#\t"
WRONG = "planted-wrong-secret"
DEADLINE_SECONDS = 20.0


@pytest.fixture(scope="module")
def broker(environment: Environment) -> SecuredBroker:
    try:
        return SecuredBroker.of(environment)
    except Unsupported as reason:
        pytest.skip(str(reason))


@pytest.fixture
def cluster(kafka_bootstrap_servers: str) -> Iterator[Cluster]:
    cluster = Cluster(kafka_bootstrap_servers)
    yield cluster
    cluster.clear()


@pytest.fixture
def provider(broker: SecuredBroker) -> Iterator[Provider]:
    with identity_provider(broker.security, {"operator": ODD, "stranger": "another-secret"}) as running:
        yield running


@pytest_asyncio.fixture
async def process() -> AsyncIterator[PollingProcess]:
    process = PollingProcess()
    await process.start()
    yield process
    await process.stop()


@pytest.fixture
def connect(broker: SecuredBroker, provider: Provider) -> Callable[[str], Connection]:
    """A connection by one of the ways."""

    def connection(way: str) -> Connection:
        if way == "mutual TLS":
            return broker.by_certificate()
        return broker.by_token(provider) if way == "OAUTHBEARER" else broker.by_password(Mechanism(way))

    return connection


class Asked:
    """A group that has read 3 of 10 records of a topic, and what a connection learns of it."""

    def __init__(self, cluster: Cluster) -> None:
        self.topic, self.group = cluster.topic(), fresh("group")
        cluster.produce(self.topic, 10)
        eventually(lambda: self._committed(cluster))
        self.partition = TopicPartition(self.topic, 0)

    def _committed(self, cluster: Cluster) -> bool:
        """A broker that has just started loads its coordinators first."""
        try:
            cluster.commit(self.group, self.topic, 3)
        except KafkaException:
            return False
        return True

    async def by(self, process: PollingProcess, connection: Connection) -> Reading | Unknown:
        query = GroupQuery(self.group, topics=(self.topic,))
        [sample] = await process.poll(connection, [query], DEADLINE_SECONDS)
        return sample.partitions if isinstance(sample.partitions, Unknown) else sample.partitions[self.partition]


@pytest.fixture
def asked(cluster: Cluster) -> Asked:
    return Asked(cluster)


READ = Reading(end=10, committed=3, start=0)


@pytest.mark.parametrize("way", WAYS)
async def test_offsets_are_read_by_every_way_in(
    way: str, connect: Callable[[str], Connection], process: PollingProcess, asked: Asked
) -> None:
    assert await asked.by(process, connect(way)) == READ


@pytest.mark.parametrize("way", WAYS)
def test_log_sizes_and_settings_are_told_by_every_way_in(
    way: str, connect: Callable[[str], Connection], asked: Asked
) -> None:
    told = brokers.ask(connect(way), [asked.partition], retention=True)
    assert told.log_bytes[asked.partition] > 0
    assert told.offsets_retention_seconds == 7 * 86_400


@pytest.mark.parametrize("mechanism", [Mechanism.SCRAM_SHA_256, Mechanism.SCRAM_SHA_512])
async def test_a_password_is_taken_to_the_letter(
    mechanism: Mechanism, broker: SecuredBroker, cluster: Cluster, process: PollingProcess, asked: Asked
) -> None:
    user = fresh("us,er=")
    set_password(cluster, mechanism, user, ODD)
    allow(cluster.servers, user, (ResourceType.GROUP, asked.group, AclOperation.DESCRIBE),
          (ResourceType.TOPIC, asked.topic, AclOperation.DESCRIBE),
          (ResourceType.BROKER, "kafka-cluster", AclOperation.DESCRIBE))  # fmt: skip
    assert await asked.by(process, broker.by_password(mechanism, user, ODD)) == READ
    assert reason(await asked.by(process, broker.by_password(mechanism, user, ODD[:-1]))) is (
        Reason.AUTHENTICATION_FAILED)  # fmt: skip
    told = brokers.ask(broker.by_password(mechanism, user, ODD), [asked.partition], retention=False)
    assert told.log_bytes[asked.partition] > 0


@pytest.mark.parametrize("way", WAYS[:4])
async def test_wrong_credentials_are_an_authentication_failure_that_does_not_show_them(
    way: str, broker: SecuredBroker, provider: Provider, process: PollingProcess, asked: Asked
) -> None:
    is_token = way == "OAUTHBEARER"
    connection = (
        broker.by_token(provider, secret=WRONG) if is_token else broker.by_password(Mechanism(way), password=WRONG)
    )
    said = await asked.by(process, connection)
    assert reason(said) is Reason.AUTHENTICATION_FAILED
    assert isinstance(said, Unknown)
    assert WRONG not in said.why
    assert "\n" not in said.why


async def test_a_token_of_somebody_else_is_an_authentication_failure(
    broker: SecuredBroker, provider: Provider, process: PollingProcess, asked: Asked, tmp_path: Path
) -> None:
    pki.make_signing_key(tmp_path, "foreign")
    key = (tmp_path / "foreign.key").read_text()
    with identity_provider(replace(broker.security, signing_key_pem=key), provider.clients) as foreign:
        said = await asked.by(process, broker.by_token(foreign))
    assert reason(said) is Reason.AUTHENTICATION_FAILED


class TestTls:
    """The broker must be who it says it is, and nothing is ever sent to one that is not."""

    async def test_an_unknown_authority_is_refused(
        self, broker: SecuredBroker, process: PollingProcess, asked: Asked, tmp_path: Path
    ) -> None:
        pki.make_authority(tmp_path / "foreign")
        foreign = Tls((tmp_path / "foreign" / "ca.crt").read_text())
        for tls in (foreign, Tls()):
            for connection in (broker.by_password(Mechanism.PLAIN), broker.by_certificate()):
                said = await asked.by(process, replace(connection, tls=tls))
                assert reason(said) is Reason.TLS_FAILED
            untrusting = replace(broker.by_password(Mechanism.PLAIN), tls=tls)
            assert brokers.ask(untrusting, [asked.partition], retention=True) == brokers.Told()

    async def test_a_name_that_the_certificate_does_not_have_is_refused(
        self, broker: SecuredBroker, process: PollingProcess, asked: Asked
    ) -> None:
        with CountingProxy(broker.security.sasl_servers) as proxy:
            elsewhere = replace(broker.by_password(Mechanism.PLAIN), bootstrap_servers=proxy.address)
            said = await asked.by(process, elsewhere)
            assert reason(said) is Reason.TLS_FAILED
            assert brokers.ask(elsewhere, [asked.partition], retention=True) == brokers.Told()

    async def test_one_broker_that_is_not_trusted_is_no_reason_against_the_others(
        self, broker: SecuredBroker, process: PollingProcess, asked: Asked
    ) -> None:
        good = broker.by_password(Mechanism.PLAIN)
        with CountingProxy(broker.security.sasl_servers) as proxy:
            for servers in (f"{proxy.address},{good.bootstrap_servers}", f"{good.bootstrap_servers},{proxy.address}"):
                assert await asked.by(process, replace(good, bootstrap_servers=servers)) == READ

    async def test_a_client_certificate_that_is_missing_or_of_an_unknown_authority_is_refused(
        self, broker: SecuredBroker, process: PollingProcess, asked: Asked, tmp_path: Path
    ) -> None:
        pki.make_authority(tmp_path / "foreign")
        pki.issue(tmp_path / "foreign", "operator", "/CN=operator")
        certificate, key = ((tmp_path / "foreign" / f"operator.{end}").read_text() for end in ("crt", "key"))
        for tls in (broker.tls, Tls(broker.security.ca_pem, certificate, key)):
            said = await asked.by(process, Connection(broker.security.tls_servers, tls))
            assert reason(said) is Reason.TLS_FAILED
            assert isinstance(said, Unknown)
            assert "certificate" in said.why

    async def test_what_is_no_certificate_is_an_invalid_secret_and_is_not_shown(
        self, broker: SecuredBroker, process: PollingProcess, asked: Asked
    ) -> None:
        security = broker.security
        for tls in (
            Tls("planted-nonsense"),
            Tls(security.ca_pem, security.client_certificate_pem, "planted-nonsense"),
            Tls(security.ca_pem, security.client_certificate_pem, security.signing_key_pem),
        ):
            said = await asked.by(process, Connection(security.tls_servers, tls))
            assert reason(said) is Reason.SECRET_INVALID
            assert isinstance(said, Unknown)
            assert "planted" not in said.why

    async def test_a_broker_without_tls_is_not_asked_without_it(
        self, broker: SecuredBroker, kafka_bootstrap_servers: str, process: PollingProcess, asked: Asked
    ) -> None:
        said = await asked.by(process, replace(broker.by_certificate(), bootstrap_servers=kafka_bootstrap_servers))
        assert reason(said) is Reason.BROKERS_UNREACHABLE


class TestAcls:
    """Who is let in may still not be allowed to look; what is missing is named."""

    async def test_a_group_that_may_not_be_seen_is_named(
        self, broker: SecuredBroker, process: PollingProcess, asked: Asked
    ) -> None:
        said = await asked.by(process, broker.by_password(Mechanism.SCRAM_SHA_512, "stranger"))
        assert reason(said) is Reason.NOT_AUTHORIZED
        assert isinstance(said, Unknown)
        assert f"group {asked.group}" in said.why

    async def test_a_topic_that_may_not_be_seen_is_named(
        self, broker: SecuredBroker, cluster: Cluster, process: PollingProcess, asked: Asked
    ) -> None:
        user = fresh("half")
        set_password(cluster, Mechanism.SCRAM_SHA_256, user, "half-password")
        allow(cluster.servers, user, (ResourceType.GROUP, asked.group, AclOperation.DESCRIBE))
        said = await asked.by(process, broker.by_password(Mechanism.SCRAM_SHA_256, user, "half-password"))
        assert reason(said) is Reason.NOT_AUTHORIZED
        assert isinstance(said, Unknown)
        assert f"topic {asked.topic}" in said.why


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
        connection = broker.by_token(provider)
        for _ in range(6):
            assert await asked.by(process, connection) == READ
            await asyncio.sleep(1)
        assert provider.asked >= 3

    async def test_a_provider_that_hangs_delays_no_other_cluster(
        self, broker: SecuredBroker, provider: Provider, process: PollingProcess, asked: Asked
    ) -> None:
        other = broker.by_password(Mechanism.SCRAM_SHA_256)
        assert await asked.by(process, other) == READ
        provider.released.clear()
        hanging = asyncio.create_task(asked.by(process, broker.by_token(provider)))
        times = []
        while not hanging.done():
            began = time.monotonic()
            assert await asked.by(process, other) == READ
            times.append(time.monotonic() - began)
            await asyncio.sleep(0.1)
        assert reason(await hanging) is Reason.IDENTITY_PROVIDER_UNREACHABLE
        assert len(times) > 10, "it hung for so little time that this shows nothing"
        assert max(times) < 1


    async def test_a_client_that_waits_for_its_next_token_is_let_go_without_delaying_another(
        self, broker: SecuredBroker, provider: Provider, process: PollingProcess, asked: Asked
    ) -> None:
        provider.life_seconds = 3
        other, waiting = broker.by_password(Mechanism.SCRAM_SHA_256), broker.by_token(provider)
        assert await asked.by(process, waiting) == READ
        assert await asked.by(process, other) == READ
        provider.released.clear()
        await asyncio.sleep(3)
        process.forget(waiting)
        assert max([await timed(asked, process, other) for _ in range(20)]) < 1


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
        before = connections_to(broker.security.tls_servers)
        assert await asked.by(process, new) == READ
        process.forget(old)
        await until(lambda: connections_to(broker.security.tls_servers) <= before)
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
    good = broker.by_password(Mechanism.SCRAM_SHA_512)
    await timed(asked, process, good)
    alone = [await timed(asked, process, good) for _ in range(10)]
    wrong = [broker.by_password(Mechanism.PLAIN, password=f"{WRONG}-{number}") for number in range(8)]
    polls = [asyncio.create_task(asked.by(process, connection)) for connection in wrong]
    beside = [await timed(asked, process, good) for _ in range(10)]
    assert {reason(said) for said in await asyncio.gather(*polls)} == {Reason.AUTHENTICATION_FAILED}
    assert median(beside) < median(alone) + 0.5


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


async def timed(asked: Asked, process: PollingProcess, connection: Connection) -> float:
    began = time.monotonic()
    assert await asked.by(process, connection) == READ
    return time.monotonic() - began


async def until(holds: Callable[[], bool], seconds: float = 10) -> None:
    limit = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < limit, f"not within {seconds} s"
        await asyncio.sleep(0.1)


def reason(said: Reading | Unknown) -> Reason:
    assert isinstance(said, Unknown), said
    return said.reason


def set_password(cluster: Cluster, mechanism: Mechanism, user: str, password: str) -> None:
    kind = ScramMechanism.SCRAM_SHA_256 if mechanism is Mechanism.SCRAM_SHA_256 else ScramMechanism.SCRAM_SHA_512
    change = UserScramCredentialUpsertion(user, ScramCredentialInfo(kind, 4096), password.encode())
    cluster.admin.alter_user_scram_credentials([change])[user].result()


def issued(broker: SecuredBroker, folder: Path) -> tuple[str, str]:
    """Another certificate of the operator, by the authority that the broker trusts."""
    for name in ("ca.crt", "ca.key", "openssl.cnf"):
        (folder / name).write_bytes((broker.security.pki / name).read_bytes())
    pki.issue(folder, "operator", "/CN=operator")
    return (folder / "operator.crt").read_text(), (folder / "operator.key").read_text()


def connections_to(servers: str) -> int:
    """Established connections of this host to an address."""
    command = ["ss", "-Htn", "state", "established", "dst", servers]
    return len(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines())
