package inactivity

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/template"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

// ana is a conversation of which everything is known.
var ana = Values{
	CustomerName: "Ana", Channel: "sms", Timeout: 15 * time.Minute, Remaining: 5 * time.Minute,
	Attributes: map[string]string{"order": "A-17", "vip": "true", "tier": "2", "blocked": "false"},
}

func textOf(t *testing.T, message string) Text {
	t.Helper()
	text, err := newText("spec.message", v1alpha1.Text(message), nil, "spec.translations")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestATextSaysWhatIsKnown(t *testing.T) {
	for sentence, test := range map[string]struct{ message, want string }{
		"plain text is sent as it is":             {"Your session has timed out.", "Your session has timed out."},
		"also its own spaces and lines":           {"  Bye,  and\n\n thanks. ", "  Bye,  and\n\n thanks. "},
		"single braces are plain text":            {"{Bye} }} {", "{Bye} }} {"},
		"the customer's name":                     {"Hi {{.Customer.Name}}!", "Hi Ana!"},
		"the channel":                             {"on {{.Channel}}", "on sms"},
		"the timeout and what is left of it":      {"{{.Remaining}} of {{.Timeout}}", "5 min of 15 min"},
		"an attribute of the task":                {"Order {{.Attributes.order}}.", "Order A-17."},
		"a condition that holds":                  {`{{if .Attributes.vip}}Dear{{else}}Hi{{end}}`, "Dear"},
		"an attribute that is false is false":     {`{{if .Attributes.blocked}}Blocked{{else}}Fine{{end}}`, "Fine"},
		"an attribute that is missing is false":   {`{{if .Attributes.gone}}There{{else}}Gone{{end}}`, "Gone"},
		"else if":                                 {`{{if .Attributes.gone}}a{{else if eq .Channel "sms"}}b{{else}}c{{end}}`, "b"},
		"with makes a value the dot":              {`{{with .Customer.Name}}Hi {{.}}{{else}}Hi there{{end}}`, "Hi Ana"},
		"with and a missing value":                {`{{with .Attributes.gone}}Hi {{.}}{{else}}Hi {{.Customer.Name}}{{end}}`, "Hi Ana"},
		"else with":                               {`{{with .Attributes.gone}}{{.}}{{else with .Channel}}{{.}}{{end}}`, "sms"},
		"the dot of a condition within with":      {`{{with .Channel}}{{if eq . "sms"}}by {{.}}{{end}}{{end}}`, "by sms"},
		"or gives the first that is there":        {`{{or .Attributes.nickname .Customer.Name "you"}}`, "Ana"},
		"or falls back to a text":                 {`{{or .Attributes.nickname "you"}}`, "you"},
		"and gives the last if all are there":     {`{{and .Customer.Name .Channel}}`, "sms"},
		"and gives the first that is not there":   {`Hi{{and .Attributes.gone .Channel}}`, "Hi"},
		"not":                                     {`{{if not .Attributes.gone}}a{{end}}`, "a"},
		"eq with one of several":                  {`{{if eq .Channel "web" "sms"}}a{{end}}`, "a"},
		"eq with none of several":                 {`{{if eq .Channel "web" "chat"}}a{{else}}b{{end}}`, "b"},
		"ne":                                      {`{{if ne .Channel "web"}}a{{end}}`, "a"},
		"functions in parentheses":                {`{{if and (eq .Channel "sms") (not (eq .Attributes.tier "3"))}}a{{end}}`, "a"},
		"a number compares with its text":         {`{{if eq .Attributes.tier 2}}a{{end}}`, "a"},
		"a number compares as a number":           {`{{if eq 2.0 .Attributes.tier}}a{{end}}`, "a"},
		"a text is no number":                     {`{{if eq .Attributes.order 2}}a{{else}}b{{end}}`, "b"},
		"texts that look like numbers are texts":  {`{{if eq .Attributes.tier "2.0"}}a{{else}}b{{end}}`, "b"},
		"true compares with its text":             {`{{if eq .Attributes.vip true}}a{{end}}`, "a"},
		"a comment is not sent":                   {"Bye{{/* for now */}}.", "Bye."},
		"dashes trim the template's own spaces":   {"Bye {{- if .Attributes.vip }} dear {{ end -}} customer", "Bye dear customer"},
		"braces can be written as a text":         {`{{"{{"}}x}}`, "{{x}}"},
		"a value is not a template":               {"{{.Attributes.order}}", "A-17"},
		"a line break in a value stays":           {"{{.Attributes.order}}", "A-17"},
		"several languages' letters are counted":  {strings.Repeat("é", MaxBody), strings.Repeat("é", MaxBody)},
		"keys of attributes can have any letters": {"{{.Attributes.größe_1}}", ""},
	} {
		body, shortened := textOf(t, test.message).In("", ana)
		if body != test.want || shortened {
			t.Errorf("%s: %q gives %q (shortened: %t), want %q", sentence, test.message, body, shortened, test.want)
		}
	}
}

func TestAMissingValueIsLeftOutWithItsSpaces(t *testing.T) {
	for sentence, test := range map[string]struct{ message, want string }{
		"before a comma":                      {"Hi {{.Customer.Name}}, hello", "Hi, hello"},
		"between words one space stays":       {"Dear {{.Customer.Name}} customer", "Dear customer"},
		"several in a row":                    {"Dear {{.Customer.Name}} {{.Channel}} {{.Timeout}} customer", "Dear customer"},
		"a space between two stays":           {"a{{.Channel}} {{.Timeout}}b", "a b"},
		"without spaces nothing is added":     {"a{{.Channel}}b", "ab"},
		"a space on the left stays":           {"a {{.Channel}}b", "a b"},
		"a space on the right stays":          {"a{{.Channel}} b", "a b"},
		"at the beginning":                    {"{{.Customer.Name}} hello", "hello"},
		"at the end":                          {"Bye {{.Customer.Name}}", "Bye"},
		"at the end, after others":            {"Bye {{.Customer.Name}} {{.Channel}} ", "Bye"},
		"at the beginning of a line":          {"Hi.\n{{.Customer.Name}} bye", "Hi.\nbye"},
		"at the end of a line":                {"Hi {{.Customer.Name}} \nbye", "Hi\nbye"},
		"line breaks stay":                    {"Hi\n{{.Customer.Name}}\nbye", "Hi\n\nbye"},
		"in parentheses":                      {"Order ({{.Attributes.order}} today)", "Order (today)"},
		"before a full stop":                  {"Your order {{.Attributes.order}}.", "Your order."},
		"a space before a mark, as in French": {"Bonjour {{.Customer.Name}} !", "Bonjour !"},
		"Spanish marks":                       {"¡{{.Customer.Name}} hola!", "¡hola!"},
		"Chinese marks":                       {"您好 {{.Customer.Name}}，再见", "您好，再见"},
		"spaces elsewhere stay":               {"a  b {{.Customer.Name}} c  d", "a  b c  d"},
		"tabs and fixed spaces are spaces":    {"a\t{{.Customer.Name}}\u00a0b", "a\tb"},
		"also where a condition leaves nothing": {
			"Hi {{with .Customer.Name}}{{.}}{{end}}, your chat {{if .Attributes.order}}about {{.Attributes.order}}{{end}} has ended", "Hi, your chat has ended"},
		"a condition may bring its own space": {"Hi{{with .Customer.Name}} {{.}}{{end}}!", "Hi!"},
		"a text of nothing visible is empty":  {"\u200b{{.Customer.Name}}\u2060", ""},
		"a text of values only is empty":      {"{{.Customer.Name}}\n {{.Channel}}", ""},
	} {
		if body, shortened := textOf(t, test.message).In("", Values{}); body != test.want || shortened {
			t.Errorf("%s: %q gives %q (shortened: %t), want %q", sentence, test.message, body, shortened, test.want)
		}
	}
}

func TestAValueIsMadeFitToBePrinted(t *testing.T) {
	for sentence, test := range map[string]struct{ value, want string }{
		"braces stay text":                   {"{{.Channel}}", "<{{.Channel}}>"},
		"spaces around it go":                {"  Ana\n ", "<Ana>"},
		"a line break within stays":          {"Ana\nLuz", "<Ana\nLuz>"},
		"a tab becomes a space":              {"Ana\tLuz", "<Ana Luz>"},
		"control characters go":              {"A\x00n\x1b[31m\u0085a\r", "<An[31ma>"},
		"what turns the text around goes":    {"A\u202ena\u2066", "<Ana>"},
		"bytes that are no text go":          {"A\xff\xfena", "<Ana>"},
		"joined emoji stay":                  {"👩‍💻", "<👩‍💻>"},
		"a long one is cut at 256":           {strings.Repeat("é", 300), "<" + strings.Repeat("é", 256) + ">"},
		"without a space at the cut":         {strings.Repeat("é", 255) + " é", "<" + strings.Repeat("é", 255) + ">"},
		"blank is missing":                   {" \n\t\u200e", "<>"},
		"control characters only is missing": {"\x00\x07", "<>"},
		"nothing visible is missing":         {"\u200b \u2060", "<>"},
	} {
		text := textOf(t, "<{{.Customer.Name}}>")
		if body, _ := text.In("", Values{CustomerName: test.value}); body != test.want {
			t.Errorf("%s: %q gives %q, want %q", sentence, test.value, body, test.want)
		}
		text = textOf(t, "<{{.Attributes.a}}>")
		if body, _ := text.In("", Values{Attributes: map[string]string{"a": test.value}}); body != test.want {
			t.Errorf("%s, in an attribute: %q gives %q, want %q", sentence, test.value, body, test.want)
		}
	}
}

func TestATextThatValuesMakeTooLongIsSentWithoutThem(t *testing.T) {
	name := strings.Repeat("x", maxValue)
	// Seven names are 1,792 characters, six and the words exactly MaxBody.
	full := strings.Repeat("{{.Customer.Name}}", 6) + strings.Repeat("é", MaxBody-6*maxValue)
	for sentence, test := range map[string]struct {
		message, want string
		shortened     bool
	}{
		"at the limit everything is sent": {full, strings.Repeat(name, 6) + strings.Repeat("é", MaxBody-6*maxValue), false},
		"one character more is too many":  {full + "!", strings.Repeat("é", MaxBody-6*maxValue) + "!", true},
		"conditions see no values either": {`{{if .Customer.Name}}Dear{{else}}Hello{{end}} ` + strings.Repeat("{{.Customer.Name}}", 7) + ".", "Hello.", true},
		"other values are left out too":   {"{{.Channel}} {{.Timeout}} bye " + strings.Repeat("{{.Customer.Name}}", 7), "bye", true},
		"an author's text that is repeated is cut": {
			`{{with "` + strings.Repeat("é", 200) + `"}}` + strings.Repeat("{{.}}", 9) + "{{end}}", strings.Repeat("é", MaxBody), true},
	} {
		values := ana
		values.CustomerName = name
		if body, shortened := textOf(t, test.message).In("", values); body != test.want || shortened != test.shortened {
			t.Errorf("%s: %d characters (shortened: %t), want %d (%t)\n%s", sentence, utf8.RuneCountInString(body), shortened,
				utf8.RuneCountInString(test.want), test.shortened, body)
		}
	}
	// Whatever is within the limit as it is written is within it without values, so that nothing has to be cut.
	long := strings.Repeat("é", MaxBody-len(`{{.Channel}}`)) + `{{.Channel}}`
	if body, shortened := textOf(t, long).In("", Values{}); shortened || utf8.RuneCountInString(body) != MaxBody-len(`{{.Channel}}`) {
		t.Errorf("a text of %d characters is %d without values (shortened: %t)", MaxBody, utf8.RuneCountInString(body), shortened)
	}
}

func TestATextIsSentInTheCustomersLanguage(t *testing.T) {
	text, err := newText("spec.message", "Bye", v1alpha1.Translations{
		"es": "Adiós", "pt-BR": "Tchau", "pt": "Adeus", "zh-Hant": "再見", "zh": "再见",
	}, "spec.translations")
	if err != nil {
		t.Fatal(err)
	}
	for language, want := range map[string]string{
		"": "Bye", "en": "Bye", "es": "Adiós", "es-MX": "Adiós", "ES_mx": "Adiós", " es ": "Adiós", "est": "Bye", "e": "Bye",
		"pt-BR": "Tchau", "pt_br": "Tchau", "pt-BR-x-caipira": "Tchau", "pt-PT": "Adeus", "pt-": "Adeus", "es-ES,es;q=0.9": "Bye", "es en": "Bye",
		"zh-Hant-TW": "再見", "zh-Hans-CN": "再见", "zh-TW": "再见", "-": "Bye", "-es": "Bye", "español": "Bye",
	} {
		if body, _ := text.In(language, ana); body != want {
			t.Errorf("language %q gives %q, want %q", language, body, want)
		}
	}
	upper, err := newText("spec.message", "Bye", v1alpha1.Translations{"PT-br": "Tchau"}, "spec.translations")
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := upper.In("pt-BR", ana); body != "Tchau" {
		t.Errorf("a tag in another case gives %q", body)
	}
}

func TestABlankTextIsNone(t *testing.T) {
	if body, shortened := (Text{}).In("es", ana); !(Text{}).IsEmpty() || body != "" || shortened {
		t.Errorf("the zero Text: %q, shortened %t", body, shortened)
	}
	for message, want := range map[string]bool{
		"": true, " \n\t": true, "{{/* later */}}": true, " {{- /* later */ -}} ": true, ".": false, "{{.Channel}}": false,
	} {
		if got := textOf(t, message).IsEmpty(); got != want {
			t.Errorf("%q is empty: %t, want %t", message, got, want)
		}
	}
}

func TestATemplateThatCannotBeUsedSaysWhatToWrite(t *testing.T) {
	for message, want := range map[string]string{
		"Hi\n{{range .Attributes.a}}x{{end}}":        `spec.message: line 2: {{range}} is not allowed: a text can contain {{.Customer.Name}}`,
		`{{template "x"}}`:                           `line 1: {{template}} is not allowed`,
		"a\n\n{{define \"x\"}}b{{end}}":              `line 3: {{define}} and {{block}} are not allowed`,
		`{{define "line"}}b{{end}}`:                  `line 1: {{define}} and {{block}} are not allowed`,
		`{{block "x" .}}b{{end}}`:                    `{{define}} and {{block}} are not allowed`,
		`{{break}}`:                                  `line 1: {{break}} outside {{range}}: a text can contain`,
		`{{$x := .Channel}}`:                         `variables such as $x are not allowed`,
		`{{if $x := .Channel}}{{$x}}{{end}}`:         `variables such as $x are not allowed`,
		`{{$.Channel}}`:                              `variables such as $.Channel are not allowed`,
		`{{.Channel | printf "%s"}}`:                 `line 1: | is not allowed`,
		`{{printf "%s" .Channel}}`:                   `the function printf is not allowed: a text can contain`,
		`{{len .Channel}}`:                           `the function len is not allowed`,
		`{{index .Attributes "a"}}`:                  `the function index is not allowed`,
		`{{call .Channel}}`:                          `the function call is not allowed`,
		`{{if lt .Attributes.tier 2}}a{{end}}`:       `the function lt is not allowed`,
		`{{html}}`:                                   `{{html}} is unknown: a text can contain`,
		`{{.Customer.Naem}}`:                         `{{.Customer.Naem}} is unknown: did you mean {{.Customer.Name}}?`,
		`{{.customer.name}}`:                         `did you mean {{.Customer.Name}}?`,
		`{{customer.name}}`:                          `{{customer.name}} is unknown: did you mean {{.Customer.Name}}?`,
		`{{.Customer}}`:                              `{{.Customer}} is unknown: did you mean {{.Customer.Name}}?`,
		`{{.Name}}`:                                  `{{.Name}} is unknown: did you mean {{.Customer.Name}}?`,
		`{{.CustomerName}}`:                          `did you mean {{.Customer.Name}}?`,
		`{{.Customer.Name.First}}`:                   `{{.Customer.Name.First}} is unknown: a text can contain`,
		`{{Channel}}`:                                `{{Channel}} is unknown: did you mean {{.Channel}}?`,
		`{{.Chanel}}`:                                `did you mean {{.Channel}}?`,
		`{{.Attribute.order}}`:                       `did you mean {{.Attributes.order}}?`,
		`{{.Attributes}}`:                            `did you mean {{.Attributes.key}}?`,
		`{{.Attributes.a.b}}`:                        `{{.Attributes.a.b}} is not allowed: only attributes of the task itself can be written, such as {{.Attributes.a}}`,
		"\n{{.Attributes.first-name}}":               `line 2: the attribute "first-name" cannot be written in a text: a key has letters, digits and underscores, and no digit at its beginning`,
		`{{.Attributes.1st}}`:                        `the attribute "1st" cannot be written in a text`,
		`{{.Minutes}}`:                               `{{.Minutes}} is unknown: a text can contain`,
		`{{.}}`:                                      `{{.}} is a value within {{with}} only`,
		`{{with .Customer.Name}}{{.Channel}}{{end}}`: `within {{with}} only its own value can be written, as {{.}}: use {{if}} to write .Channel there`,
		`{{with .Customer}}{{.Name}}{{end}}`:         `{{.Customer}} is unknown: did you mean {{.Customer.Name}}?`,
		`{{with .Channel}}a{{else}}{{.}}{{end}}`:     `{{.}} is a value within {{with}} only`,
		`{{eq .Channel "sms"}}`:                      `{{eq .Channel "sms"}} is true or false, and no text: write {{if …}} before it`,
		`{{or .Channel (not .Channel)}}`:             `is true or false, and no text`,
		`{{with eq .Channel "sms"}}{{.}}{{end}}`:     `{{with}} needs a value, and eq .Channel "sms" is true or false: write {{if}}`,
		`{{.Channel "x"}}`:                           `"x" cannot follow .Channel: only and, or, not, eq and ne are followed by values`,
		`{{if and eq .Channel "sms"}}a{{end}}`:       `put eq and what belongs to it into parentheses, or write a text in double quotes`,
		`{{if eq .Channel sms}}a{{end}}`:             `put sms and what belongs to it into parentheses, or write a text in double quotes`,
		`{{if eq .Channel 's'}}a{{end}}`:             `'s' is not allowed: write a number such as 2 or 1.5, or a text in double quotes`,
		`{{if eq .Channel 2i}}a{{end}}`:              `2i is not allowed: write a number such as 2 or 1.5`,
		`{{if eq .Channel nil}}a{{end}}`:             `nil is not allowed`,
		`{{if eq .Channel}}a{{end}}`:                 `eq with 1 values: write at least two, as in (eq .Channel "sms")`,
		`{{if ne .Channel "a" "b"}}a{{end}}`:         `ne with 3 values: write two, as in (ne .Channel "sms")`,
		`{{if not .Channel .Channel}}a{{end}}`:       `not with 2 values: write one, as in (not .Customer.Name)`,
		`{{and}}`:                                    `and with 0 values: write at least one`,
		`{{(.Channel).Name}}`:                        `{{(.Channel).Name}} is unknown`,
		`Hi {{.Customer.Name`:                        `line 1: unclosed action: }} is missing`,
		`Hi {{.Customer.Name}, bye`:                  `line 1: bad character U+007D '}': }} is missing`,
		`Hi {{.Customer.Name {{.Timeout}}`:           `}} is missing before it, or a { is too many`,
		`{{/* for the team`:                          `line 1: unclosed comment: */}} is missing`,
		"Hi {{if .Channel}}\n\nthere":                `line 3: unexpected EOF: {{end}} is missing: each {{if}} and each {{with}} needs one`,
		`{{if .Channel}}a{{endif}}`:                  `{{end}} is missing`,
		`{{.Customer.Name | default "you"}}`:         `line 1: | is not allowed: write or, as in {{or .Customer.Name "you"}}`,
		`{{.Customer.Name | or "you"}}`:              `| is not allowed: write or, as in {{or .Customer.Name "you"}}`,
		`{{.Customer.Name || "you"}}`:                `write or, as in {{or .Customer.Name "you"}}`,
		`{{default "you" .Customer.Name}}`:           `the function default is not allowed: write or, as in {{or .Customer.Name "you"}}`,
		`{{if .Channel == "sms"}}a{{end}}`:           `compare with eq, as in {{if eq .Channel "sms"}}`,
		`{{if .Channel != "sms"}}a{{end}}`:           `ne for !=, as in {{if ne .Channel "sms"}}`,
		`{{if !.Channel}}a{{end}}`:                   `write not, as in {{if not .Customer.Name}}`,
		`{{if .Channel && .Timeout}}a{{end}}`:        `write and, as in {{if and .Customer.Name .Channel}}`,
		`{{if eq .Channel "sms}}a{{end}}`:            `a text ends with the double quote that it begins with, as in "sms"`,
		`{{end}}`:                                    `line 1: unexpected {{end}}`,
		`{{}}`:                                       `line 1: missing value for command`,
		strings.Repeat("é", MaxBody+1):               `spec.message: has 1601 characters: shorten it to 1600`,
	} {
		text, err := newText("spec.message", v1alpha1.Text(message), nil, "spec.translations")
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "spec.message: ") {
			t.Errorf("%s\ngives %v\nwant  %s", message, err, want)
		}
		if err != nil && (strings.Contains(err.Error(), "\n") || len(err.Error()) > 2*maxSentence || !text.IsEmpty()) {
			t.Errorf("%s gives an error of %d bytes: %q", message, len(err.Error()), err)
		}
	}
}

func TestTranslationsThatCannotBeUsed(t *testing.T) {
	for sentence, test := range map[string]struct {
		message      v1alpha1.Text
		translations v1alpha1.Translations
		want         string
	}{
		"the language is named": {"Bye", v1alpha1.Translations{"de": "Tschüss", "es": "Adiós\n{{range .}}{{end}}"},
			`spec.warnings[0].translations["es"]: line 2: {{range}} is not allowed: a text can contain`},
		"a language twice": {"Bye", v1alpha1.Translations{"pt-BR": "Tchau", "PT-br": "Tchau"},
			`spec.warnings[0].translations["pt-BR"]: is the same language as "PT-br": keep one of them`},
		"a blank one": {"Bye", v1alpha1.Translations{"es": " \n"},
			`spec.warnings[0].translations["es"]: is blank: write a text, or leave the language out`},
		"of nothing": {" ", v1alpha1.Translations{"es": "Adiós"},
			`spec.warnings[0].translations: spec.warnings[0].message is empty: write it, for customers of other languages`},
	} {
		text, err := newText("spec.warnings[0].message", test.message, test.translations, "spec.warnings[0].translations")
		if err == nil || !strings.HasPrefix(err.Error(), test.want) || !text.IsEmpty() {
			t.Errorf("%s: %v, want %s", sentence, err, test.want)
		}
	}
}

func TestAContentVariable(t *testing.T) {
	for sentence, test := range map[string]struct {
		template string
		values   Values
		want     string
	}{
		"is written like a text":          {"{{.Customer.Name}}", ana, "Ana"},
		"is a dash when it is empty":      {"", ana, "-"},
		"is a dash when it is blank":      {" \n", ana, "-"},
		"is a dash when nothing is known": {"{{.Customer.Name}}", Values{}, "-"},
		"has no line breaks":              {"{{.Customer.Name}}", Values{CustomerName: "Ana\nLuz"}, "Ana Luz"},
		"has no rows of spaces":           {"a \t    b\n\nc", Values{}, "a b c"},
		"is at most 256 characters":       {"{{.Customer.Name}}", Values{CustomerName: strings.Repeat("é", 300)}, strings.Repeat("é", 256)},
		"is written without values when it is longer": {
			"Hi {{.Customer.Name}}!", Values{CustomerName: strings.Repeat("é", 300)}, "Hi!"},
		"is cut when the author's text is too long": {strings.Repeat("é", 300), ana, strings.Repeat("é", 256)},
	} {
		template, err := newTemplate("spec.replyWindow.contentVariables[\"1\"]", test.template)
		if err != nil {
			t.Fatal(err)
		}
		if got := template.With(test.values); got != test.want {
			t.Errorf("%s: %q, want %q", sentence, got, test.want)
		}
	}
	_, err := newTemplate(`spec.replyWindow.contentVariables["1"]`, "{{.Naem}}")
	if want := `spec.replyWindow.contentVariables["1"]: line 1: {{.Naem}} is unknown`; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("error %v, want %s", err, want)
	}
	if got := (Template(nil)).With(ana); got != "-" {
		t.Errorf("the zero Template gives %q", got)
	}
}

func TestDurationsArePrintedWithSymbols(t *testing.T) {
	for length, want := range map[time.Duration]string{
		-time.Second: "", 0: "", time.Minute: "1 min",
		time.Minute + 1: "2 min", 90 * time.Second: "2 min", 5*time.Minute - time.Millisecond: "5 min", 15 * time.Minute: "15 min",
		59*time.Minute + time.Second: "1 h", time.Hour: "1 h", 90 * time.Minute: "1 h 30 min", 24 * time.Hour: "24 h",
		1<<63 - 1: "2562047 h 48 min",
	} {
		if got := durationText(length); got != want {
			t.Errorf("%s is printed as %q, want %q", length, got, want)
		}
	}
}

// TestATextAgreesWithTextTemplate holds the parser's own evaluation against the package whose language it reads.
func TestATextAgreesWithTextTemplate(t *testing.T) {
	for _, message := range []string{
		"Hi {{.Customer.Name}}, {{.Remaining}} of {{.Timeout}} on {{.Channel}}: {{.Attributes.order}}",
		`{{if and .Customer.Name (eq .Channel "sms")}}a{{else if .Timeout}}b{{else}}c{{end}}`,
		`{{with or .Attributes.gone .Customer.Name}}{{.}}{{if ne . "Ana"}}?{{end}}{{else with .Channel}}{{.}}{{end}}`,
		`{{if not (or (eq .Channel "web" "chat") (not .Attributes.vip))}}a{{end}}{{or "" "b"}}{{and "x" "y"}}{{/* c */}}`,
		"a {{- if .Channel -}} b {{- else }} c {{ end }} d",
	} {
		got, _ := textOf(t, message).In("", ana)
		if diff := cmp.Diff(executed(t, message, ana), got); diff != "" {
			t.Errorf("%s (-text/template +got):\n%s", message, diff)
		}
	}
}

// executed is what text/template makes of a text, or "" with an error where that is stricter about types.
func executed(t *testing.T, message string, values Values) string {
	t.Helper()
	parsed, err := template.New("").Option("missingkey=zero").Parse(message)
	if err != nil {
		t.Fatalf("text/template does not read %q: %v", message, err)
	}
	var written strings.Builder
	err = parsed.Execute(&written, map[string]any{
		"Customer": map[string]string{"Name": values.CustomerName}, "Channel": values.Channel,
		"Timeout": durationText(values.Timeout), "Remaining": durationText(values.Remaining), "Attributes": values.Attributes,
	})
	if err != nil {
		return ""
	}
	return written.String()
}

func TestATextCanBeUsedBySeveralGoroutines(t *testing.T) {
	text, err := newText("spec.message", "Hi {{.Customer.Name}}", v1alpha1.Translations{"es": "Hola {{.Customer.Name}}"}, "spec.translations")
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			name := fmt.Sprint("c", i)
			if body, _ := text.In("es", Values{CustomerName: name}); body != "Hola "+name {
				t.Errorf("customer %d reads %q", i, body)
			}
		})
	}
	group.Wait()
}

// FuzzText holds for any text and any values: reading and writing it never panics, what is written is bounded, has nothing
// of a template's workings in it, and is what text/template would write, but for spaces.
func FuzzText(f *testing.F) {
	f.Add("Hi {{.Customer.Name}}, bye", "Hola {{with .Customer.Name}}{{.}}{{end}}", "es-MX", "Ana", "order", "A-17", int64(15))
	f.Add(`{{if and (eq .Channel "sms") (not .Attributes.a)}}a{{else}}b {{.Attributes.a}} {{end}}`, "", "", "", "a", "b\x00", int64(-1))
	f.Add("{{range .}}{{end}}", "{{.Attributes.a-b}}", "_", "\xff", "", "", int64(1<<62))
	f.Fuzz(func(t *testing.T, message, translation, language, name, key, attribute string, seconds int64) {
		translations := v1alpha1.Translations{"es": v1alpha1.Text(translation)}
		if translation == "" {
			translations = nil
		}
		text, err := newText("spec.message", v1alpha1.Text(message), translations, "spec.translations")
		if err != nil {
			if strings.Contains(err.Error(), "\n") || len(err.Error()) > 2*maxSentence || !strings.HasPrefix(err.Error(), "spec.") {
				t.Errorf("%q gives the error %q", message, err)
			}
			return
		}
		values := Values{
			CustomerName: name, Channel: "sms", Timeout: time.Duration(seconds), Remaining: time.Duration(seconds) * time.Second,
			Attributes: map[string]string{key: attribute},
		}
		for _, language := range []string{language, "es", ""} {
			body, shortened := text.In(language, values)
			written := message + translation
			checkBody(t, body, written+name+attribute, strings.Contains(written, `\`))
			if utf8.ValidString(message) && utf8.ValidString(translation) && !utf8.ValidString(body) {
				t.Errorf("%q is no UTF-8", body)
			}
			if without, cut := text.In(language, Values{}); shortened && !cut && without != body {
				t.Errorf("shortened to %q, and without values it is %q", body, without)
			}
		}
		if read, err := newTemplate("x", message); err != nil {
			t.Errorf("%q is a text and no template: %v", message, err)
		} else if variable := read.With(values); variable == "" || utf8.RuneCountInString(variable) > MaxContentVariable || strings.ContainsAny(variable, "\n\t") {
			t.Errorf("%q is no content variable", variable)
		}
		checkAgreement(t, text, message)
	})
}

// checkBody checks what holds for whatever is written of the given sources. escapes says that the author has written
// characters by their codes.
func checkBody(t *testing.T, body, sources string, escapes bool) {
	t.Helper()
	if count := utf8.RuneCountInString(body); count > MaxBody {
		t.Errorf("%d characters are written", count)
	}
	if strings.Contains(body, "<no value>") && !strings.Contains(sources, "<no") {
		t.Errorf("%q is written", body)
	}
	for _, r := range body {
		if !escapes && unicode.IsControl(r) && !strings.ContainsRune(sources, r) {
			t.Errorf("%q has the control character %U", body, r)
		}
	}
}

// checkAgreement compares with text/template where that does what is documented here: it tells numbers from texts, and
// takes false for true when it is a text.
func checkAgreement(t *testing.T, text Text, message string) {
	t.Helper()
	if strings.ContainsAny(message, "0123456789\\") || strings.Contains(message, "true") || strings.Contains(message, "false") || !utf8.ValidString(message) {
		return
	}
	known := ana
	known.Attributes = maps.Clone(ana.Attributes)
	maps.DeleteFunc(known.Attributes, func(_, value string) bool { return value == "false" })
	want := executed(t, message, known)
	got, shortened := text.In("", known)
	if !strings.ContainsFunc(want, isVisible) || shortened {
		return
	}
	if letters := func(s string) string { return strings.Join(strings.Fields(s), "") }; letters(got) != letters(want) {
		t.Errorf("%q gives %q, text/template gives %q", message, got, want)
	}
}

func TestSuggestionsAreNear(t *testing.T) {
	names := slices.Sorted(maps.Keys(taskFields))
	for word, want := range map[string]string{
		"chanel": "channel", "Channel": "channel", "queuesid": "queueSid", "queue_sid": "queueSid", "prioritty": "priority", "attribute": "attributes",
		"vip": "", "": "", "x": "", "agee": "age", "aeg": "age", strings.Repeat("channel", 300): "",
	} {
		if got := nearest(word, names); got != want {
			t.Errorf("nearest to %.20q is %q, want %q", word, got, want)
		}
	}
}
