"""Tokens for Amazon MSK: a signed question that the broker puts to AWS, so that no secret is stored anywhere.

The identity is the operator's own, found by AWS's usual chain (environment, profile, web identity of the service
account, container, machine).
"""

from __future__ import annotations

import base64
import time
from typing import Any

from kafka_consumer_scaler.core.reasons import Reason
from kafka_consumer_scaler.core.snapshot import Unknown
from kafka_consumer_scaler.kafka.tokens import Token

LIFE_SECONDS = 900
SIGN_SECONDS = 10.0
ACTION = "/?Action=kafka-cluster%3AConnect"
AGENT = "&User-Agent=kafka-consumer-scaler"


def signed_token(region: str, provider: Any = None) -> Token | Unknown:
    """A token for the brokers of a region.

    Args:
        provider: AWS credentials; the usual chain by default.
    """
    try:
        from awscrt import auth, http  # 9 MiB, and an extra
    except ImportError:
        why = "AWS_MSK_IAM needs the package awscrt: install kafka-consumer-scaler[aws]"
        return Unknown(why, Reason.AUTHENTICATION_FAILED)
    request = http.HttpRequest("GET", ACTION)
    host = f"kafka.{region}.amazonaws.com"
    request.headers.add("host", host)
    signing = auth.AwsSigningConfig(
        algorithm=auth.AwsSigningAlgorithm.V4,
        signature_type=auth.AwsSignatureType.HTTP_REQUEST_QUERY_PARAMS,
        credentials_provider=provider or auth.AwsCredentialsProvider.new_default_chain(),
        region=region, service="kafka-cluster", expiration_in_seconds=LIFE_SECONDS,
    )  # fmt: skip
    try:
        auth.aws_sign_request(request, signing).result(SIGN_SECONDS)
    except Exception as problem:  # one class for each of its error codes
        name = getattr(problem, "name", type(problem).__name__)
        return Unknown(f"AWS credentials: {name}", Reason.IDENTITY_PROVIDER_UNREACHABLE)
    url = f"https://{host}{request.path}{AGENT}"
    value = base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")
    return Token(value, time.time() + LIFE_SECONDS, time.monotonic() + LIFE_SECONDS / 2)
