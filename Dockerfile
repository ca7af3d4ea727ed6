# A static binary on scratch: nobody's user, no shell, nothing else.
#
#   docker build -t plimsoll .                                   builds it here (BuildKit, which skips unused stages)
#   docker build -t plimsoll --target prebuilt -f Dockerfile DIR takes the static binary DIR/plimsoll as it is
#
# `prebuilt` stands before the stage that compiles, so that a builder that walks every stage up to its target never
# comes to it, and no base image has to be pulled.

FROM scratch AS base
EXPOSE 8000 8443
# Not root, and not in the engine's group: give it the socket's group with --group-add, or a socket proxy.
USER 65532:65532
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=4s --start-period=10s --retries=3 CMD ["/plimsoll", "healthcheck"]
ENTRYPOINT ["/plimsoll"]
CMD ["run"]

FROM base AS prebuilt
COPY plimsoll /plimsoll

FROM rust:1.95-bookworm AS build
WORKDIR /build
COPY . .
# The base image has both, as others' dependencies.
RUN { python3 --version && openssl version; } \
 || { apt-get update && apt-get install -y --no-install-recommends python3 openssl; }
# What `--version` names; the context has no .git.
ARG COMMIT=unknown
# `--build-arg OPTIONS=--no-profile`: in half the time, and where rustup's server cannot be reached.
ARG OPTIONS=
RUN PLIMSOLL_COMMIT="$COMMIT" python3 release/build.py --static $OPTIONS && cp target/pgo/plimsoll /plimsoll

FROM base
COPY --from=build /plimsoll /plimsoll
