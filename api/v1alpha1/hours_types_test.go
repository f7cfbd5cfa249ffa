package v1alpha1_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
)

// hours is a policy with opening hours that have further fields.
func hours(fields string) string {
	return plain + `hours: {timeZone: Europe/Madrid, weekly: [{days: [Mon], from: "09:00", to: "18:00"}], ` + fields + "}\n"
}

func TestAdmissionOfHours(t *testing.T) {
	days := func(n int) string {
		return list(n, func(i int) string { return fmt.Sprintf(`"20%02d-%02d-28"`, i/12, i%12+1) })
	}
	try(t, map[string]admission{
		"a week's openings in a time zone are hours": {hours(""), ""},
		"Always is a clock":                          {hours("clock: Always"), ""},
		"OpenHours is a clock":                       {hours("clock: OpenHours"), ""},
		"Act is a closedHours":                       {hours("closedHours: Act"), ""},
		"CloseSilently is a closedHours":             {hours("closedHours: CloseSilently"), ""},
		"Defer is a closedHours":                     {hours("closedHours: Defer"), ""},
		"there can be 400 holidays":                  {hours("holidays: " + days(400)), ""},
		"an unknown clock is refused":                {hours("clock: Working"), `supported values: "Always", "OpenHours"`},
		"an unknown closedHours is refused":          {hours("closedHours: Wait"), `supported values: "Act", "CloseSilently", "Defer"`},
		"there can be no more than 400 holidays":     {hours("holidays: " + days(401)), "spec.hours.holidays: Too many: 401: must have at most 400 items"},
		"a holiday is named once":                    {hours(`holidays: ["2026-12-25", "2026-12-25"]`), `spec.hours.holidays[1]: Duplicate value: "2026-12-25"`},
		"hours need openings":                        {plain + "hours: {timeZone: UTC}\n", "spec.hours.weekly: Required value"},
		"hours need a time zone":                     {plain + `hours: {weekly: [{days: [Mon], from: "09:00", to: "18:00"}]}` + "\n", "spec.hours.timeZone: Required value"},
	})
}

func TestAdmissionOfTimeZones(t *testing.T) {
	zone := func(zone string) string {
		return plain + "hours: {timeZone: " + zone + `, weekly: [{days: [Mon], from: "09:00", to: "18:00"}]}` + "\n"
	}
	tests := map[string]admission{
		"a name is at most 64 characters": {zone("America/" + strings.Repeat("z", 56)), ""},
		"a name is bounded":               {zone("America/" + strings.Repeat("z", 57)), "spec.hours.timeZone: Too long"},
	}
	for _, name := range []string{"UTC", "Europe/Madrid", "America/Argentina/Buenos_Aires", "America/North_Dakota/New_Salem", "Etc/GMT+1", "America/Port-au-Prince"} {
		tests["the zone "+name] = admission{zone(name), ""}
	}
	for _, name := range []string{`""`, "UTC+1", `"+01:00"`, "CET", "Local", "Madrid", "Europe/", "/Madrid", "../etc/passwd", "Europe/Madrid/", "Europe Madrid", "a/b/c/d"} {
		tests["no zone "+name] = admission{zone(name), "must be a time zone of the IANA database such as Europe/Madrid or UTC"}
	}
	try(t, tests)
}

func TestAdmissionOfHolidays(t *testing.T) {
	tests := map[string]admission{}
	for _, day := range []string{"2026-12-25", "2000-01-01", "2099-12-31", "2028-02-29", "2026-01-31", "2026-04-30"} {
		tests["the day "+day] = admission{hours(`holidays: ["` + day + `"]`), ""}
	}
	for _, day := range []string{"", "2026-13-01", "2026-00-10", "2026-01-00", "2026-01-32", "26-12-25", "2026-1-1", "25.12.2026", "12/25/2026", "1999-12-31", "2100-01-01", "tomorrow"} {
		tests["no day by its form, "+day] = admission{hours(`holidays: ["` + day + `"]`), "must be a day such as 2026-12-25"}
	}
	for _, day := range []string{"2026-02-29", "2026-02-30", "2028-02-30", "2026-02-31", "2026-04-31", "2026-06-31", "2026-09-31", "2026-11-31"} {
		tests["no day of the calendar, "+day] = admission{hours(`holidays: ["` + day + `"]`), "is not a day of the calendar: that month is shorter"}
	}
	maps.Copy(tests, map[string]admission{
		"a day with a time is no holiday":            {hours(`holidays: ["2026-12-25T00:00:00Z"]`), "spec.hours.holidays[0]: Too long"},
		"the place of a wrong holiday is named":      {hours(`holidays: ["2026-12-25", "2026-12-32"]`), "spec.hours.holidays[1]"},
		"a number is no holiday":                     {hours("holidays: [20261225]"), `spec.hours.holidays[0]: Invalid value: "integer"`},
		"kubectl's YAML needs no quotes around days": {hours("holidays: [2026-12-25]"), ""},
	})
	try(t, tests)
}

func TestAdmissionOfOpenings(t *testing.T) {
	weekly := func(openings string) string { return plain + "hours: {timeZone: UTC, weekly: " + openings + "}\n" }
	opening := func(days, from, to string) string {
		return weekly(fmt.Sprintf("[{days: %s, from: %q, to: %q}]", days, from, to))
	}
	const (
		noTime   = "must be a time of day such as 09:00 or 17:30, at most 24:00"
		reversed = "from must be before to: write a night shift as two openings, one to 24:00 and one from 00:00 on the next day"
	)
	try(t, map[string]admission{
		"an opening can last a minute":                       {opening("[Mon]", "09:00", "09:01"), ""},
		"an opening can last all day":                        {opening("[Sat, Sun]", "00:00", "24:00"), ""},
		"an opening can be on every day":                     {opening("[Mon, Tue, Wed, Thu, Fri, Sat, Sun]", "09:00", "18:00"), ""},
		"an opening can end a minute before":                 {opening("[Mon]", "23:58", "23:59"), ""},
		"a day can have a break":                             {weekly(`[{days: [Mon], from: "09:00", to: "13:00"}, {days: [Mon], from: "14:00", to: "18:00"}]`), ""},
		"a night shift is two openings":                      {weekly(`[{days: [Fri], from: "22:00", to: "24:00"}, {days: [Sat], from: "00:00", to: "06:00"}]`), ""},
		"there can be 32 openings":                           {weekly(list(32, func(int) string { return `{days: [Mon], from: "09:00", to: "18:00"}` })), ""},
		"there can be no more than 32 openings":              {weekly(list(33, func(int) string { return `{days: [Mon], from: "09:00", to: "18:00"}` })), "spec.hours.weekly: Too many: 33: must have at most 32 items"},
		"a week without openings is refused":                 {weekly("[]"), "spec.hours.weekly in body should have at least 1 items"},
		"an opening has days":                                {weekly(`[{from: "09:00", to: "18:00"}]`), "spec.hours.weekly[0].days: Required value"},
		"an opening has a day":                               {opening("[]", "09:00", "18:00"), "spec.hours.weekly[0].days in body should have at least 1 items"},
		"a day is named once":                                {opening("[Mon, Tue, Mon]", "09:00", "18:00"), `spec.hours.weekly[0].days[2]: Duplicate value: "Mon"`},
		"a day has its short English name":                   {opening("[Monday]", "09:00", "18:00"), `supported values: "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"`},
		"an opening has a beginning":                         {weekly(`[{days: [Mon], to: "18:00"}]`), "spec.hours.weekly[0].from: Required value"},
		"an opening has an end":                              {weekly(`[{days: [Mon], from: "09:00"}]`), "spec.hours.weekly[0].to: Required value"},
		"an opening does not end as it begins":               {opening("[Mon]", "09:00", "09:00"), reversed},
		"an opening does not end before":                     {opening("[Mon]", "18:00", "09:00"), reversed},
		"an opening is not through the night":                {opening("[Mon]", "22:00", "06:00"), reversed},
		"an opening does not begin at midnight's end":        {opening("[Mon]", "24:00", "24:00"), reversed},
		"a time of day has two digits an hour":               {opening("[Mon]", "9:00", "18:00"), noTime},
		"a time of day has minutes":                          {opening("[Mon]", "09:00", "18"), noTime},
		"a time of day is not empty":                         {opening("[Mon]", "", "18:00"), noTime},
		"a time of day is not past the day":                  {opening("[Mon]", "09:00", "24:01"), noTime},
		"an hour is at most 23":                              {opening("[Mon]", "09:00", "25:00"), noTime},
		"a minute is at most 59":                             {opening("[Mon]", "09:60", "18:00"), noTime},
		"a time of day has no seconds":                       {opening("[Mon]", "09:00:00", "18:00"), "spec.hours.weekly[0].from: Too long"},
		"a time of day is on a clock of 24 hours":            {opening("[Mon]", "09:00", "6pm"), noTime},
		"a time of day is no number":                         {weekly(`[{days: [Mon], from: 900, to: "18:00"}]`), `spec.hours.weekly[0].from: Invalid value: "integer"`},
		"kubectl's YAML needs no quotes around times of day": {weekly("[{days: [Mon], from: 09:00, to: 18:00}]"), ""},
	})
}
