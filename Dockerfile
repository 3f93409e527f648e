# syntax=docker/dockerfile:1
FROM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
# git describe knows them; the build context has no repository.
ARG VERSION=devel
ARG COMMIT=unknown
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    make build VERSION="$VERSION" COMMIT="$COMMIT" && mkdir /data

FROM gcr.io/distroless/static-debian13:nonroot AS orders-demo
COPY --from=build /src/bin/orders-demo /usr/local/bin/orders-demo
EXPOSE 8080
ENTRYPOINT ["orders-demo"]

FROM gcr.io/distroless/static-debian13:nonroot AS runbook
COPY --from=build /src/bin/runbook /usr/local/bin/runbook
# A new volume takes its owner from here.
COPY --from=build --chown=nonroot:nonroot /data /var/lib/runbook
VOLUME /var/lib/runbook
EXPOSE 7250
ENTRYPOINT ["runbook"]
