package v1alpha1_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
)

// template is the SID of a content template.
const template = "HX0123456789abcdef0123456789ABCDEF"

// variables is a map in YAML from n variables of a content template to text.
func variables(n int, text string) string {
	entries := make([]string, n)
	for i := range entries {
		entries[i] = fmt.Sprintf(`"%d": %s`, i+1, text)
	}
	return "{" + strings.Join(entries, ", ") + "}"
}

func TestAdmissionOfMessages(t *testing.T) {
	silent := without(plain, "message")
	try(t, map[string]admission{
		"a policy can be silent":                             {silent, ""},
		"an empty message is a silent policy":                {with(plain, `message: ""`), ""},
		"a message as long as an SMS can be is accepted":     {with(plain, "message: "+strings.Repeat("m", 1600)), ""},
		"the length of a message is counted in characters":   {with(plain, "message: "+strings.Repeat("é", 1600)), ""},
		"a message can be a template":                        {with(plain, `message: "Goodbye{{if .Customer.Name}} {{.Customer.Name}}{{end}}"`), ""},
		"a message can have several lines":                   {with(plain, `message: "\n\nGoodbye.\n"`), ""},
		"a message can be one sign":                          {with(plain, "message: 👋"), ""},
		"the customer's language is in an attribute":         {plain + "languageAttribute: lang\n", ""},
		"an attribute's name is at most 128 characters":      {plain + "languageAttribute: " + strings.Repeat("l", 128) + "\n", ""},
		"a silent policy can have no translation":            {silent + "translations: {}\n", ""},
		"a message must fit into an SMS":                     {with(plain, "message: "+strings.Repeat("m", 1601)), "spec.message: Too long"},
		"a message of spaces is refused":                     {with(plain, `message: "  "`), "is blank: write a text, or leave the field out to end silently"},
		"a message of line breaks and tabs is refused":       {with(plain, `message: "\n\t\r\n"`), "is blank: write a text, or leave the field out to end silently"},
		"a message of spaces that do not break is refused":   {with(plain, `message: "\u00a0\u2003"`), "is blank: write a text, or leave the field out to end silently"},
		"a message of spaces without width is refused":       {with(plain, `message: "\u200b\ufeff"`), "is blank: write a text, or leave the field out to end silently"},
		"an attribute's name is not empty":                   {plain + `languageAttribute: ""` + "\n", "spec.languageAttribute in body should be at least 1 chars long"},
		"an attribute's name is bounded":                     {plain + "languageAttribute: " + strings.Repeat("l", 129) + "\n", "spec.languageAttribute: Too long"},
		"translations without a message would never be sent": {silent + "translations: {es: Hola}\n", "translations are of message"},
		"translations of an empty message would never be sent": {
			with(plain, `message: ""`) + "translations: {es: Hola}\n", "write one in spec.message, or leave translations out to end silently"},
	})
}

// Wherever there are translations, the same holds.
func TestAdmissionOfTranslations(t *testing.T) {
	for place, in := range map[string]func(translations string) string{
		"of the message": func(translations string) string { return plain + "translations: " + translations + "\n" },
		"of a warning":   func(translations string) string { return warning("translations: " + translations) },
		"of the unanswered text": func(translations string) string {
			return plain + "unanswered: {after: 5m, message: Sorry, translations: " + translations + "}\n"
		},
	} {
		t.Run(place, func(t *testing.T) {
			tests := map[string]admission{
				"there can be 32":                  {in(languages(32, "Hola")), ""},
				"each is as long as an SMS can be": {in("{es: " + strings.Repeat("t", 1600) + "}"), ""},
				"there can be no more":             {in(languages(33, "Hola")), "must have at most 32 items"},
				"each must fit into an SMS":        {in("{es: " + strings.Repeat("t", 1601) + "}"), "es: Too long"},
				"none is empty":                    {in(`{es: ""}`), "is blank: write a text, or leave out what it belongs to"},
				"none is blank":                    {in(`{es: " \n"}`), "is blank: write a text, or leave out what it belongs to"},
				"no two are of the same language":  {in("{pt-BR: Olá, pt-br: Oi}"), "two keys are the same language, because letter case does not count: keep one of them"},
			}
			maps.Copy(tests, tagTests(in))
			try(t, tests)
		})
	}
}

func tagTests(in func(translations string) string) map[string]admission {
	tests := map[string]admission{}
	for tag, right := range map[string]bool{
		"es": true, "pt-BR": true, "fil": true, "zh-Hant-TW": true, "es-419": true, "de-CH-1996": true, "EN-gb": true, "ca-ES-valencia": true,
		"e": false, "es_ES": false, "english": false, `""`: false, "pt-": false, "pt-B": false, "pt BR": false, "es-ES ": false,
		"1es": false, "ñu": false, "zh-Hant-TW-x-private-more": false, `"es\n"`: false, "*": false,
	} {
		key := tag
		if !strings.HasPrefix(tag, `"`) {
			key = `"` + tag + `"`
		}
		if right {
			tests["the language "+tag] = admission{in("{" + key + ": Hola}"), ""}
		} else {
			tests["no language "+tag] = admission{in("{" + key + ": Hola}"), "each key must be a BCP 47 language tag such as es or pt-BR"}
		}
	}
	return tests
}

// warning is a policy with one warning that has further fields.
func warning(fields string) string {
	return plain + "warnings: [{before: 5m, message: Hello, " + fields + "}]\n"
}

func TestAdmissionOfWarnings(t *testing.T) {
	warnings := func(befores ...string) string {
		return plain + "warnings: " + list(len(befores), func(i int) string { return "{before: " + befores[i] + ", message: Hello}" }) + "\n"
	}
	try(t, map[string]admission{
		"a warning a minute before the end is the latest":       {warnings("1m"), ""},
		"a warning can be a second after the silence's begin":   {warnings("14m59s"), ""},
		"there can be several, in any order":                    {warnings("2m", "10m", "5m"), ""},
		"there can be eight":                                    {warnings("1m", "2m", "3m", "4m", "5m", "6m", "7m", "8m"), ""},
		"a warning's message is at most 1,600 characters":       {plain + "warnings: [{before: 5m, message: " + strings.Repeat("m", 1600) + "}]\n", ""},
		"a silent policy can warn":                              {without(plain, "message") + "warnings: [{before: 5m, message: Hello}]\n", ""},
		"there can be no ninth":                                 {warnings("1m", "2m", "3m", "4m", "5m", "6m", "7m", "8m", "9m"), "spec.warnings: Too many: 9: must have at most 8 items"},
		"a warning is a minute before the end, or more":         {warnings("59s"), "spec.warnings[0].before: Invalid value: \"59s\": must be between 1m and 24h"},
		"a warning is not as long before the end as timeout is": {warnings("15m"), "each warnings[].before must be shorter than timeout"},
		"a warning is not longer before the end than timeout":   {warnings("5m", "16m"), "each warnings[].before must be shorter than timeout"},
		"900 seconds are 15 minutes":                            {warnings("900s"), "each warnings[].before must be shorter than timeout"},
		"a warning without its time is refused":                 {plain + "warnings: [{message: Hello}]\n", "spec.warnings[0].before: Required value"},
		"a warning's time has a unit":                           {warnings(`"5"`), "spec.warnings[0].before: Invalid value: \"5\": must be a duration such as 15m, 90s or 1h30m"},
		"a warning's time is in whole seconds":                  {warnings("90500ms"), "spec.warnings[0].before: Invalid value: \"90500ms\": must be in whole seconds"},
		"where one warning's time has no unit the other's counts": {
			warnings("5m", "5m", "soon"), "spec.warnings[2].before: Invalid value: \"soon\": must be a duration such as 15m, 90s or 1h30m"},
		"where the timeout has no unit the warning's is right": {
			with(warnings("5m"), `timeout: "15"`), "spec.timeout: Invalid value: \"15\": must be a duration such as 15m, 90s or 1h30m"},
		"two warnings are not at the same time":                    {warnings("5m", "5m"), "two warnings have the same before: give each its own"},
		"two warnings are not at the same time in other units":     {warnings("5m", "1m", "300s"), "two warnings have the same before: give each its own"},
		"two warnings are not at the same time in smaller units":   {warnings("4m60s", "5m"), "two warnings have the same before: give each its own"},
		"a warning without a message is refused":                   {plain + "warnings: [{before: 5m}]\n", "spec.warnings[0].message: Required value"},
		"a warning's message is not empty":                         {plain + `warnings: [{before: 5m, message: ""}]` + "\n", "is blank: write a text, or leave out what it belongs to (the warning"},
		"a warning's message is not blank":                         {plain + `warnings: [{before: 5m, message: " "}]` + "\n", "is blank: write a text, or leave out what it belongs to (the warning"},
		"a warning's message must fit into an SMS":                 {plain + "warnings: [{before: 5m, message: " + strings.Repeat("m", 1601) + "}]\n", "spec.warnings[0].message: Too long"},
		"a warning that is a text is refused, as it has no before": {plain + "warnings: [Hello]\n", "spec.warnings[0]: Invalid value: \"string\""},
	})
}

func TestAdmissionOfTheUnansweredText(t *testing.T) {
	unanswered := func(fields string) string { return plain + "unanswered: {" + fields + "}\n" }
	const tooLate = "unanswered.after must be shorter than timeout, or the conversation ends before the text is sent: shorten it, or set waitingOn to Customer"
	try(t, map[string]admission{
		"it can be sent after a minute":                        {unanswered("after: 1m, message: Sorry"), ""},
		"it can be sent a second before the end":               {unanswered("after: 14m59s, message: Sorry"), ""},
		"it is at most 1,600 characters":                       {unanswered("after: 5m, message: " + strings.Repeat("m", 1600)), ""},
		"it can be late where nobody is ended who waits":       {unanswered("after: 1h, message: Sorry") + "waitingOn: Customer\n", ""},
		"it can be a day late where nobody is ended who waits": {unanswered("after: 24h, message: Sorry") + "waitingOn: Customer\n", ""},
		"it is not sent in less than a minute":                 {unanswered("after: 59s, message: Sorry"), "spec.unanswered.after: Invalid value: \"59s\": must be between 1m and 24h"},
		"it is not sent at the end":                            {unanswered("after: 15m, message: Sorry"), tooLate},
		"it is not sent after the end":                         {unanswered("after: 1h, message: Sorry"), tooLate},
		"it is not sent after the end where Any silence counts": {
			unanswered("after: 1h, message: Sorry") + "waitingOn: Any\n", tooLate},
		"it is not sent after more than a day": {
			unanswered("after: 25h, message: Sorry") + "waitingOn: Customer\n", "spec.unanswered.after: Invalid value: \"25h\": must be between 1m and 24h"},
		"it has a time":                    {unanswered("message: Sorry"), "spec.unanswered.after: Required value"},
		"its time has a unit":              {unanswered(`after: "5", message: Sorry`), "spec.unanswered.after: Invalid value: \"5\": must be a duration such as 15m, 90s or 1h30m"},
		"its time is in whole seconds":     {unanswered("after: 90500ms, message: Sorry"), "spec.unanswered.after: Invalid value: \"90500ms\": must be in whole seconds"},
		"the timeout beside it has a unit": {with(unanswered("after: 5m, message: Sorry"), `timeout: "15"`), "spec.timeout: Invalid value: \"15\": must be a duration such as 15m, 90s or 1h30m"},
		"it has a message":                 {unanswered("after: 5m"), "spec.unanswered.message: Required value"},
		"its message is not empty":         {unanswered(`after: 5m, message: ""`), "is blank: write a text, or leave out what it belongs to (the warning, the translation, unanswered)"},
		"its message is not blank":         {unanswered(`after: 5m, message: "\t"`), "is blank: write a text, or leave out what it belongs to (the warning, the translation, unanswered)"},
		"its message must fit into an SMS": {unanswered("after: 5m, message: " + strings.Repeat("m", 1601)), "spec.unanswered.message: Too long"},
	})
}

func TestAdmissionOfTheReplyWindow(t *testing.T) {
	window := func(fields string) string { return plain + "replyWindow: {" + fields + "}\n" }
	filled := func(variables string) string {
		return window("outside: SendTemplate, contentSid: " + template + ", contentVariables: " + variables)
	}
	const noTemplate = "must be the SID of a content template: HX followed by 32 hexadecimal digits (Twilio console: Messaging > Content Template Builder)"
	try(t, map[string]admission{
		"CloseSilently is an outside":                         {window("outside: CloseSilently"), ""},
		"Skip is an outside":                                  {window("outside: Skip"), ""},
		"SendTemplate is an outside when there is a template": {window("outside: SendTemplate, contentSid: " + template), ""},
		"a template can be kept while it is not sent":         {window("outside: Skip, contentSid: " + template), ""},
		"a template can have 32 variables":                    {filled(variables(32, "x")), ""},
		"a variable can have a name": {
			filled(`{customer_Name1: "{{.Customer.Name}}"}`), ""},
		"a variable's name is at most 32 characters":        {filled("{" + strings.Repeat("n", 32) + ": x}"), ""},
		"a variable's value is at most 256 characters":      {filled(`{"1": ` + strings.Repeat("v", 256) + "}"), ""},
		"an unknown outside is refused":                     {window("outside: Close"), `supported values: "CloseSilently", "SendTemplate", "Skip"`},
		"a template without an outside is meant to be sent": {window("contentSid: " + template), "contentSid is only sent with outside: SendTemplate; write that too"},
		"values without a template are meant for one":       {window(`outside: Skip, contentVariables: {"1": x}`), "contentVariables are the values of the template that contentSid names; write that too"},
		"SendTemplate needs a template":                     {window("outside: SendTemplate"), "outside SendTemplate needs contentSid, the template to send: HX and 32 hexadecimal digits"},
		"a template's SID begins with HX":                   {window("outside: SendTemplate, contentSid: MG0123456789abcdef0123456789abcdef"), noTemplate},
		"a template's SID has 32 digits":                    {window("outside: SendTemplate, contentSid: HX0123"), noTemplate},
		"a template's SID has hexadecimal digits":           {window("outside: SendTemplate, contentSid: HX0123456789abcdefg123456789abcdef"), noTemplate},
		"a template's SID is not empty":                     {window(`outside: SendTemplate, contentSid: ""`), noTemplate},
		"a template's SID is not longer":                    {window("outside: SendTemplate, contentSid: " + template + "0"), "spec.replyWindow.contentSid: Too long"},
		"a template has no more than 32 variables":          {filled(variables(33, "x")), "must have at most 32 items"},
		"a variable has a name of letters and digits":       {filled(`{"{{1}}": x}`), "each key must be the name of a variable of the template: 1 to 32 letters, digits and underscores"},
		"a variable's name is not empty":                    {filled(`{"": x}`), "each key must be the name of a variable of the template"},
		"a variable's name is bounded":                      {filled("{" + strings.Repeat("n", 33) + ": x}"), "each key must be the name of a variable of the template"},
		"a variable's value is not empty":                   {filled(`{"1": ""}`), "should be at least 1 chars long"},
		"a variable's value is bounded":                     {filled(`{"1": ` + strings.Repeat("v", 257) + "}"), "spec.replyWindow.contentVariables.1: Too long"},
		"a variable's value is a text":                      {filled(`{"1": 5}`), `spec.replyWindow.contentVariables.1: Invalid value: "integer"`},
	})
}
