# Built from source, runs as nobody, read-only, with one volume for what must survive.
FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY . .
RUN cargo build --release --locked && mkdir -p /out/data && cp target/release/bellwether /out/

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
COPY --from=build --chown=65532:65532 /out/data /data
COPY --from=build /out/bellwether /usr/local/bin/bellwether
USER 65532:65532
VOLUME /data
EXPOSE 9779
ENTRYPOINT ["/usr/local/bin/bellwether"]
CMD ["run", "--config.file=/etc/bellwether/bellwether.yml", "--storage.path=/data", "--web.listen-address=0.0.0.0:9779"]
