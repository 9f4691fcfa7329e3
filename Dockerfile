# Two images. `service` has no PyTorch and runs everything but the training: service, scheduler, migration, certificates.
# `worker` has it, with the CUDA libraries that its wheels bring, and trains on a processor or an NVIDIA GPU.

FROM python:3.11.13-slim-trixie AS base
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1

FROM base AS tools
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY requirements.txt pyproject.toml ./
# What builds and installs, pinned with the rest.
RUN awk '/^[^ #]/ { wanted = /^(setuptools|uv)==/ } wanted' requirements.txt >/tools.txt \
    && python -m venv /opt/tools \
    && /opt/tools/bin/pip install --no-cache-dir --no-deps --require-hashes --requirement /tools.txt \
    && /opt/tools/bin/uv venv --no-cache --python /usr/local/bin/python3 /opt/goldenbench

FROM tools AS wheel
COPY LICENSE README.md setup.py ./
COPY studies studies
COPY workers workers
COPY service service
RUN /opt/tools/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels .

FROM tools AS service-packages
COPY deploy/container/without-torch.txt deploy/container/
RUN /opt/tools/bin/uv pip install --no-cache --compile-bytecode --python /opt/goldenbench --require-hashes \
        --constraint requirements.txt --override deploy/container/without-torch.txt --requirement pyproject.toml

FROM tools AS worker-packages
RUN /opt/tools/bin/uv pip install --no-cache --compile-bytecode --python /opt/goldenbench --require-hashes \
        --constraint requirements.txt --requirement pyproject.toml

FROM base AS runtime
RUN groupadd --gid 10001 goldenbench \
    && useradd --uid 10001 --gid 10001 --home-dir /tmp --no-create-home --shell /usr/sbin/nologin goldenbench \
    && install --directory --owner 10001 --group 10001 --mode 0700 /data /secrets/tls \
    && install --directory --owner 10001 --group 10001 --mode 0750 /secrets/database
ENV PATH=/opt/goldenbench/bin:$PATH \
    HOME=/tmp \
    MPLCONFIGDIR=/tmp/matplotlib \
    GOLDENBENCH_DATA=/data
WORKDIR /data
USER 10001:10001
ENTRYPOINT ["goldenbench"]

FROM runtime AS worker
USER 0:0
# Triton compiles the launchers of its kernels in C when they first run; the headers of Python are in the base image.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
COPY --from=worker-packages /opt/goldenbench /opt/goldenbench
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    pip --python /opt/goldenbench/bin/python install --no-cache-dir --no-index --no-deps --compile /wheels/*.whl
USER 10001:10001
CMD ["worker"]

FROM runtime AS service
USER 0:0
# pg_dump and pg_restore for `goldenbench backup`, of the database's major version.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends postgresql-client-17 \
    && rm -rf /var/lib/apt/lists/*
COPY --chmod=0755 deploy/container/make-secrets /usr/local/bin/make-secrets
COPY --from=service-packages /opt/goldenbench /opt/goldenbench
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    pip --python /opt/goldenbench/bin/python install --no-cache-dir --no-index --no-deps --compile /wheels/*.whl
USER 10001:10001
EXPOSE 8765
CMD ["serve"]
