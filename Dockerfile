# An image of eligen for schedulers (docs/scale.md): docker build -t render/eligen:1 .
#
# To have a backend for graphics cards in it: --build-arg BACKEND=xla:cuda
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY . .
RUN make build

FROM debian:bookworm-slim
ARG BACKEND=xla:cpu
RUN apt-get update && \
    apt-get install -y --no-install-recommends ca-certificates ffmpeg && \
    rm -rf /var/lib/apt/lists/*
COPY --from=build /src/eligen /usr/local/bin/eligen
# The store goes with the container, unless a volume is mounted here or ELIGEN_CACHE_DIR names one.
ENV ELIGEN_CACHE_DIR=/cache ELIGEN_PLUGIN_DIR=/usr/local/lib/eligen
RUN eligen backend install "$BACKEND" && install -d -m 1777 /cache
USER 65532:65532
WORKDIR /work
ENTRYPOINT ["eligen"]
