# The exporter as an image: built in one stage, run as nobody in particular in the next.
ARG BASE=python:3.13-slim-bookworm

FROM ${BASE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CONFIG_FILE=/run/secrets/pip.conf
# pip and what builds the package stay behind: the environment that is run has neither.
RUN python3 -m venv /build && python3 -m venv --without-pip /opt/asynctask-exporter && mkdir /data
COPY requirements/build.txt requirements/runtime.txt /src/requirements/
# Where packages come from and whom to trust there is the building machine's affair: docs/deployment.md.
RUN --mount=type=secret,id=pip.conf --mount=type=secret,id=ca.pem \
    /build/bin/pip install --quiet --require-hashes -r /src/requirements/build.txt \
    && /build/bin/pip --python /opt/asynctask-exporter/bin/python \
        install --quiet --require-hashes -r /src/requirements/runtime.txt
COPY pyproject.toml hatch_build.py README.md LICENSE /src/
COPY exporter /src/exporter
# What --version and the metrics tell: git is asked where there is a checkout, and here there is none.
ARG REVISION=unknown
RUN echo "${REVISION}" > /src/exporter/REVISION \
    && /build/bin/pip wheel --quiet --no-index --no-deps --no-build-isolation --wheel-dir /dist /src \
    && /build/bin/pip --python /opt/asynctask-exporter/bin/python \
        install --quiet --no-index --no-deps --find-links /dist asynctask-exporter
# What is installed there, asked of the environment itself; the tool that asks stays behind, too.
RUN mkdir /sbom && /build/bin/cyclonedx-py environment --output-reproducible \
        --output-file /sbom/sbom.cdx.json /opt/asynctask-exporter/bin/python

# Nothing is run here: whatever the building machine mounts for that leaves no trace in the image.
FROM ${BASE}
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="asynctask-exporter" \
      org.opencontainers.image.description="Prometheus exporter and alerting sidecar for asynchronous tasks" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      io.github.asynctask-exporter.sbom="/usr/share/asynctask-exporter/sbom.cdx.json"
COPY --from=build /opt/asynctask-exporter /opt/asynctask-exporter
COPY --from=build /sbom /usr/share/asynctask-exporter
COPY --from=build --chown=65534:65534 /data /data
# One arena of glibc's for all threads: Python holds its own lock anyway, and a tenth less memory stays resident.
ENV MALLOC_ARENA_MAX=1
# By number, so that Kubernetes can see that it is not root.
USER 65534:65534
VOLUME /data
EXPOSE 9926
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s CMD ["/opt/asynctask-exporter/bin/python", "-c", \
    "from http.client import HTTPConnection as C; c = C('127.0.0.1', 9926, timeout=4); c.request('GET', '/-/healthy'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["/opt/asynctask-exporter/bin/asynctask-exporter"]
CMD ["--config.file=/etc/asynctask-exporter/config.yaml", "--storage.path=/data"]
