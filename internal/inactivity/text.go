package inactivity

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

const (
	// MaxBody is how many characters the text of a message may have on SMS and WhatsApp
	// (https://www.twilio.com/docs/conversations-classic/conversations-limits).
	MaxBody = 1600

	// MaxContentVariable is how many characters the value of a content variable may have
	// (https://www.twilio.com/docs/api/errors/50541).
	MaxContentVariable = 256

	// maxValue is how many characters of a value are printed, so that no attribute can take a text over.
	maxValue = 256
)

// Values are what a text can say of a conversation. The zero value of a field is a value that is missing.
type Values struct {
	// CustomerName as the task has it.
	CustomerName string
	// Channel is the channel's type, such as sms.
	Channel string
	// Timeout of the policy.
	Timeout time.Duration
	// Remaining is the time that is left until the end.
	Remaining time.Duration
	// Attributes of the task, as text. A value that is empty or false counts as false in a condition.
	Attributes map[string]string
}

// Text is a text to the customer in the languages of a policy. The zero value is no text. A Text never changes, so it can be
// used by several goroutines.
type Text struct {
	message Template
	// translations by language tag in normal form.
	translations map[string]Template
}

// newText reads a text and its translations. field and translationsField are their names in errors, which say what is
// wrong on which line, and what to write instead. A blank message without translations is no text.
func newText(field string, message v1alpha1.Text, translations v1alpha1.Translations, translationsField string) (Text, error) {
	read, err := newTemplate(field, string(message))
	if err != nil {
		return Text{}, err
	}
	text := Text{message: read}
	if len(translations) == 0 {
		return text, nil
	}
	if text.IsEmpty() {
		return Text{}, fmt.Errorf("%s: %s is empty: write it, for customers of other languages", translationsField, field)
	}
	text.translations = make(map[string]Template, len(translations))
	written := make(map[string]string, len(translations))
	for _, tag := range slices.Sorted(maps.Keys(translations)) {
		field := fmt.Sprintf("%s[%q]", translationsField, tag)
		if other, twice := written[languageTag(tag)]; twice {
			return Text{}, fmt.Errorf("%s: is the same language as %q: keep one of them", field, other)
		}
		translation, err := newTemplate(field, string(translations[tag]))
		if err != nil {
			return Text{}, err
		}
		if len(translation) == 0 {
			return Text{}, fmt.Errorf("%s: is blank: write a text, or leave the language out", field)
		}
		written[languageTag(tag)] = tag
		text.translations[languageTag(tag)] = translation
	}
	return text, nil
}

// IsEmpty reports that there is no text: the message is absent or blank.
func (t Text) IsEmpty() bool { return len(t.message) == 0 }

// In writes the text in the language, a BCP 47 tag in any case and with "_" for "-": pt-BR falls back to pt, then to the
// message. The body has at most MaxBody characters: when the values make it longer, it is written as if they were all
// missing, and shortened is true. A body can be empty, because conditions may leave nothing: there is nothing to send then.
func (t Text) In(language string, values Values) (body string, shortened bool) {
	chosen := t.message
	tag := strings.TrimRight(languageTag(language), "-")
	if !isLanguageTag.MatchString(tag) {
		tag = "" // a list of languages, or no language at all
	}
	for ; tag != ""; tag = tag[:max(0, strings.LastIndexByte(tag, '-'))] {
		if translation, found := t.translations[tag]; found {
			chosen = translation
			break
		}
	}
	return chosen.bounded(values, MaxBody)
}

// isLanguageTag matches what the schema takes for the keys of translations, in the form of languageTag.
var isLanguageTag = regexp.MustCompile(`^[a-z]{2,8}(-[a-z0-9]{1,8})*$`)

// languageTag is a language tag in the form in which tags are compared.
func languageTag(tag string) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimSpace(tag)), "_", "-")
}

// Template is one parsed text. It is a list of closures rather than a text/template, because those can fail when they
// are executed, and have more in them than a policy may use. The zero value is no text.
type Template []textPart

// newTemplate reads a single template, such as the value of a content variable. An error begins with field.
func newTemplate(field, text string) (Template, error) {
	if count := utf8.RuneCountInString(text); count > MaxBody {
		return nil, fmt.Errorf("%s: has %d characters: shorten it to %d", field, count, MaxBody)
	}
	parts, err := textParser{text}.template()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", field, err)
	}
	return parts, nil
}

// With writes the value of a content variable. Twilio refuses a message of which one is empty, has more than
// MaxContentVariable characters, or has line breaks, tabs or many spaces in a row
// (https://www.twilio.com/docs/api/errors/21656): so what is empty becomes "-", and white space single spaces.
func (t Template) With(values Values) string {
	body, _ := t.bounded(values, MaxContentVariable)
	body = strings.Join(strings.Fields(body), " ")
	if body == "" {
		return "-"
	}
	return body
}

// bounded writes the template in at most limit characters: as if all the values were missing when it would be longer.
// That is cut only where the author's own text is longer than the limit, or is repeated by {{with}}.
func (t Template) bounded(values Values, limit int) (body string, shortened bool) {
	body = t.execute(values)
	if utf8.RuneCountInString(body) <= limit {
		return body, false
	}
	return firstRunes(t.execute(Values{}), limit), true
}

func (t Template) execute(values Values) string {
	var page textPage
	page.write(t, textScope{values: values})
	return page.end()
}

// textScope is what the expressions of a template see.
type textScope struct {
	values Values
	// dot is the value of the innermost {{with}}.
	dot textValue
}

// textValue is what an expression amounts to: always text, so that nothing can be of the wrong type.
type textValue struct {
	text string
	// number is the number that the author wrote; nil for everything else.
	number *float64
}

func (v textValue) isTrue() bool { return v.text != "" && v.text != "false" }

func (v textValue) equals(other textValue) bool {
	if v.text == other.text {
		return true
	}
	if v.number == nil && other.number == nil {
		return false
	}
	a, isNumber := v.asNumber()
	b, areNumbers := other.asNumber()
	return isNumber && areNumbers && a == b
}

// asNumber is the number that the text is.
func (v textValue) asNumber() (float64, bool) {
	if v.number != nil {
		return *v.number, true
	}
	number, err := strconv.ParseFloat(v.text, 64)
	return number, err == nil
}

func boolean(b bool) textValue { return textValue{text: strconv.FormatBool(b)} }

// textPart is a part of a template: words, an expression to print, or branches.
type textPart struct {
	words string
	print func(textScope) textValue

	condition       func(textScope) textValue
	then, otherwise []textPart
	// with says that the condition is the dot of then.
	with bool
}

// textPage is a text being written. Where a value is missing it has a hole, which is closed when it is known what follows.
type textPage struct {
	text strings.Builder
	// hole says that the text so far ends in a hole, and gap is the blank that follows it.
	hole bool
	gap  string
}

// write writes the parts, and reports whether there was anything to write.
func (p *textPage) write(parts []textPart, in textScope) bool {
	wrote := false
	for _, part := range parts {
		text, done := part.words, false
		switch {
		case part.print != nil:
			text = part.print(in).text
		case part.condition != nil:
			decided, inner, chosen := part.condition(in), in, part.otherwise
			if decided.isTrue() {
				chosen = part.then
				if part.with {
					inner.dot = decided
				}
			}
			done = p.write(chosen, inner)
		}
		if text != "" {
			p.add(text)
			done = true
		}
		if !done {
			p.hole = true
		}
		wrote = wrote || done
	}
	return wrote
}

// blankRunes are the spaces that a hole is tidied of. Line breaks stay.
const blankRunes = " \t\u00a0\u202f"

// add writes text, which is not empty.
func (p *textPage) add(text string) {
	if !p.hole {
		p.text.WriteString(text)
		return
	}
	text = p.gap + text
	if rest := strings.TrimLeft(text, blankRunes); rest != "" {
		p.close(text[:len(text)-len(rest)], rest)
		return
	}
	p.gap = text
}

// close closes the hole: after is the blank after it, rest what follows that, nothing at the end of the text.
func (p *textPage) close(after, rest string) {
	written := p.text.String()
	kept := strings.TrimRight(written, blankRunes)
	before := written[len(kept):]
	last, _ := utf8.DecodeLastRuneInString(kept)
	first, _ := utf8.DecodeRuneInString(rest)

	between := before
	switch {
	case kept == "" || last == '\n', rest == "" || first == '\n' || first == '\r':
		between = "" // a line neither begins nor ends with what was around the hole
	case strings.ContainsRune(".,;:!?)]}…»”。，、；：！？", first), before == "":
		between = after // "Hi {{.Customer.Name}}, hello" is "Hi, hello", and "Bonjour {{.Customer.Name}} !" is "Bonjour !"
	}
	if strings.ContainsRune("([{«“¿¡", last) && before == "" {
		between = ""
	}
	p.text.Reset()
	p.text.WriteString(kept)
	p.text.WriteString(between)
	p.text.WriteString(rest)
	p.hole, p.gap = false, ""
}

// end returns what was written; a text without a visible character is nothing.
func (p *textPage) end() string {
	if p.hole {
		p.close(p.gap, "")
	}
	if text := p.text.String(); strings.ContainsFunc(text, isVisible) {
		return text
	}
	return ""
}

// isVisible reports whether a character is more than white space, a control or a zero-width character.
func isVisible(r rune) bool { return !unicode.IsSpace(r) && !unicode.In(r, unicode.Cc, unicode.Cf) }

// cleaned makes text of unknown origin fit to be printed: at most maxValue characters, no control characters but line breaks,
// nothing that turns the direction of the text around it, no white space at its ends, and nothing unless something of it is
// visible.
func cleaned(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return r
		case r == '\t':
			return ' '
		case r == utf8.RuneError, unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r
	}, text)
	text = strings.TrimSpace(firstRunes(strings.TrimSpace(text), maxValue))
	if !strings.ContainsFunc(text, isVisible) {
		return ""
	}
	return text
}

// firstRunes cuts text to at most limit characters.
func firstRunes(text string, limit int) string {
	for i := range text {
		if limit == 0 {
			return text[:i]
		}
		limit--
	}
	return text
}

// durationText prints a length of time with the symbols of the SI, which no language translates: 15 min, 1 h 30 min. It is
// rounded up to whole minutes, because a customer is better off with the longer promise; no policy has lengths of less than
// one. A length that is not positive is missing.
func durationText(length time.Duration) string {
	minutes := int64(length / time.Minute)
	if length%time.Minute > 0 {
		minutes++
	}
	switch {
	case length <= 0:
		return ""
	case minutes < 60:
		return fmt.Sprintf("%d min", minutes)
	case minutes%60 == 0:
		return fmt.Sprintf("%d h", minutes/60)
	default:
		return fmt.Sprintf("%d h %d min", minutes/60, minutes%60)
	}
}
