package twiliosim

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"time"
)

var isoDuration = regexp.MustCompile(`^P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$`)

// parseDuration reads an ISO 8601 duration made of weeks, days, hours, minutes and seconds: PT0S, PT1M, P1DT12H.
func parseDuration(text string) (time.Duration, error) {
	m := isoDuration.FindStringSubmatch(text)
	if m == nil || text == "P" || text[len(text)-1] == 'T' {
		return 0, fmt.Errorf("%q is no ISO 8601 duration", text)
	}
	units := []time.Duration{7 * 24 * time.Hour, 24 * time.Hour, time.Hour, time.Minute, time.Second}
	var total float64
	for i, unit := range units {
		if m[i+1] == "" {
			continue
		}
		n, err := strconv.ParseFloat(m[i+1], 64)
		if err != nil {
			return 0, fmt.Errorf("%q is no ISO 8601 duration: %w", text, err)
		}
		total += n * float64(unit)
	}
	if total > math.MaxInt64/2 {
		return 0, fmt.Errorf("%q is too long", text)
	}
	return time.Duration(total), nil
}
