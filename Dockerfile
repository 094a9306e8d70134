# The operator's image. Any base with Python 3.11 or newer, its venv module and CA certificates will do.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS build
# The base's own CA certificates, so that a mirror behind a private CA works; PIP_INDEX_URL names the mirror.
ARG PIP_INDEX_URL
# `aws`: with what AWS_MSK_IAM needs, of requirements-aws.lock. Empty: without.
ARG EXTRA
# Wheels only: no dependency's own code runs while the image is built.
ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt PIP_ONLY_BINARY=:all: PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
# Two environments: /opt/build has pip and the build backend, /opt/kafka-consumer-scaler only what the operator imports.
RUN python3 -m venv /opt/build && python3 -m venv --without-pip /opt/kafka-consumer-scaler
COPY requirements-build.lock requirements.lock requirements-aws.lock ./
RUN /opt/build/bin/pip install --require-hashes -r requirements-build.lock
RUN /opt/build/bin/pip --python /opt/kafka-consumer-scaler/bin/python install --require-hashes -r "requirements${EXTRA:+-$EXTRA}.lock"
COPY pyproject.toml README.md LICENSE ./
COPY operator operator
RUN /opt/build/bin/hatchling build -t wheel -d dist \
    && /opt/build/bin/pip --python /opt/kafka-consumer-scaler/bin/python install --no-deps dist/*.whl

FROM ${BASE_IMAGE}
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="kafka-consumer-scaler" \
      org.opencontainers.image.description="Scales Kafka consumers on Kubernetes by the lag of their group, and says why" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
# pip compiled every module: nothing has to be written at run time. USER gives the arbitrary user ids of some platforms a name.
ENV PATH=/opt/kafka-consumer-scaler/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 USER=kafka-consumer-scaler
COPY --from=build /opt/kafka-consumer-scaler /opt/kafka-consumer-scaler
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["kafka-consumer-scaler"]
CMD ["run"]
