#!/bin/sh
# verify.sh CONTROLLER_GEN GOLANGCI_LINT runs every check that needs no running server, says what to do about each that
# fails, and changes nothing in the tree. Run it from the repository's root (make verify does).
set -eu

controller_gen=$1
golangci_lint=$2

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

failed=0

# check NAME CURE COMMAND... runs the command and prints its output only when it fails.
check() {
	name=$1
	cure=$2
	shift 2
	# In a subshell, so that a check may change directory.
	if ("$@") >"$tmp/out" 2>&1; then
		echo "ok    $name"
		return
	fi
	failed=1
	echo "FAIL  $name"
	sed 's/^/      /' "$tmp/out"
	echo "      to mend it: $cure"
}

gofmt_clean() {
	unformatted=$(gofmt -l .)
	[ -z "$unformatted" ] || { echo "$unformatted"; return 1; }
}

# generate_into runs a generator, without the page of usage that it prints after an error. (A shell function that is tested
# does not stop at its first failure, hence the explicit returns here and below.)
generate_into() {
	"$controller_gen" "$@" >"$tmp/generator" 2>&1 && return
	sed '/^Usage:/,$d' "$tmp/generator"
	return 1
}

generated_up_to_date() {
	generate_into object paths=./api/... output:object:dir="$tmp/api" || return
	generate_into crd paths=./api/... output:crd:artifacts:config="$tmp/crd" || return
	generate_into rbac:roleName=manager-role paths=./controllers/... output:rbac:artifacts:config="$tmp/rbac" || return
	same=0
	diff -u api/v1alpha1/zz_generated.deepcopy.go "$tmp/api/zz_generated.deepcopy.go" || same=1
	diff -ru config/crd/bases "$tmp/crd" || same=1
	diff -u config/rbac/role.yaml "$tmp/rbac/role.yaml" || same=1
	go run ./hack/apidocs -crds "$tmp/crd" -check || same=1
	return $same
}

lint_controlplane() {
	cd hack/controlplane || return
	"$golangci_lint" run --config ../../.golangci.yml ./...
}

check "gofmt" "make fmt" gofmt_clean
check "go vet" "see the lines above" go vet ./...
check "golangci-lint" "make lint shows the same; make fmt mends formatting" "$golangci_lint" run ./...
check "golangci-lint in hack/controlplane" "make lint shows the same" lint_controlplane
check "generated files" "make generate, and commit what changed" generated_up_to_date
# Found, not listed, so that a new module cannot be forgotten.
for module in $(find . -name go.mod -not -path './bin/*' -exec dirname {} \; | sort); do
	check "go mod tidy in $module" "go -C $module mod tidy" go -C "$module" mod tidy -diff
done

exit $failed
