# The images of the system, one target each: api, worker, migrate, cli and lambda; for development temporal, api-dev and
# worker-dev.
#
#   docker build --target api --tag order-lifecycle-api .
#
# For builds that are the same next year, pin the base by its digest: --build-arg PYTHON_IMAGE=python:3.13-slim@sha256:…
# Another index of packages, or a proxy: --secret id=pipconf,src=pip.conf, which stays out of every layer.
ARG PYTHON_IMAGE=python:3.13-slim

# What is built with, and is in no image.
FROM ${PYTHON_IMAGE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_COMPILE=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv --without-pip /opt/venv
WORKDIR /app

# The project's own name and version, which it tells in traces and metrics, and the `orders` command; not its packages.
FROM build AS project
COPY requirements/build.txt ./
RUN --mount=type=secret,id=pipconf,target=/etc/pip.conf \
    python -m venv --without-pip /opt/build \
    && pip --python /opt/build install --only-binary :all: --require-hashes --requirement build.txt
COPY pyproject.toml README.md LICENSE ./
RUN /opt/build/bin/python -c "from hatchling.build import build_wheel; build_wheel('/wheels')" \
    && pip --python /opt/venv install --no-index --no-deps --root /project /wheels/*.whl

# Writes down what is in each image, and is in none.
FROM build AS sbom
COPY requirements/sbom.txt ./
RUN --mount=type=secret,id=pipconf,target=/etc/pip.conf \
    python -m venv --without-pip /opt/sbom \
    && pip --python /opt/sbom install --only-binary :all: --require-hashes --requirement sbom.txt
COPY infra/images/sbom.sh pyproject.toml /opt/sbom/

FROM build AS locked
COPY infra/images/install.sh ./

FROM locked AS api-packages
COPY requirements/api.txt ./
RUN --mount=type=secret,id=pipconf,target=/etc/pip.conf ./install.sh api

FROM api-packages AS api-sbom
COPY --from=sbom /opt/sbom /opt/sbom
COPY --from=project /project /
RUN /opt/sbom/sbom.sh

FROM locked AS worker-packages
COPY requirements/workers.txt ./
RUN --mount=type=secret,id=pipconf,target=/etc/pip.conf ./install.sh workers

FROM worker-packages AS worker-sbom
COPY --from=sbom /opt/sbom /opt/sbom
COPY --from=project /project /
RUN /opt/sbom/sbom.sh

FROM locked AS migrate-packages
COPY requirements/migrations.txt ./
RUN --mount=type=secret,id=pipconf,target=/etc/pip.conf ./install.sh migrations

FROM migrate-packages AS migrate-sbom
COPY --from=sbom /opt/sbom /opt/sbom
COPY --from=project /project /
RUN /opt/sbom/sbom.sh

FROM locked AS cli-packages
COPY requirements/client.txt ./
RUN --mount=type=secret,id=pipconf,target=/etc/pip.conf ./install.sh client

FROM cli-packages AS cli-sbom
COPY --from=sbom /opt/sbom /opt/sbom
COPY --from=project /project /
RUN /opt/sbom/sbom.sh

FROM locked AS lambda-packages
COPY requirements/lambda.txt requirements/runtime.txt ./
RUN --mount=type=secret,id=pipconf,target=/etc/pip.conf ./install.sh lambda runtime

FROM lambda-packages AS lambda-sbom
COPY --from=sbom /opt/sbom /opt/sbom
COPY --from=project /project /
RUN /opt/sbom/sbom.sh

FROM build AS temporal-packages
COPY requirements/temporal.txt ./
RUN --mount=type=secret,id=pipconf,target=/etc/pip.conf \
    pip --python /opt/venv install --only-binary :all: --require-hashes --requirement temporal.txt \
    && mkdir /data

# Sources are compared with what was compiled from them: `skaffold dev` puts new ones in their place. Whatever the
# modes in the checkout are, anybody may read them.
FROM build AS sources
COPY api ./api
COPY cli ./cli
COPY migrations ./migrations
COPY orders ./orders
COPY workers ./workers
RUN python -m compileall -q --invalidation-mode checked-hash . && chmod -R u=rwX,go=rX .

# What the images of our processes share. No HEALTHCHECK: Kubernetes, for which they are made, has probes of its own and
# ignores it, and each check would start a Python.
FROM ${PYTHON_IMAGE} AS runtime
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      order-lifecycle.sbom="/usr/share/sbom/order-lifecycle.cdx.json"
ENV PATH="/opt/venv/bin:${PATH}" PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
COPY --from=project /project /
STOPSIGNAL SIGTERM
# A number, since Kubernetes can't tell that a name is not root's; it is nobody's on the node. The name is for those who
# ask who they are, such as a DATABASE_URL without a user: /etc/passwd does not say.
USER 65532:65532
ENV USER=orders

FROM runtime AS api
LABEL org.opencontainers.image.title="order-lifecycle-api" \
      org.opencontainers.image.description="The HTTP service of the order lifecycle."
# A container's own loopback is of no use to anybody outside.
ENV API_HOST=0.0.0.0 OTEL_EXPORTER_PROMETHEUS_HOST=0.0.0.0
COPY --from=api-packages /opt/venv /opt/venv
COPY --from=api-sbom /usr/share/sbom /usr/share/sbom
COPY --from=sources /app/orders ./orders
COPY --from=sources /app/api ./api
EXPOSE 8000 9464
ENTRYPOINT ["python", "-m", "api"]

# The API as a function of AWS Lambda, which asks for events by itself. AWS runs it as a user of its own, who may write to
# /tmp only. AWS's emulator, which takes such events by HTTP on one's own machine, is not in it: mount it, and make it the
# entrypoint (https://github.com/aws/aws-lambda-runtime-interface-emulator).
FROM runtime AS lambda
LABEL org.opencontainers.image.title="order-lifecycle-lambda" \
      org.opencontainers.image.description="The HTTP service of the order lifecycle as a function of AWS Lambda."
COPY --from=lambda-packages /opt/venv /opt/venv
COPY --from=lambda-sbom /usr/share/sbom /usr/share/sbom
COPY --from=sources /app/orders ./orders
COPY --from=sources /app/api ./api
ENTRYPOINT ["python", "-m", "awslambdaric"]
CMD ["api.lambda_handler.handler"]

FROM runtime AS worker
LABEL org.opencontainers.image.title="order-lifecycle-worker" \
      org.opencontainers.image.description="The workers of the order lifecycle; the arguments are the queues."
ENV WORKER_HEALTH_HOST=0.0.0.0 OTEL_EXPORTER_PROMETHEUS_HOST=0.0.0.0
COPY --from=worker-packages /opt/venv /opt/venv
COPY --from=worker-sbom /usr/share/sbom /usr/share/sbom
COPY --from=sources /app/orders ./orders
COPY --from=sources /app/workers ./workers
EXPOSE 8081 9464
ENTRYPOINT ["python", "-m", "workers"]

FROM runtime AS migrate
LABEL org.opencontainers.image.title="order-lifecycle-migrate" \
      org.opencontainers.image.description="Brings the database of the order lifecycle up to date."
COPY --from=migrate-packages /opt/venv /opt/venv
COPY --from=migrate-sbom /usr/share/sbom /usr/share/sbom
COPY --from=sources /app/orders ./orders
COPY --from=sources /app/migrations ./migrations
ENTRYPOINT ["python", "-m", "migrations"]

FROM runtime AS cli
LABEL org.opencontainers.image.title="order-lifecycle-cli" \
      org.opencontainers.image.description="The orders command, for an API that runs elsewhere."
COPY --from=cli-packages /opt/venv /opt/venv
COPY --from=cli-sbom /usr/share/sbom /usr/share/sbom
COPY --from=sources /app/orders ./orders
COPY --from=sources /app/cli ./cli
ENTRYPOINT ["orders"]

# The API and a worker that start anew when `skaffold dev` puts files in the place of theirs.
FROM build AS reload-packages
COPY requirements/reload.txt infra/images/reload.py ./
RUN --mount=type=secret,id=pipconf,target=/etc/pip.conf \
    python -m venv --without-pip /opt/reload \
    && pip --python /opt/reload install --only-binary :all: --require-hashes --requirement reload.txt \
    && install -m 0644 reload.py /opt/reload/

FROM api AS api-dev
COPY --from=reload-packages /opt/reload /opt/reload
ENTRYPOINT ["/opt/reload/bin/python", "/opt/reload/reload.py", "api"]

FROM worker AS worker-dev
COPY --from=reload-packages /opt/reload /opt/reload
ENTRYPOINT ["/opt/reload/bin/python", "/opt/reload/reload.py", "workers"]

# Temporal's own development server, which is one static program: for development only.
FROM scratch AS temporal
LABEL org.opencontainers.image.title="order-lifecycle-temporal" \
      org.opencontainers.image.description="Temporal's development server, for development only." \
      org.opencontainers.image.licenses="MIT"
COPY --from=temporal-packages /opt/venv/bin/temporal /temporal
COPY --from=temporal-packages --chown=65532:65532 /data /data
STOPSIGNAL SIGTERM
USER 65532:65532
# There is no /etc/passwd to look the number up in.
ENV USER=temporal
VOLUME ["/data"]
EXPOSE 7233 8233
ENTRYPOINT ["/temporal", "server", "start-dev", "--ip", "0.0.0.0", "--db-filename", "/data/temporal.db", "--log-level", "warn"]
