"""The demo's manifests against the operator's models, and its load."""

from __future__ import annotations

import yaml

from kafka_consumer_scaler.api.v1alpha1 import KafkaConsumerScaler
from kafka_consumer_scaler.core.policy import DEFAULT_SCALE_DOWN, OffsetReset, Policy
from tests.demo import scene


def test_the_manifest_is_the_default_one_but_for_its_topic() -> None:
    body = yaml.safe_load(scene.scaler("10.0.0.2:9094"))
    body["metadata"] |= {"uid": "u", "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z"}
    policy = KafkaConsumerScaler.parse(body).policy()
    default = Policy(max_replicas=scene.PARTITIONS, topics=(scene.TOPIC,), offset_reset=OffsetReset.EARLIEST)
    assert policy == default
    assert policy.lag_seconds == scene.LAG_SECONDS


def test_the_consumer_is_that_of_the_examples_with_this_place_image_and_broker() -> None:
    ours = yaml.safe_load(scene.consumer("localhost/consumer:demo", "10.0.0.2:9094"))
    (container,) = ours["spec"]["template"]["spec"]["containers"]
    env = {variable["name"]: variable["value"] for variable in container["env"]}
    assert (ours["metadata"]["name"], ours["metadata"]["namespace"]) == (scene.DEPLOYMENT, scene.NAMESPACE)
    assert container["image"] == "localhost/consumer:demo"
    assert env["KAFKA_BOOTSTRAP_SERVERS"] == "10.0.0.2:9094"
    assert (env["TOPIC"], env["GROUP"], env["WORK_SECONDS"]) == (scene.TOPIC, scene.GROUP, "0.01")
    assert len(env) == len(container["env"])


def test_the_load_steps_up_fivefold_and_back_and_outlasts_the_scale_down_window() -> None:
    first, second, third = (float(step.split(":")[0]) for step in scene.STEPS.split(","))
    assert second == 5 * first == 5 * third
    assert scene.seconds_of(scene.STEPS.split(",")[-1]) > DEFAULT_SCALE_DOWN.stabilization_window_seconds
    assert scene.seconds_of(scene.STEPS) == 510
    assert scene.step_seconds() == 30
