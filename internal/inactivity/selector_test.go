package inactivity

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

const supportSID = "WQ00000000000000000000000000000001"

// smsTask is a task whose attributes are those of the JSON text.
func smsTask(t testing.TB, attributes string) Subject {
	t.Helper()
	task := Subject{SID: "WT1", Queue: "Support", QueueSID: supportSID, Channel: "sms", Priority: 3, Age: 90*time.Second + 999*time.Millisecond}
	if err := json.Unmarshal([]byte(attributes), &task.Attributes); err != nil {
		t.Fatal(err)
	}
	return task
}

func selectorOf(t testing.TB, spec v1alpha1.Selector) Selector {
	t.Helper()
	selector, err := newSelector(&spec)
	if err != nil {
		t.Fatalf("%s: %v", spec.Expression, err)
	}
	return selector
}

func TestASelectorChooses(t *testing.T) {
	for sentence, test := range map[string]struct {
		selector v1alpha1.Selector
		want     bool
	}{
		"an empty one everything":                  {v1alpha1.Selector{}, true},
		"a channel":                                {v1alpha1.Selector{Channels: []string{"sms"}}, true},
		"a channel in any case":                    {v1alpha1.Selector{Channels: []string{"web", "SMS"}}, true},
		"not another channel":                      {v1alpha1.Selector{Channels: []string{"web", "sm"}}, false},
		"a queue by name":                          {v1alpha1.Selector{TaskQueues: []string{"Sales", "Support"}}, true},
		"a queue by SID":                           {v1alpha1.Selector{TaskQueues: []string{supportSID}}, true},
		"a queue's name exactly":                   {v1alpha1.Selector{TaskQueues: []string{"support", "Support ", "Supp"}}, false},
		"by an expression":                         {v1alpha1.Selector{Expression: `task.attributes.vip == true`}, true},
		"not by an expression that is false":       {v1alpha1.Selector{Expression: `task.attributes.vip != true`}, false},
		"what all of them choose":                  {v1alpha1.Selector{Channels: []string{"sms"}, TaskQueues: []string{"Support"}, Expression: `true`}, true},
		"not what the channels leave out":          {v1alpha1.Selector{Channels: []string{"web"}, TaskQueues: []string{"Support"}, Expression: `true`}, false},
		"not what the queues leave out":            {v1alpha1.Selector{Channels: []string{"sms"}, TaskQueues: []string{"Sales"}, Expression: `true`}, false},
		"not what the expression leaves out":       {v1alpha1.Selector{Channels: []string{"sms"}, TaskQueues: []string{"Support"}, Expression: `false`}, false},
		"and asks the expression last, so that it": {v1alpha1.Selector{Channels: []string{"web"}, Expression: `task.attributes.gone.deeper == 1`}, false},
	} {
		got, err := selectorOf(t, test.selector).Matches(smsTask(t, `{"vip":true}`))
		if got != test.want || err != nil {
			t.Errorf("%s: %t, %v, want %t", sentence, got, err, test.want)
		}
	}
	for sentence, selector := range map[string]Selector{"the zero value": {}, "nil": must(newSelector(nil))(t)} {
		if got, err := selector.Matches(Subject{}); !got || err != nil {
			t.Errorf("%s does not choose everything: %t, %v", sentence, got, err)
		}
	}
}

func must(selector Selector, err error) func(testing.TB) Selector {
	return func(t testing.TB) Selector {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return selector
	}
}

// failure is what an expression that cannot be evaluated gives.
const failure = "failure"

func TestExpressions(t *testing.T) {
	const attributes = `{"vip":"gold","tier":2,"half":0.5,"blocked":false,"nothing":null,"first-name":"Ana",
		"skills":["billing","Spanish"],"customer":{"city":"Madrid"},"big":12345678901}`
	for expression, want := range map[string]any{
		// The task.
		`task.sid == "WT1"`: true,
		`task.queue == "Support" && task.queueSid == "` + supportSID + `"`: true,
		`task.channel in ["sms", "whatsapp"]`:                              true,
		`task.channel == "SMS"`:                                            false,
		`task.channel.upperAscii() == "SMS"`:                               true,
		`task.priority >= 3 && task.priority < 4`:                          true,
		`task.priority > 2.5`:                                              true,
		`task.age == 90`:                                                   true,
		`task.age + 10 > 90`:                                               true,
		`has(task.queue)`:                                                  true,

		// Attributes that are there.
		`task.attributes.vip == "gold"`:             true,
		`task.attributes["vip"] == "gold"`:          true,
		`task.attributes["first-name"] == "Ana"`:    true,
		`task.attributes.vip != true`:               true,
		`task.attributes.blocked == false`:          true,
		`!(task.attributes.blocked == true)`:        true,
		`task.attributes.nothing == null`:           true,
		`task.attributes.customer.city == "Madrid"`: true,

		// Numbers in JSON are doubles.
		`task.attributes.tier == 2`:             true,
		`task.attributes.tier == 2.0`:           true,
		`task.attributes.tier >= 2`:             true,
		`task.attributes.tier > 2`:              false,
		`2 < task.attributes.tier`:              false,
		`task.attributes.tier in [1, 2]`:        true,
		`task.attributes.half < 1`:              true,
		`task.attributes.big == 12345678901`:    true,
		`task.attributes.tier == "2"`:           false,
		`task.attributes.tier == task.priority`: false,

		// Attributes that are missing are null.
		`task.attributes.gone != true`:                                              true,
		`task.attributes.gone == null`:                                              true,
		`task.attributes["gone"] == null`:                                           true,
		`task.attributes.gone in ["a", "b"]`:                                        false,
		`task.attributes.gone != null && task.attributes.gone >= 2`:                 false,
		`task.attributes.gone >= 2`:                                                 failure,
		`task.attributes.gone >= 2 || task.channel == "sms"`:                        true,
		`task.attributes.gone.city == "Madrid"`:                                     failure,
		`task.attributes.customer.street == "Gran Vía"`:                             failure,
		`has(task.attributes.customer.street)`:                                      false,
		`has(task.attributes.gone.city)`:                                            false,
		`task.attributes.exists(key, key == "gone") || task.attributes.size() != 9`: false,

		// Unless the expression asks whether they are there.
		`has(task.attributes.gone)`:                                    false,
		`has(task.attributes.nothing)`:                                 true,
		`has(task.attributes.vip) && task.attributes.vip == "gold"`:    true,
		`has(task.attributes.gone) && task.attributes.gone == "gold"`:  false,
		`has(task.attributes.gone) ? task.attributes.gone == 1 : true`: true,
		`has(task.attributes.gone) || task.attributes.gone == null`:    failure,
		`has(task.attributes.gone) || task.attributes.lost == null`:    true,
		`"vip" in task.attributes`:                                     true,
		`"gone" in task.attributes ? task.attributes.gone == 1 : true`: true,
		`"gone" in task.attributes && task.attributes.gone == 1`:       false,

		// Lists and texts.
		`"billing" in task.attributes.skills`:                                                                           true,
		`task.attributes.skills.exists(skill, skill.lowerAscii() == "spanish")`:                                         true,
		`task.attributes.skills.all(skill, skill.size() > 3)`:                                                           true,
		`task.attributes.skills.exists_one(skill, skill.startsWith("b"))`:                                               true,
		`task.attributes.skills.filter(skill, skill.contains("ill")).size() == 1`:                                       true,
		`task.attributes.skills.filter(skill, skill != "x") == ["billing", "Spanish"]`:                                  true,
		`task.attributes.skills[1].substring(0, 4) == "Span"`:                                                           true,
		`["billing", "sales"].exists(wanted, task.attributes.skills.exists(skill, skill == wanted))`:                    true,
		`task.queue.matches("^Supp(ort)?$")`:                                                                            true,
		`matches(task.queue, "ort$")`:                                                                                   true,
		`task.attributes.vip.matches("^s")`:                                                                             false,
		`task.attributes.tier.matches("2")`:                                                                             failure,
		`{"Support": 3}[task.queue] == task.priority`:                                                                   true,
		`{"Sales": 3}[task.queue] == task.priority`:                                                                     failure,
		`task.attributes.skills.exists(s, s.matches("^(billing|sales|support|complaints|Spanish|technical support)$"))`: true,
		`timestamp("2026-03-01T00:00:00Z") < timestamp("2026-03-02T00:00:00Z")`:                                         true,
		`dyn(task).chanel == "sms"`:                                                                                     failure,
	} {
		selector, err := newSelector(&v1alpha1.Selector{Expression: expression})
		if err != nil {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		task := smsTask(t, attributes)
		got, err := selector.Matches(task)
		switch {
		case want == failure && (!errors.Is(err, ErrExpressionFailed) || got):
			t.Errorf("%s is %t with error %v, want ErrExpressionFailed", expression, got, err)
		case want != failure && (err != nil || got != want):
			t.Errorf("%s is %t with error %v, want %v", expression, got, err, want)
		}
		if diff := cmp.Diff(smsTask(t, attributes), task); diff != "" {
			t.Errorf("%s has changed the task (-before +after):\n%s", expression, diff)
		}
	}
}

// Twilio's clock and the operator's may differ.
func TestATaskIsNeverOfNegativeAge(t *testing.T) {
	owner, err := Owner([]Policy{{Selector: selectorOf(t, v1alpha1.Selector{Expression: `task.age == 0`})}}, one(Task{SID: "WT1", Created: at(1)}), at(0))
	if owner != 0 || err != nil {
		t.Errorf("a task that was made in a minute is the policy's with index %d, error %v, want 0", owner, err)
	}
}

func TestAnErrorOfAnExpressionDoesNotQuoteAttributes(t *testing.T) {
	task := smsTask(t, `{"name":"Ana García","skills":{"Ana García":1}}`)
	for _, expression := range []string{
		`int(task.attributes.name) > 1`, `task.attributes.skills[task.attributes.name].deeper == 1`, `timestamp(task.attributes.name) < timestamp("2026-03-01T00:00:00Z")`,
		`{"x": 1}[task.attributes.name] == 1`, `task.attributes[task.attributes.name] == 1`, `task.attributes.name > 1`,
	} {
		_, err := selectorOf(t, v1alpha1.Selector{Expression: expression}).Matches(task)
		if !errors.Is(err, ErrExpressionFailed) || strings.Contains(err.Error(), "Ana") {
			t.Errorf("%s: %v", expression, err)
		}
	}
}

func TestAnExpressionThatCannotBeUsedSaysWhatToWrite(t *testing.T) {
	for expression, want := range map[string]string{
		`task.chanel == "sms"`:                                             `spec.selector.expression: line 1, column 5: undefined field 'chanel': did you mean task.channel?`,
		"true &&\n  task.queueSID == 'x'":                                  `line 2, column 7: undefined field 'queueSID': did you mean task.queueSid?`,
		`task.vip == true`:                                                 `undefined field 'vip': task has age, attributes, channel, priority, queue, queueSid, sid; did you mean task.attributes.vip?`,
		`channel == "sms"`:                                                 `line 1, column 1: undeclared reference to 'channel': did you mean task.channel?`,
		`attributes.vip == true`:                                           `did you mean task.attributes?`,
		`task.queue == Support`:                                            `undeclared reference to 'Support': an expression is about task, and texts in it are in quotes`,
		`task.attributes.first-name == "x"`:                                `undeclared reference to 'name': did you mean task.attributes["first-name"]?`,
		`task.attributes.is-true == true`:                                  `did you mean task.attributes["is-true"]?`,
		`task.attributes.customer.home-queue == "x"`:                       `did you mean task.attributes.customer["home-queue"]?`,
		`task.queue.lower() == "vip"`:                                      `undeclared reference to 'lower': did you mean task.queue.lowerAscii()?`,
		`task.queue.startswith("VIP")`:                                     `did you mean task.queue.startsWith("VIP")?`,
		`task.queue.soundsLike("VIP")`:                                     `undeclared reference to 'soundsLike': there is no such function`,
		`task.queue in "VIP"`:                                              `in needs a list in brackets, as in task.queue in ["VIP"]`,
		`task.attributes.tier in "gold"`:                                   `in needs a list in brackets`,
		`task.age > duration("1h")`:                                        `task.age is a number of seconds: write 3600 for 1h`,
		`duration('90m') < task.age`:                                       `task.age is a number of seconds: write 5400 for 90m`,
		`task.age > duration("an hour")`:                                   `task.age is a number of seconds`,
		`task.age > duration(task.queue)`:                                  `task.age is a number of seconds: write 3600 for 1h`,
		`task.attributes.vip == True`:                                      `undeclared reference to 'True': write true`,
		`task.channel = "sms"`:                                             `compare with ==`,
		`task.channel == "sms" and true`:                                   `write && for and, || for or, ! for not`,
		`task.channel == "sms" | true`:                                     `write && for and, || for or, ! for not`,
		`task.channel == "sms`:                                             `a text ends with the quote that it begins with`,
		`task.priority == "3"`:                                             `found no matching overload for '_==_' applied to '(int, string)': the types do not go together: texts are in quotes, numbers are not`,
		`task.attributes.vip`:                                              `has to be true or false, and is of type dyn: compare it with something, as in task.attributes.vip == true`,
		`!task.attributes.vip`:                                             `line 1, column 17: an attribute may be missing, or neither true nor false: compare it with something, as in task.attributes.vip == true`,
		`task.attributes.vip && true`:                                      `compare it with something, as in task.attributes.vip == true`,
		`true || task.attributes["first-name"]`:                            `compare it with something, as in task.attributes.vip == true`,
		`task.attributes.vip ? true : false`:                               `compare it with something, as in task.attributes.vip == true`,
		`!(task.channel == "sms" && task.attributes.a)`:                    `compare it with something, as in task.attributes.vip == true`,
		`has(task.attributes.a) && task.attributes.a`:                      `compare it with something, as in task.attributes.vip == true`,
		`!task.attributes.customer.vip`:                                    `compare it with something, as in task.attributes.vip == true`,
		`task.attributes.flags[0] || true`:                                 `compare it with something, as in task.attributes.vip == true`,
		`task.queue`:                                                       `has to be true or false, and is of type string`,
		` `:                                                                `line 1, column 2: Syntax error`,
		`(((`:                                                              `line 1, column 4: Syntax error: mismatched input '<EOF>'`,
		`task.queue.matches("(")`:                                          "line 1, column 19: the pattern of matches cannot be used (https://github.com/google/re2/wiki/Syntax): missing closing ): `(`",
		`task.queue.matches("(a{100}){100}")`:                              `the pattern of matches repeats too much, at {100}: 256 steps are allowed, and each repetition counts`,
		`task.queue.matches("a{3,2}")`:                                     `the pattern of matches repeats nothing: write {2,3} for {3,2}`,
		`task.queue.matches(task.attributes.vip)`:                          `matches needs a pattern that is written in the expression`,
		`matches("a")`:                                                     `found no matching overload for 'matches'`,
		`"a".matches()`:                                                    `found no matching overload for 'matches'`,
		`task.queue.matches("x{500}")`:                                     `the pattern of matches is too long, or repeats too much: it has 502 steps, and 256 are allowed`,
		`task.queue + "x" == "Supportx"`:                                   `line 1, column 12: + can add numbers and times only`,
		`task.attributes.a + task.attributes.b == "ab"`:                    `+ can add numbers and times only`,
		`task.queue.replace("", task.queue) == ""`:                         `replace is not available, because what it makes can be of any length`,
		`task.attributes.skills.join(",") == ""`:                           `join is not available`,
		`strings.quote(task.queue) == "x"`:                                 `quote is not available`,
		`"%s".format([1]) == ""`:                                           `format is not available`,
		`task.attributes.skills.map(s, s) == []`:                           `line 1, column 27: map is not available: has, all, exists, exists_one and filter are`,
		`task.attributes in [task.attributes]`:                             `a list or map can have nothing but texts, numbers, true and false in it`,
		`{"a": task.queue}["a"] == "x"`:                                    `a list or map can have nothing but`,
		strings.Repeat("[", 200) + strings.Repeat("]", 200) + " == []":     `a list or map can have nothing but`,
		`google.protobuf.Struct{} == null`:                                 `google.protobuf.Struct{…} is not available`,
		`task.attributes.a.exists(a, task.attributes.b.exists(b, a == b))`: `could take too long for a task with large attributes: put no loop over them into another one`,
		`task.attributes.all(a, task.attributes.all(b, a == b))`:           `could take too long`,
		`task.attributes.a.filter(a, task.attributes.b.filter(b, a == b) == []) == []`:                  `could take too long`,
		`true || ` + strings.Repeat("é", maxExpression):                                                 `has 2056 characters: shorten it to 2048`,
		strings.Repeat("(", 300) + "true" + strings.Repeat(")", 300):                                    `recursion`,
		`task.` + strings.Repeat("x", 1000) + ` == 1 && task.channel == "sms" && task.queue == "Sales"`: `undefined field 'xxx`,
	} {
		spec := v1alpha1.Selector{Channels: []string{"sms"}, TaskQueues: []string{"Support"}, Expression: expression}
		selector, err := newSelector(&spec)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "spec.selector.expression: ") {
			t.Errorf("%.200s\ngives %v\nwant  %s", expression, err, want)
			continue
		}
		if strings.Contains(err.Error(), "\n") || len(err.Error()) > maxSentence || !utf8.ValidString(err.Error()) {
			t.Errorf("%.200s gives an error of %d bytes: %q", expression, len(err.Error()), err)
		}
		// What it selects besides is still the policy's.
		task := smsTask(t, `{}`)
		if got, err := selector.Matches(task); !got || err != nil {
			t.Errorf("%.200s: the selector without its expression gives %t, %v", expression, got, err)
		}
		task.Queue, task.QueueSID = "Sales", "WQ2"
		if got, _ := selector.Matches(task); got {
			t.Errorf("%.200s: the selector has lost its queues", expression)
		}
	}
}

// largest are attributes of as many characters as Twilio takes, each of its own kind.
func largest() map[string]map[string]any {
	list := func(count int, element any) []any {
		elements := make([]any, count)
		for i := range elements {
			elements[i] = element
		}
		return elements
	}
	keys := map[string]any{"a": "", "b": ""}
	for i := range 550 {
		keys[fmt.Sprintf("%x", i+16)] = 1.0
	}
	return map[string]map[string]any{
		"numbers": {"a": list(1020, 1.0), "b": list(1020, 1.0)},
		"texts":   {"a": list(680, "x"), "b": list(680, "x")},
		"lists":   {"a": []any{list(1000, 1.0)}, "b": []any{list(1000, 1.0)}},
		"text":    {"a": strings.Repeat("a", 2040), "b": strings.Repeat("a", 2040)},
		"keys":    keys,
	}
}

// TestAnExpressionIsBounded evaluates expressions that try to take long for the largest attributes. They take some tens of
// milliseconds; without the bounds, some of them take minutes.
func TestAnExpressionIsBounded(t *testing.T) {
	digits := "[0,1,2,3,4,5,6,7,8,9]"
	thousand := func(body string) string {
		for _, name := range []string{"i", "j", "k"} {
			body = digits + ".all(" + name + ", " + body + ")"
		}
		return body
	}
	tenThousand := func(body string) string { return digits + ".all(l, " + thousand(body) + ")" }
	for name, attributes := range largest() {
		if name == "keys" || name == "texts" {
			continue // nothing takes longer for them than for numbers
		}
		for _, expression := range []string{
			`task.attributes.a.all(x, x != 5 && x != "y" && x != 7 && x != "z")`,
			strings.TrimSuffix(strings.Repeat(`task.attributes.a.all(x, x != 5) && `, 50), " && "),
			`task.attributes.all(key, task.attributes[key] != 5)`,
			`task.attributes.a.split("").exists(x, x == "b")`,
			strings.TrimSuffix(strings.Repeat(`task.attributes.a.matches("[a-z]{200}b") || `, 40), " || "),
			strings.TrimSuffix(strings.Repeat(`task.attributes.a.matches("(a|a|aa|aaa)*b") || `, 40), " || "),
			`task.attributes.a.contains(task.attributes.b) && task.attributes.a.indexOf("aaaaaaaaaaaaaaab") > 1`,
			tenThousand(`task.attributes.a == task.attributes.b`),
			thousand(`!(task.attributes.a in [1, 2, 3]) || !(task.attributes.a in task.attributes.b)`),
			tenThousand(`task.attributes.a.size() > 1`),
			thousand(`task.attributes.a.reverse() != ""`),
			tenThousand(`int(task.attributes.a) > 1 || true`),
			tenThousand(digits + ".all(m, true)"),
		} {
			selector := selectorOf(t, v1alpha1.Selector{Expression: expression})
			start := time.Now()
			if _, err := selector.Matches(Subject{Attributes: attributes}); err != nil && !errors.Is(err, ErrExpressionFailed) {
				t.Errorf("%.100s: %v", expression, err)
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("%s: %.100s took %s", name, expression, took)
			}
		}
	}
}

func TestOneLoopOverTheLargestAttributesIsAllowed(t *testing.T) {
	for name, attributes := range largest() {
		expression := `task.attributes.a.all(x, x != 5 && x != "y" && x != 7 && x != "z")`
		switch name {
		case "keys":
			expression = `task.attributes.all(key, key != "zz" && task.attributes[key] != 5)`
		case "text":
			expression = `task.attributes.a.matches("^a+$") && !task.attributes.b.contains("xyz")`
		case "texts":
			expression = `task.attributes.a.all(x, x.matches("^(x|billing|sales|support|complaints)$") && x.lowerAscii() != "y")`
		}
		if got, err := selectorOf(t, v1alpha1.Selector{Expression: expression}).Matches(Subject{Attributes: attributes}); !got || err != nil {
			t.Errorf("%s: %s is %t, %v", name, expression, got, err)
		}
	}
}

func TestAnExpressionThatTakesTooLongFails(t *testing.T) {
	loops := func(count int, body string) string {
		for i := range count {
			body = fmt.Sprintf("[0,1,2,3,4,5,6,7,8,9].all(i%d, %s)", i, body)
		}
		return body
	}
	for sentence, test := range map[string]struct {
		attributes, expression string
		want                   error
	}{
		"ten thousand steps":                      {"numbers", loops(4, `task.attributes.a.size() > 1`), ErrExpressionFailed},
		"unless it needs not take them":           {"numbers", `task.priority == 0 || ` + loops(4, `task.attributes.a.size() > 1`), nil},
		"a thousand comparisons of a text":        {"text", loops(3, `task.attributes.a != "b"`), nil},
		"a thousand comparisons of lists":         {"lists", loops(3, `task.attributes.a == task.attributes.b`), ErrExpressionFailed},
		"a thousand searches for a list":          {"lists", loops(3, `!(task.attributes.a in task.attributes.b)`), ErrExpressionFailed},
		"a short pattern for a long text":         {"text", `task.attributes.a.matches("^(a|b)+$")`, nil},
		"a pattern of many steps for a long text": {"text", `task.attributes.a.matches("[a-z]{200}")`, ErrExpressionFailed},
		"which is no pattern for a short one":     {"numbers", `!task.queue.matches("[a-z]{200}")`, nil},
	} {
		task := Subject{Queue: "Support", Attributes: largest()[test.attributes]}
		if got, err := selectorOf(t, v1alpha1.Selector{Expression: test.expression}).Matches(task); !errors.Is(err, test.want) || got != (test.want == nil) {
			t.Errorf("%s: %t, %v, want %v", sentence, got, err, test.want)
		}
	}
}

func TestASelectorCanBeUsedBySeveralGoroutines(t *testing.T) {
	selector := selectorOf(t, v1alpha1.Selector{Expression: `task.attributes.tier == task.priority - 0 || task.attributes.gone == 1`})
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			if got, err := selector.Matches(Subject{Priority: i, Attributes: map[string]any{"tier": float64(i)}}); !got || err != nil {
				t.Errorf("task %d: %t, %v", i, got, err)
			}
		})
	}
	group.Wait()
}

// FuzzSelector holds for any expression and any attributes: compiling and evaluating it never panics, takes a bounded time,
// gives the same answer twice, and says nothing of the attributes in an error.
func FuzzSelector(f *testing.F) {
	f.Add(`task.attributes.vip != true`, `{"vip":true}`)
	f.Add(`has(task.attributes.a) && task.attributes["b"] >= 2 || "c" in task.attributes`, `{"a":null,"b":1.5,"c":{"d":[1,"x"]}}`)
	f.Add(`task.attributes.l.filter(x, x.matches("^a{2}")).size() > 1 || task.queue.split("").exists_one(c, c == "S")`, `{"l":["a",1]}`)
	f.Add(`[1, 2].all(i, [3, 4].exists(j, i < j)) ? task.age + 1 > 2 : {"a": 1}[task.channel] == 1`, `{}`)
	f.Fuzz(func(t *testing.T, expression, attributes string) {
		start := time.Now()
		spec := v1alpha1.Selector{Expression: expression}
		selector, err := newSelector(&spec)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "spec.selector.expression: ") || strings.Contains(err.Error(), "\n") || len(err.Error()) > maxSentence {
				t.Errorf("%q gives the error %q", expression, err)
			}
		}
		task := Subject{SID: "WT1", Queue: "Support", Channel: "sms", Age: time.Minute}
		if len(attributes) > MaxTaskAttributes || json.Unmarshal([]byte(attributes), &task.Attributes) != nil {
			task.Attributes = nil
		}
		before := maps.Clone(task.Attributes)
		first, err := selector.Matches(task)
		if err != nil && err.Error() != ErrExpressionFailed.Error() {
			t.Errorf("%q: %v", expression, err)
		}
		if again, errAgain := selector.Matches(task); again != first || !errors.Is(errAgain, err) {
			t.Errorf("%q is %t (%v), then %t (%v)", expression, first, err, again, errAgain)
		}
		if diff := cmp.Diff(before, task.Attributes); diff != "" {
			t.Errorf("%q has changed the attributes:\n%s", expression, diff)
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%q with %q took %s", expression, attributes, took)
		}
	})
}
