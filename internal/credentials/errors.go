package credentials

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

// Error says why a Secret gives no credentials, and what to do about it. Its text is stable and holds no value of the
// Secret, so it can be shown in a condition. Reading fails with other errors too, such as a time-out; those say nothing
// about the Secret.
type Error struct {
	// Secret is the Secret that was read.
	Secret types.NamespacedName
	// Reason is [v1alpha1.ReasonSecretNotFound] or [v1alpha1.ReasonSecretInvalid].
	Reason string
	// Problems are what is wrong with its keys, in a fixed order. A Secret that does not exist has none.
	Problems []Problem

	// cause is the API server's error, if there was one.
	cause error
}

// Problem is what is wrong with one key of a Secret.
type Problem struct {
	// Key of the Secret.
	Key string
	// Problem is what is wrong with it, for example "is missing".
	Problem string
	// Cure is what to do about it.
	Cure string
}

// Error names the Secret, each key and the cure.
func (e *Error) Error() string {
	if e.Reason == v1alpha1.ReasonSecretNotFound {
		return fmt.Sprintf("secret %s does not exist: create it with the keys %s and %s", e.Secret, KeyAccountSID, KeyAuthToken)
	}
	texts := make([]string, len(e.Problems))
	for i, problem := range e.Problems {
		texts[i] = fmt.Sprintf("key %s %s: %s", problem.Key, problem.Problem, problem.Cure)
	}
	return fmt.Sprintf("secret %s: %s", e.Secret, strings.Join(texts, "; "))
}

// Unwrap returns the API server's error, if there was one.
func (e *Error) Unwrap() error { return e.cause }
