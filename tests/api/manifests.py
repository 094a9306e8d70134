"""Manifests that the API server and `KafkaConsumerScaler.parse` must judge alike: one good, one full, and many bad."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

SMALLEST: dict[str, Any] = {
    "apiVersion": "kafka-consumer-scaler.dev/v1alpha1",
    "kind": "KafkaConsumerScaler",
    "metadata": {"name": "orders"},
    "spec": {
        "scaleTargetRef": {"name": "orders-consumer"},
        "kafka": {"bootstrapServers": "kafka:9092"},
        "consumerGroup": "orders",
        "maxReplicas": 12,
    },
}
FULL_SPEC: dict[str, Any] = {
    "scaleTargetRef": {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "orders.consumer"},
    "kafka": {
        "bootstrapServers": "kafka-0.kafka.svc:9092,10.0.0.7:9093,[2001:db8::7]:9094",
        "tls": {"caSecretRef": {"name": "kafka-ca", "key": "ca.pem"}, "certificateSecretRef": {"name": "orders-tls"}},
        "sasl": {
            "mechanism": "SCRAM-SHA-512",
            "usernameSecretRef": {"name": "orders", "key": "user"},
            "passwordSecretRef": {"name": "orders", "key": "password"},
        },
    },
    "consumerGroup": "команда/orders v2",
    "topics": ["orders", "orders.retry"],
    "minReplicas": 0,
    "maxReplicas": 24,
    "target": {"lagSeconds": 30.5, "lagPerReplica": 500, "activationLag": 10, "utilization": 0.7},
    "recoverySeconds": 120,
    "pollingIntervalSeconds": 5,
    "consumerThreads": 2,
    "offsetReset": "earliest",
    "isolationLevel": "read_uncommitted",
    "behavior": {
        "scaleUp": {
            "stabilizationWindowSeconds": 15,
            "cooldownSeconds": 10,
            "tolerance": 0.2,
            "policies": [
                {"type": "Pods", "value": 4, "periodSeconds": 60},
                {"type": "Percent", "value": 100, "periodSeconds": 60},
            ],
            "selectPolicy": "Min",
            "maxChangesPerHour": 6,
            "maxChangesPerDay": 20,
        },
        "scaleDown": {
            "stabilizationWindowSeconds": 600,
            "cooldownSeconds": 240,
            "tolerance": 0.05,
            "policies": [{"type": "Percent", "value": 10, "periodSeconds": 300}],
            "selectPolicy": "Disabled",
            "maxChangesPerHour": 4,
            "maxChangesPerDay": 4,
        },
    },
    "mode": "Advisory",
    "paused": True,
    "fallback": {"failureThreshold": 5, "replicas": 6, "behavior": "CurrentReplicasIfHigher"},
    "backpressure": {"quotas": [{"clientId": "orders-ingest", "minBytesPerSecond": 100_000},
                                {"user": "CN=shop", "minBytesPerSecond": 50_000}]},
}


@dataclass(frozen=True)
class Bad:
    """A change that spoils the smallest manifest: the field's path, its value, and what the answer must contain."""

    why: str
    path: str
    value: Any
    says: tuple[str, ...]


def with_field(path: str, value: Any) -> dict[str, Any]:
    """The smallest manifest with one field of the spec set; a value of `...` removes it."""
    manifest = copy.deepcopy(SMALLEST)
    *outer, last = path.split("/")
    place = manifest["spec"]
    for step in outer:
        place = place.setdefault(step, {})
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return manifest


PASSWORD = {"name": "kafka-user", "key": "password"}
SCRAM: dict[str, Any] = {"mechanism": "SCRAM-SHA-512", "username": "orders", "passwordSecretRef": PASSWORD}
OAUTH: dict[str, Any] = {
    "tokenEndpoint": "https://login.example.com/oauth2/token", "clientId": "orders", "clientSecretRef": PASSWORD,
}  # fmt: skip
BY_TOKEN: dict[str, Any] = {"mechanism": "OAUTHBEARER", "oauth": OAUTH}
BY_IAM: dict[str, Any] = {"mechanism": "AWS_MSK_IAM", "aws": {"region": "eu-central-1"}}
GOOD_WAYS: dict[str, dict[str, Any]] = {
    "TLS with the system's authorities": {"tls": {}},
    "TLS with an authority of its own": {"tls": {"caSecretRef": {"name": "kafka-ca"}}},
    "a client certificate": {"tls": {"certificateSecretRef": {"name": "orders-tls"}}},
    "SCRAM without TLS": {"sasl": SCRAM},
    "PLAIN": {"tls": {}, "sasl": SCRAM | {"mechanism": "PLAIN"}},
    "OAUTHBEARER": {"tls": {}, "sasl": BY_TOKEN},
    "OAUTHBEARER with everything": {
        "tls": {},
        "sasl": {
            "mechanism": "OAUTHBEARER",
            "oauth": OAUTH | {
                "scope": "kafka", "caSecretRef": {"name": "login-ca", "key": "tls.crt"},
                "extensions": [{"name": "logicalCluster", "value": "lkc-123"}, {"name": "poolId", "value": "p=1"}],
            },
        },
    },
    "IAM of AWS": {"tls": {}, "sasl": BY_IAM},
}  # fmt: skip
"""What may stand beside the bootstrap servers."""
GOOD_ENDPOINTS = (
    "https://login.example.com", "https://login:8443/token", "https://10.0.0.7/oauth2/v1/token?tenant=a%20b&x=1",
    "https://[2001:db8::7]:8443/token", "https://login.microsoftonline.com/0000-11/oauth2/v2.0/token",
)  # fmt: skip

SERVERS = "kafka/bootstrapServers"
NO_URL = ("spec.kafka.bootstrapServers", "bootstrapServers must be host:port pairs, not URLs")
NO_LIST = ("spec.kafka.bootstrapServers", "bootstrapServers must be a comma-separated list of host:port")
NO_METADATA = ("spec.kafka.bootstrapServers", "must not name link-local or cloud metadata addresses")
ONE_WAY = ("spec.kafka", "exactly one of bootstrapServers and connectionRef must be set")
NEEDS_TLS = ("spec.kafka", "sasl.mechanism PLAIN, OAUTHBEARER or AWS_MSK_IAM sends a secret and needs tls")
BY_PASSWORD = ("spec.kafka.sasl", "PLAIN and SCRAM need passwordSecretRef and one of username and usernameSecretRef")
NOT_HTTPS = ("spec.kafka.sasl.oauth.tokenEndpoint", "tokenEndpoint must be an https URL")
NO_METADATA_URL = ("spec.kafka.sasl.oauth.tokenEndpoint", "must not name link-local or cloud metadata addresses")
NO_SECRET_NAME = ("name must be a Secret's name",)
HOUR_OVER_DAY = (
    "maxChangesPerHour of spec.behavior must not be greater than maxChangesPerDay of the same direction",)
STEP = {"type": "Pods", "value": 1, "periodSeconds": 60}

BAD = (
    Bad("min above max", "minReplicas", 13, ("spec.minReplicas must not be greater than spec.maxReplicas",)),
    Bad("no maxReplicas", "maxReplicas", ..., ("spec.maxReplicas", "equired")),
    Bad("no target", "scaleTargetRef", ..., ("spec.scaleTargetRef", "equired")),
    Bad("no bootstrap servers", SERVERS, ..., ONE_WAY),
    Bad("no group", "consumerGroup", ..., ("spec.consumerGroup", "equired")),
    Bad("NaN as text", "target/lagSeconds", "NaN", ("spec.target.lagSeconds", "number")),
    Bad("a number beyond 64 bits", "maxReplicas", 10**23, ("spec.maxReplicas",)),
    Bad("a number as large as a float goes", "target/lagSeconds", 1e308, ("spec.target.lagSeconds", "604800")),
    Bad("more replicas than any cluster has", "maxReplicas", 10_001, ("spec.maxReplicas", "10000")),
    Bad("too much lag", "target/lagPerReplica", 10**12 + 1, ("spec.target.lagPerReplica", "less than or equal to 1")),
    Bad("zero maxReplicas", "maxReplicas", 0, ("spec.maxReplicas", "greater than or equal to 1")),
    Bad("negative minReplicas", "minReplicas", -1, ("spec.minReplicas", "greater than or equal to 0")),
    Bad("half a replica", "maxReplicas", 1.5, ("spec.maxReplicas", "integer")),
    Bad("a polling interval of a day", "pollingIntervalSeconds", 86400, ("spec.pollingIntervalSeconds", "3600")),
    Bad("no polling interval", "pollingIntervalSeconds", 0, ("spec.pollingIntervalSeconds", "equal to 1")),
    Bad("utilization over 1", "target/utilization", 1.01, ("spec.target.utilization", "less than or equal to 1")),
    Bad("an empty list of topics", "topics", [], ("spec.topics", "at least 1 item")),
    Bad("a topic without a name", "topics", [""], ("spec.topics[0]", "at least 1 char")),
    Bad("a topic twice", "topics", ["orders", "orders"], ("spec.topics",)),
    Bad("a topic that cannot be", "topics", ["orders", "a b"], ("spec.topics[1]", "a topic's name is made of letters")),
    Bad("a pattern that does not compile", "topicPattern", "orders(", ("spec.topicPattern must be a regular",)),
    Bad("an empty pattern", "topicPattern", "", ("spec.topicPattern", "at least 1 char")),
    Bad("control characters in the group", "consumerGroup", "a\nb", ("spec.consumerGroup must not contain control",)),
    Bad("an empty group", "consumerGroup", "", ("spec.consumerGroup", "at least 1 char")),
    Bad("a file", SERVERS, "file:///etc/passwd", NO_URL),
    Bad("a protocol", SERVERS, "SASL_SSL://kafka:9092", NO_URL),
    Bad("a metadata URL", SERVERS, "http://169.254.169.254/latest", NO_URL),
    Bad("the metadata address", SERVERS, "169.254.169.254:80", NO_METADATA),
    Bad("the metadata address in second place", SERVERS, "kafka:9092,169.254.169.254:80", NO_METADATA),
    Bad("the metadata address mapped into IPv6", SERVERS, "[::ffff:169.254.169.254]:80", NO_METADATA),
    Bad("the metadata address mapped, in hexadecimal", SERVERS, "[::FFFF:A9FE:A9FE]:80", NO_METADATA),
    Bad("an IPv6 link-local address", SERVERS, "[fe80::1]:9092", NO_METADATA),
    Bad("the metadata address in IPv6", SERVERS, "[fd00:ec2::254]:80", NO_METADATA),
    Bad("the metadata address as a number", SERVERS, "2852039166:80", NO_LIST),
    Bad("the metadata address in hexadecimal", SERVERS, "0xa9fea9fe:80", NO_LIST),
    Bad("the metadata address in octal", SERVERS, "0251.0376.0251.0376:80", NO_LIST),
    Bad("no port", SERVERS, "kafka", NO_LIST),
    Bad("port 65536", SERVERS, "kafka:65536", NO_LIST),
    Bad("port 0", SERVERS, "kafka:0", NO_LIST),
    Bad("spaces between servers", SERVERS, "kafka-0:9092, kafka-1:9092", NO_LIST),
    Bad("a line break after a server", SERVERS, "kafka:9092\n", NO_LIST),
    Bad("servers and a connection", "kafka/connectionRef", {"name": "shop"}, ONE_WAY),
    Bad("TLS beside a connection", "kafka", {"connectionRef": {"name": "shop"}, "tls": {}},
        ("spec.kafka", "tls and sasl belong to bootstrapServers")),
    Bad("SASL beside a connection", "kafka", {"connectionRef": {"name": "shop"}, "sasl": SCRAM},
        ("spec.kafka", "tls and sasl belong to bootstrapServers")),
    Bad("a connection of an unknown kind", "kafka", {"connectionRef": {"kind": "Secret", "name": "shop"}},
        ("spec.kafka.connectionRef.kind", "KafkaConnection", "ClusterKafkaConnection")),
    Bad("a path as a connection", "kafka", {"connectionRef": {"name": "../shop"}},
        ("spec.kafka.connectionRef.name", "name must be the connection's name")),
    Bad("a connection without a name", "kafka", {"connectionRef": {}}, ("spec.kafka.connectionRef.name", "equired")),
    Bad("PLAIN in the clear", "kafka/sasl", SCRAM | {"mechanism": "PLAIN"}, NEEDS_TLS),
    Bad("a token in the clear", "kafka/sasl", BY_TOKEN, NEEDS_TLS),
    Bad("IAM in the clear", "kafka/sasl", BY_IAM, NEEDS_TLS),
    Bad("an unknown mechanism", "kafka/sasl", SCRAM | {"mechanism": "GSSAPI"}, ("spec.kafka.sasl.mechanism", "PLAIN")),
    Bad("SASL without a mechanism", "kafka/sasl", {"username": "orders"}, ("spec.kafka.sasl.mechanism", "equired")),
    Bad("SCRAM without a password", "kafka/sasl", {"mechanism": "SCRAM-SHA-256", "username": "x"}, BY_PASSWORD),
    Bad("SCRAM without a user", "kafka/sasl", {"mechanism": "SCRAM-SHA-256", "passwordSecretRef": PASSWORD},
        BY_PASSWORD),
    Bad("SCRAM with two users", "kafka/sasl", SCRAM | {"usernameSecretRef": PASSWORD}, BY_PASSWORD),
    Bad("a token and a password", "kafka/sasl", BY_TOKEN | {"passwordSecretRef": PASSWORD}, BY_PASSWORD),
    Bad("SCRAM with a token", "kafka/sasl", SCRAM | {"oauth": OAUTH}, ("spec.kafka.sasl", "OAUTHBEARER needs oauth")),
    Bad("OAUTHBEARER without a token", "kafka/sasl", {"mechanism": "OAUTHBEARER"},
        ("spec.kafka.sasl", "OAUTHBEARER needs oauth")),
    Bad("SCRAM with a region", "kafka/sasl", SCRAM | {"aws": BY_IAM["aws"]}, ("spec.kafka.sasl", "AWS_MSK_IAM needs")),
    Bad("IAM without a region", "kafka/sasl", {"mechanism": "AWS_MSK_IAM"}, ("spec.kafka.sasl", "AWS_MSK_IAM needs")),
    Bad("no region of AWS", "kafka/sasl", BY_IAM | {"aws": {"region": "evil.example.com/"}},
        ("spec.kafka.sasl.aws.region", "region must be a region of AWS")),
    Bad("control characters in a user", "kafka/sasl", SCRAM | {"username": "a\x00b"},
        ("spec.kafka.sasl.username", "must not contain control characters")),
    Bad("an empty user", "kafka/sasl", SCRAM | {"username": ""}, ("spec.kafka.sasl.username", "at least 1 char")),
    Bad("a password without a key", "kafka/sasl", SCRAM | {"passwordSecretRef": {"name": "kafka-user"}},
        ("spec.kafka.sasl.passwordSecretRef.key", "equired")),
    Bad("a path as a Secret", "kafka/sasl", SCRAM | {"passwordSecretRef": PASSWORD | {"name": "../kube-system/x"}},
        ("spec.kafka.sasl.passwordSecretRef.name", *NO_SECRET_NAME)),
    Bad("a path as a key", "kafka/sasl", SCRAM | {"passwordSecretRef": PASSWORD | {"key": "a/b"}},
        ("spec.kafka.sasl.passwordSecretRef.key", "key must be a key of a Secret")),
    Bad("a Secret with an authority, in capitals", "kafka/tls", {"caSecretRef": {"name": "CA"}},
        ("spec.kafka.tls.caSecretRef.name", *NO_SECRET_NAME)),
    Bad("a certificate without a name", "kafka/tls", {"certificateSecretRef": {}},
        ("spec.kafka.tls.certificateSecretRef.name", "equired")),
    *(Bad(f"a token from {why}", "kafka/sasl", BY_TOKEN | {"oauth": OAUTH | {"tokenEndpoint": url}}, says)
      for why, url, says in (
          ("a file", "file:///etc/shadow", NOT_HTTPS),
          ("plain http", "http://login.example.com/token", NOT_HTTPS),
          ("a URL with a user", "https://me:word@login.example.com/token", NOT_HTTPS),
          ("a URL with a fragment", "https://login.example.com/token#x", NOT_HTTPS),
          ("a URL with a space", "https://login.example.com/a b", NOT_HTTPS),
          ("a number as a host", "https://2852039166/token", NOT_HTTPS),
          ("port 0", "https://login.example.com:0/token", NOT_HTTPS),
          ("the metadata address", "https://169.254.169.254/latest", NO_METADATA_URL),
          ("the metadata address mapped into IPv6", "https://[::ffff:a9fe:a9fe]/", NO_METADATA_URL),
          ("the metadata name", "https://metadata.google.internal/computeMetadata", NO_METADATA_URL),
      )),
    Bad("an extension that takes the token's place", "kafka/sasl",
        BY_TOKEN | {"oauth": OAUTH | {"extensions": [{"name": "auth", "value": "x"}]}},
        ("spec.kafka.sasl.oauth.extensions[0].name", "an extension must not be named auth")),
    Bad("an extension with a comma", "kafka/sasl",
        BY_TOKEN | {"oauth": OAUTH | {"extensions": [{"name": "a", "value": "x,b=y"}]}},
        ("spec.kafka.sasl.oauth.extensions[0].value", "printable ASCII characters without space and comma")),
    Bad("an extension twice", "kafka/sasl",
        BY_TOKEN | {"oauth": OAUTH | {"extensions": [{"name": "a", "value": "x"}] * 2}},
        ("spec.kafka.sasl.oauth",)),
    Bad("a core workload", "scaleTargetRef/apiVersion", "v1", ("spec.scaleTargetRef.apiVersion must be group/",)),
    Bad("a path as kind", "scaleTargetRef/kind", "Deployment/x", ("spec.scaleTargetRef.kind must be a kind",)),
    Bad("a path as name", "scaleTargetRef/name", "../secrets/x", ("spec.scaleTargetRef.name must be an object",)),
    Bad("a name in capitals", "scaleTargetRef/name", "Orders", ("spec.scaleTargetRef.name must be an object's name",)),
    Bad("fallback over max", "fallback", {"failureThreshold": 3, "replicas": 13}, ("spec.fallback.replicas must be",)),
    Bad("fallback under min", "fallback", {"failureThreshold": 3, "replicas": 0}, ("spec.fallback.replicas must be",)),
    Bad("unknown fallback behavior", "fallback", {"failureThreshold": 3, "replicas": 3, "behavior": "Highest"},
        ("spec.fallback.behavior",)),
    Bad("half a fallback", "fallback", {"replicas": 3}, ("spec.fallback.failureThreshold", "equired")),
    Bad("activation without zero", "target/activationLag", 5, ("spec.target.activationLag counts only at zero",)),
    Bad("an unknown mode", "mode", "Auto", ("spec.mode", "Active", "Advisory")),
    Bad("an unknown reset", "offsetReset", "smallest", ("spec.offsetReset", "earliest", "latest", "none")),
    Bad("a window of a day", "behavior/scaleDown/stabilizationWindowSeconds", 86400,
        ("spec.behavior.scaleDown.stabilizationWindowSeconds", "3600")),
    Bad("no change an hour", "behavior/scaleUp/maxChangesPerHour", 0,
        ("spec.behavior.scaleUp.maxChangesPerHour", "greater than or equal to 1")),
    Bad("more changes a day than are remembered", "behavior/scaleDown/maxChangesPerDay", 1001,
        ("spec.behavior.scaleDown.maxChangesPerDay", "1000")),
    Bad("more changes an hour than a day, up", "behavior/scaleUp", {"maxChangesPerHour": 5, "maxChangesPerDay": 4},
        ("spec.behavior.scaleUp", *HOUR_OVER_DAY)),
    Bad("more changes an hour than a day, down", "behavior/scaleDown", {"maxChangesPerHour": 5, "maxChangesPerDay": 4},
        ("spec.behavior.scaleDown", *HOUR_OVER_DAY)),
    Bad("an unknown step", "behavior/scaleUp/policies", [STEP | {"type": "Nodes"}],
        ("spec.behavior.scaleUp.policies[0].type", "Pods", "Percent")),
    Bad("a step without a period", "behavior/scaleUp/policies", [STEP | {"periodSeconds": 0}],
        ("spec.behavior.scaleUp.policies[0].periodSeconds", "greater than or equal to 1")),
    Bad("too many steps", "behavior/scaleUp/policies", [STEP] * 11,
        ("spec.behavior.scaleUp.policies", "at most 10 items")),
    Bad("a quota of nobody", "backpressure", {"quotas": [{"minBytesPerSecond": 1}]},
        ("spec.backpressure.quotas[0]", "names either clientId or user")),
    Bad("a quota of two kinds", "backpressure",
        {"quotas": [{"minBytesPerSecond": 1, "clientId": "web", "user": "web"}]},
        ("spec.backpressure.quotas[0]", "names either clientId or user")),
    Bad("a quota without a floor", "backpressure", {"quotas": [{"clientId": "web"}]},
        ("spec.backpressure.quotas[0].minBytesPerSecond", "equired")),
    Bad("a floor of nothing", "backpressure", {"quotas": [{"clientId": "web", "minBytesPerSecond": 0}]},
        ("spec.backpressure.quotas[0].minBytesPerSecond", "greater than or equal to 1")),
    Bad("a client id twice", "backpressure", {"quotas": [{"clientId": "web", "minBytesPerSecond": 1}] * 2},
        ("must not name a client id or a user twice",)),
    Bad("no quotas in the list", "backpressure", {"quotas": []}, ("spec.backpressure.quotas", "at least 1 item")),
    Bad("too many quotas", "backpressure",
        {"quotas": [{"clientId": f"web-{number}", "minBytesPerSecond": 1} for number in range(11)]},
        ("spec.backpressure.quotas", "at most 10 items")),
    Bad("a client id in two lines", "backpressure", {"quotas": [{"clientId": "a\nb", "minBytesPerSecond": 1}]},
        ("spec.backpressure.quotas[0].clientId", "must not contain control characters")),
)  # fmt: skip

UNKNOWN_FIELDS = (
    Bad("a field of another namespace", "scaleTargetRef/namespace", "kube-system", ("spec.scaleTargetRef.namespace",)),
    Bad("a namespace beside Kafka", "kafka/namespace", "kube-system", ("spec.kafka.namespace",)),
    Bad("a plugin", "kafka/plugin.library.paths", "/tmp/evil.so", ("spec.kafka.plugin.library.paths",)),
    Bad("a file to read", "kafka/ssl.ca.location", "/etc/shadow", ("spec.kafka.ssl.ca.location",)),
    Bad("free properties", "kafka/config", {"debug": "all"}, ("spec.kafka.config",)),
    Bad("a namespace beside a Secret", "kafka/tls/caSecretRef", {"name": "ca", "namespace": "kube-system"},
        ("spec.kafka.tls.caSecretRef.namespace",)),
    Bad("a switch that turns verification off", "kafka/tls/insecureSkipVerify", True,
        ("spec.kafka.tls.insecureSkipVerify",)),
    Bad("a file with an authority", "kafka/tls/caFile", "/etc/shadow", ("spec.kafka.tls.caFile",)),
    Bad("a misspelt field", "maxReplica", 3, ("spec.maxReplica",)),
)

CONNECTION: dict[str, Any] = {
    "apiVersion": "kafka-consumer-scaler.dev/v1alpha1",
    "kind": "KafkaConnection",
    "metadata": {"name": "shop"},
    "spec": {"bootstrapServers": "kafka:9093", "tls": {}, "sasl": SCRAM},
}
CLUSTER_CONNECTION: dict[str, Any] = CONNECTION | {
    "kind": "ClusterKafkaConnection",
    "spec": CONNECTION["spec"] | {"allowedNamespaces": ["shop", "billing"]},
}
BAD_CONNECTIONS = (
    Bad("no servers", "bootstrapServers", ..., ("spec.bootstrapServers", "equired")),
    Bad("a URL", "bootstrapServers", "http://kafka:9092", ("spec.bootstrapServers", "must be host:port pairs")),
    Bad("a connection in a connection", "connectionRef", {"name": "other"}, ("connectionRef",)),
    Bad("PLAIN in the clear", "tls", ..., ("spec", "sends a secret and needs tls")),
)
BAD_NAMESPACES = (
    Bad("nobody is said to be allowed", "allowedNamespaces", ..., ("spec.allowedNamespaces", "equired")),
    Bad("nobody is allowed", "allowedNamespaces", [], ("spec.allowedNamespaces", "at least 1 item")),
    Bad("a pattern", "allowedNamespaces", ["team-*"], ("spec.allowedNamespaces[0]", "a namespace's name is made of")),
    Bad("a list in a name", "allowedNamespaces", ["shop,billing"], ("spec.allowedNamespaces[0]",)),
)


def with_connection_field(manifest: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The connection, which authenticates by PLAIN, with one field of the spec set; a value of `...` removes it."""
    spec = copy.deepcopy(manifest["spec"]) | {"sasl": SCRAM | {"mechanism": "PLAIN"}, path: value}
    return manifest | {"spec": {name: field for name, field in spec.items() if field is not ...}}
