package v1alpha1

import (
	"fmt"
	"time"
)

// Duration is a length of time in the Gateway API's notation, such as 15m or 1h30m, kept as it was written.
// The schema accepts one minute to 24 hours in whole seconds.
//
// Rules that compare durations ask for the notation first: what is none is refused here, in a sentence, and must not fail
// there with an error of CEL's.
//
// +kubebuilder:validation:Type=string
// +kubebuilder:validation:MaxLength=32
// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,5}(h|m|s|ms)){1,4}$')",message="must be a duration such as 15m, 90s or 1h30m"
// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,5}(h|m|s|ms)){1,4}$') || (duration(self) >= duration('1m') && duration(self) <= duration('24h'))",message="must be between 1m and 24h: Twilio's shortest timer is one minute, and it deletes an assigned task after 24 hours"
// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,5}(h|m|s|ms)){1,4}$') || duration(self).getMilliseconds() % 1000 == 0",message="must be in whole seconds, such as 90s: Twilio's timers count no fractions of a second"
type Duration string

// Parse returns the length of time. The schema refuses what does not parse; an error here means that the object was
// stored under another schema.
func (d Duration) Parse() (time.Duration, error) {
	length, err := time.ParseDuration(string(d))
	if err != nil {
		return 0, fmt.Errorf("parsing duration %q: write it as 15m or 1h30m: %w", string(d), err)
	}
	return length, nil
}
