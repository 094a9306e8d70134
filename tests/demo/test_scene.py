"""The demo's manifests against the operator's models, and its load."""

from __future__ import annotations

import yaml

from kafka_consumer_scaler.api.v1alpha1 import KafkaConsumerScaler
from tests.demo import scene


def test_the_manifest_is_valid_and_says_what_the_figures_count_with() -> None:
    body = yaml.safe_load(scene.scaler("10.0.0.2:9094"))
    body["metadata"] |= {"uid": "u", "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z"}
    policy = KafkaConsumerScaler.parse(body).policy()
    assert policy.polling_interval_seconds == scene.POLLING_SECONDS
    assert policy.lag_per_replica_target == scene.LAG_PER_REPLICA
    assert policy.scale_up.tolerance == scene.TOLERANCE
    assert policy.max_replicas == scene.PARTITIONS


def test_the_consumer_is_that_of_the_examples_with_this_place_image_and_broker() -> None:
    ours = yaml.safe_load(scene.consumer("localhost/consumer:demo", "10.0.0.2:9094"))
    (container,) = ours["spec"]["template"]["spec"]["containers"]
    env = {variable["name"]: variable["value"] for variable in container["env"]}
    assert (ours["metadata"]["name"], ours["metadata"]["namespace"]) == (scene.DEPLOYMENT, scene.NAMESPACE)
    assert container["image"] == "localhost/consumer:demo"
    assert env["KAFKA_BOOTSTRAP_SERVERS"] == "10.0.0.2:9094"
    assert (env["TOPIC"], env["GROUP"], env["WORK_SECONDS"]) == (scene.TOPIC, scene.GROUP, "0.01")
    assert len(env) == len(container["env"])


def test_the_load_steps_up_fivefold_and_back_in_less_than_six_minutes() -> None:
    first, second, third = (float(step.split(":")[0]) for step in scene.STEPS.split(","))
    assert second == 5 * first == 5 * third
    assert scene.seconds_of(scene.STEPS) == 340
