#!/usr/bin/env bash
# Builds the image without a container engine or daemon: the binary is built on this machine, and the runtime files come
# from Debian's packages. Needs cargo, buildah and mmdebstrap (Debian: apt-get install buildah mmdebstrap).
#
#   docker/build-without-engine.sh [IMAGE.tar]        as root; for docker load -i and podman load -i
#
# ZENITH_BINARY names a binary that is built already. What the image is made of and how it runs is as in the Dockerfile;
# the machine's glibc must not be newer than that of Debian 12 (2.36).
set -euo pipefail
cd "$(dirname "$0")/.."

image=${1:-zenith-image.tar}
binary=${ZENITH_BINARY:-}
if [ -z "$binary" ]; then
    cargo build --release --locked -p zenith
    binary=target/release/zenith
fi

work=$(mktemp -d)
container=
clean() {
    if [ -n "$container" ]; then buildah rm "$container" >/dev/null; fi
    rm -rf "$work"
}
trap clean EXIT

# No overlay file system and no namespaces of its own: this works inside containers and CI runners as well.
export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=vfs

# Packages are unpacked and not configured: there is nothing in the image that could run their scripts.
mmdebstrap --variant=extract --include=libc6,libgcc-s1,ca-certificates,netbase,base-files,tzdata \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' bookworm "$work/root.tar"
mkdir -p "$work/state" "$work/root/usr/local/bin" "$work/root/etc/ssl/certs"
tar -C "$work/root" -xf "$work/root.tar" --exclude='./dev/*'
# What the scripts of base-files and ca-certificates would have made.
printf 'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/var/lib/zenith:/sbin/nologin\n' \
    > "$work/root/etc/passwd"
printf 'root:x:0:\nnonroot:x:65532:\n' > "$work/root/etc/group"
find "$work/root/usr/share/ca-certificates" -name '*.crt' -exec cat {} + > "$work/root/etc/ssl/certs/ca-certificates.crt"
# The program needs a loader and its libraries, and nobody needs anything to log into.
find "$work/root/bin" "$work/root/sbin" "$work/root/usr/bin" "$work/root/usr/sbin" -mindepth 1 -delete 2>/dev/null || true
install -m 0755 "$binary" "$work/root/usr/local/bin/zenith"
strip --strip-debug "$work/root/usr/local/bin/zenith"

# The format of Docker, because health checks are no part of OCI's.
container=$(buildah from --format docker scratch)
buildah copy --quiet "$container" "$work/root/" / >/dev/null
# A new volume takes over the owner of the folder it is mounted on.
buildah copy --quiet --chown 65532:65532 "$container" "$work/state" /var/lib/zenith >/dev/null
buildah config \
    --env ZENITH_STATE=/var/lib/zenith/state.sqlite \
    --user 65532:65532 --workingdir /var/lib/zenith --volume /var/lib/zenith --stop-signal SIGTERM \
    --entrypoint '["/usr/local/bin/zenith"]' --cmd serve \
    --healthcheck 'CMD /usr/local/bin/zenith status --health' \
    --healthcheck-interval 15s --healthcheck-timeout 5s --healthcheck-start-period 30s --healthcheck-retries 3 \
    "$container"
buildah run --user 65532:65532 "$container" -- /usr/local/bin/zenith --version
rm -f "$image"
buildah commit --quiet --format docker "$container" "docker-archive:$image:zenith:latest" >/dev/null
printf 'wrote %s (%s)\n' "$image" "$(du -h "$image" | cut -f1)"
