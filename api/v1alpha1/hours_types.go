package v1alpha1

// HoursClock says when idle time accrues.
// +kubebuilder:validation:Enum=Always;OpenHours
type HoursClock string

const (
	// ClockAlways lets the clock run day and night. It is what an absent clock means.
	ClockAlways HoursClock = "Always"
	// ClockOpenHours stops the clock while the contact centre is closed.
	ClockOpenHours HoursClock = "OpenHours"
)

// ClosedHours says what happens to a step that becomes due while the contact centre is closed.
// +kubebuilder:validation:Enum=Act;CloseSilently;Defer
type ClosedHours string

const (
	// ClosedAct does it all the same. It is what an absent closedHours means.
	ClosedAct ClosedHours = "Act"
	// ClosedCloseSilently ends conversations without a text, and sends no other text.
	ClosedCloseSilently ClosedHours = "CloseSilently"
	// ClosedDefer waits until the contact centre opens.
	ClosedDefer ClosedHours = "Defer"
)

// Weekday is a day of the week.
// +kubebuilder:validation:Enum=Mon;Tue;Wed;Thu;Fri;Sat;Sun
type Weekday string

// TimeOfDay is a time of the wall clock, from 00:00 to 24:00.
// +kubebuilder:validation:MaxLength=5
// +kubebuilder:validation:XValidation:rule="self.matches('^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$')",message="must be a time of day such as 09:00 or 17:30, at most 24:00"
type TimeOfDay string

// Date is a day of the calendar.
// +kubebuilder:validation:MaxLength=10
// +kubebuilder:validation:XValidation:rule="self.matches('^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$')",message="must be a day such as 2026-12-25"
// +kubebuilder:validation:XValidation:rule="!self.matches('^20[0-9]{2}-[0-9]{2}-[0-9]{2}$') || (!(self.substring(5) in ['02-30', '02-31', '04-31', '06-31', '09-31', '11-31']) && (self.substring(5) != '02-29' || int(self.substring(0, 4)) % 4 == 0))",message="is not a day of the calendar: that month is shorter"
type Date string

// Hours are the opening hours of a contact centre, by the wall clock of its time zone.
type Hours struct {
	// timeZone is the name of the contact centre's time zone in the IANA
	// database, for example Europe/Madrid or UTC. An offset such as UTC+1 is
	// none: it knows no daylight saving time. At most 64 characters.
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^(UTC|[A-Za-z]+(/[A-Za-z0-9_+-]+){1,2})$')",message="must be a time zone of the IANA database such as Europe/Madrid or UTC: write Area/City, or UTC, and no abbreviation such as CET or GMT"
	// +required
	TimeZone string `json:"timeZone"`

	// weekly are the openings of each week, 1 to 32. Several on one day are a
	// day with a break; those that overlap count as one.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +listType=atomic
	// +required
	Weekly []Opening `json:"weekly"`

	// holidays are days on which the contact centre stays closed, whatever
	// weekly says, for example 2026-12-25: at most 400. Absent: none.
	// +kubebuilder:validation:MaxItems=400
	// +listType=set
	// +optional
	Holidays []Date `json:"holidays,omitempty"`

	// clock says when idle time accrues. Always (also when absent): day and
	// night. OpenHours: only while the contact centre is open, so that timeout,
	// warnings[].before and unanswered.after are lengths of open time. Twilio
	// deletes an assigned task after 24 hours all the same, open or closed.
	// +optional
	Clock HoursClock `json:"clock,omitempty"`

	// closedHours says what happens to a step that becomes due while the
	// contact centre is closed. Act (also when absent): it is done.
	// CloseSilently: conversations end without a text, and no other text is
	// sent. Defer: it is done when the contact centre opens.
	// +optional
	ClosedHours ClosedHours `json:"closedHours,omitempty"`
}

// Opening is a time of the day during which the contact centre is open on
// some days of the week.
// +kubebuilder:validation:XValidation:rule="size(self.from) != 5 || size(self.to) != 5 || self.from < self.to",message="from must be before to: write a night shift as two openings, one to 24:00 and one from 00:00 on the next day"
type Opening struct {
	// days of the week, each once: Mon, Tue, Wed, Thu, Fri, Sat, Sun.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=7
	// +listType=set
	// +required
	Days []Weekday `json:"days"`

	// from is when the contact centre opens, by the wall clock: "09:00".
	// +required
	From TimeOfDay `json:"from"`

	// to is when it closes, by the wall clock and later than from: "18:00", or
	// "24:00" for midnight. A night shift is two openings, one to "24:00" and
	// one from "00:00" on the next day.
	// +required
	To TimeOfDay `json:"to"`
}
