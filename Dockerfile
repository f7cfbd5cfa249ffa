# syntax=docker/dockerfile:1
# Images are pinned by tag. Pin them by digest as well in a release pipeline: a digest belongs to one registry and one day,
# and a tool such as Renovate keeps it current.
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=devel
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY api/ api/
COPY cmd/ cmd/
COPY controllers/ controllers/
COPY internal/ internal/
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath \
    -ldflags "-s -w -X github.com/flexops-dev/inactivity-operator/internal/version.version=$VERSION" \
    -o /manager ./cmd

# No shell, no package manager; the certificates of public authorities, which Twilio's API needs, and time zones.
FROM gcr.io/distroless/static-debian12:nonroot
LABEL org.opencontainers.image.source="https://github.com/flexops-dev/inactivity-operator" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /manager /manager
USER 65532:65532
ENTRYPOINT ["/manager"]
