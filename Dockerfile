# The exporter as an image: built in one stage, run as nobody in particular in the next.
ARG BASE=python:3.13-slim-bookworm

FROM ${BASE} AS build
RUN python3 -m venv /opt/asynctask-exporter
COPY requirements/runtime.txt /src/requirements/
RUN /opt/asynctask-exporter/bin/pip install --no-cache-dir --require-hashes -r /src/requirements/runtime.txt
COPY pyproject.toml README.md LICENSE /src/
COPY exporter /src/exporter
RUN /opt/asynctask-exporter/bin/pip install --no-cache-dir --no-deps /src

FROM ${BASE}
LABEL org.opencontainers.image.title="asynctask-exporter" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/asynctask-exporter /opt/asynctask-exporter
RUN install -d -o 65534 -g 65534 /data
USER 65534:65534
VOLUME /data
EXPOSE 9926
ENTRYPOINT ["/opt/asynctask-exporter/bin/asynctask-exporter"]
CMD ["--config.file=/etc/asynctask-exporter/config.yaml", "--storage.path=/data"]
