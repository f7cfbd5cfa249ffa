#!/bin/sh
# overlay.sh DIRECTORY PUBLIC_URL IMAGE writes a kustomization over config/default with the two things that every
# installation sets for itself. A copy of it is a good start for a GitOps repository.
set -eu

dir=$1
public_url=$2
image=$3

if [ -z "$public_url" ]; then
	echo "PUBLIC_URL is not set: give the https URL at which Twilio reaches the receiver," >&2
	echo "for example make deploy PUBLIC_URL=https://inactivity.example.com" >&2
	exit 2
fi

case $public_url in
https://* | http://127.* | http://localhost*) ;;
*)
	echo "PUBLIC_URL is $public_url: Twilio must reach the receiver by https, for example https://inactivity.example.com" >&2
	exit 2
	;;
esac

# An image is NAME@DIGEST, NAME:TAG or NAME; a colon before the last slash belongs to the registry's port.
case $image in
*@*) name=${image%%@*} version="digest: ${image#*@}" ;;
*) case ${image##*/} in
	*:*) name=${image%:*} version="newTag: \"${image##*:}\"" ;;
	*) name=$image version='newTag: latest' ;;
	esac ;;
esac

mkdir -p "$dir"
cat >"$dir/kustomization.yaml" <<EOF
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
  - ../../config/default
images:
  - name: ghcr.io/flexops-dev/inactivity-operator
    newName: $name
    $version
configMapGenerator:
  - name: settings
    namespace: inactivity-operator-system
    behavior: merge
    literals:
      - PUBLIC_URL=$public_url
EOF
