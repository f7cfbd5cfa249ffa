package twiliosim

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// predicate is a compiled TaskRouter expression over a task's attributes.
type predicate func(attributes map[string]any) bool

// parseExpression compiles the expression language of EvaluateTaskAttributes: comparisons (==, =, !=, <, <=, >, >=,
// HAS, IN, NOT IN, CONTAINS) of dotted attribute paths with strings in either quote, numbers, booleans and lists,
// joined by AND, OR, NOT and parentheses (https://www.twilio.com/docs/taskrouter/expression-syntax).
func parseExpression(text string) (predicate, error) {
	tokens, err := tokenize(text)
	if err != nil {
		return nil, err
	}
	p := &expressionParser{tokens: tokens}
	result, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.peek() != "" {
		return nil, fmt.Errorf("unexpected %q", p.peek())
	}
	return result, nil
}

var expressionToken = regexp.MustCompile(
	`^\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|==|!=|<=|>=|[=<>()\[\],]|-?[0-9]+(?:\.[0-9]+)?|[A-Za-z_][A-Za-z0-9_.]*)`)

func tokenize(text string) ([]string, error) {
	var tokens []string
	for rest := text; strings.TrimSpace(rest) != ""; {
		m := expressionToken.FindStringSubmatch(rest)
		if m == nil {
			return nil, fmt.Errorf("cannot read %q", strings.TrimSpace(rest))
		}
		tokens = append(tokens, m[1])
		rest = rest[len(m[0]):]
	}
	return tokens, nil
}

type expressionParser struct{ tokens []string }

func (p *expressionParser) peek() string {
	if len(p.tokens) == 0 {
		return ""
	}
	return p.tokens[0]
}

func (p *expressionParser) next() string {
	token := p.peek()
	if token != "" {
		p.tokens = p.tokens[1:]
	}
	return token
}

// accept consumes the next token when it is the keyword or symbol.
func (p *expressionParser) accept(word string) bool {
	if !strings.EqualFold(p.peek(), word) {
		return false
	}
	p.next()
	return true
}

func (p *expressionParser) or() (predicate, error) {
	left, err := p.and()
	for err == nil && p.accept("OR") {
		var right predicate
		if right, err = p.and(); err == nil {
			a := left
			left = func(v map[string]any) bool { return a(v) || right(v) }
		}
	}
	return left, err
}

func (p *expressionParser) and() (predicate, error) {
	left, err := p.not()
	for err == nil && p.accept("AND") {
		var right predicate
		if right, err = p.not(); err == nil {
			a := left
			left = func(v map[string]any) bool { return a(v) && right(v) }
		}
	}
	return left, err
}

func (p *expressionParser) not() (predicate, error) {
	if p.accept("NOT") {
		inner, err := p.not()
		return func(v map[string]any) bool { return !inner(v) }, err
	}
	if p.accept("(") {
		inner, err := p.or()
		if err == nil && !p.accept(")") {
			err = fmt.Errorf("a closing parenthesis is missing")
		}
		return inner, err
	}
	return p.comparison()
}

// operand gives a value for the attributes: what a path leads to, or a constant.
type operand func(map[string]any) any

func (p *expressionParser) comparison() (predicate, error) {
	left, err := p.operand()
	if err != nil {
		return nil, err
	}
	operator := strings.ToUpper(p.next())
	if operator == "NOT" {
		operator += " " + strings.ToUpper(p.next())
	}
	compare, known := comparisons[operator]
	if !known {
		return nil, fmt.Errorf("%q is no operator", operator)
	}
	right, err := p.operand()
	if err != nil {
		return nil, err
	}
	return func(v map[string]any) bool { return compare(left(v), right(v)) }, nil
}

func (p *expressionParser) operand() (operand, error) {
	token := p.next()
	constant := func(v any) operand { return func(map[string]any) any { return v } }
	switch {
	case token == "":
		return nil, fmt.Errorf("the expression ends too early")
	case token == "[":
		return p.list()
	case token[0] == '"' || token[0] == '\'':
		return constant(unescape(token[1 : len(token)-1])), nil
	case strings.EqualFold(token, "true"), strings.EqualFold(token, "false"):
		return constant(strings.EqualFold(token, "true")), nil
	case strings.EqualFold(token, "null"):
		return constant(nil), nil
	}
	if number, err := strconv.ParseFloat(token, 64); err == nil {
		return constant(number), nil
	}
	if c := token[0]; c != '_' && (c < 'A' || c > 'z' || c > 'Z' && c < 'a') {
		return nil, fmt.Errorf("unexpected %q", token)
	}
	path := strings.Split(token, ".")
	return func(v map[string]any) any { return follow(v, path) }, nil
}

func (p *expressionParser) list() (operand, error) {
	var items []any
	for !p.accept("]") {
		item, err := p.operand()
		if err != nil {
			return nil, err
		}
		items = append(items, item(nil))
		if !p.accept(",") && p.peek() != "]" {
			return nil, fmt.Errorf("a list needs a comma or ]")
		}
	}
	return func(map[string]any) any { return items }, nil
}

// unescape takes the backslashes away that protect a character.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// follow walks a dotted path into attributes; nil when it leads nowhere.
func follow(attributes map[string]any, path []string) any {
	var v any = attributes
	for _, key := range path {
		m, isMap := v.(map[string]any)
		if !isMap {
			return nil
		}
		v = m[key]
	}
	return v
}

var comparisons = map[string]func(a, b any) bool{
	"==":       equal,
	"=":        equal,
	"!=":       func(a, b any) bool { return !equal(a, b) },
	"<":        func(a, b any) bool { c, ok := order(a, b); return ok && c < 0 },
	"<=":       func(a, b any) bool { c, ok := order(a, b); return ok && c <= 0 },
	">":        func(a, b any) bool { c, ok := order(a, b); return ok && c > 0 },
	">=":       func(a, b any) bool { c, ok := order(a, b); return ok && c >= 0 },
	"HAS":      contains,
	"IN":       func(a, b any) bool { return contains(b, a) },
	"NOT IN":   func(a, b any) bool { return !contains(b, a) },
	"CONTAINS": func(a, b any) bool { s, ok := a.(string); return ok && strings.Contains(s, fmt.Sprint(b)) },
}

func equal(a, b any) bool {
	switch a.(type) {
	case nil, string, float64, bool:
		switch b.(type) {
		case nil, string, float64, bool:
			return a == b
		}
	}
	return false
}

func order(a, b any) (int, bool) {
	switch x := a.(type) {
	case float64:
		y, ok := b.(float64)
		return cmp.Compare(x, y), ok
	case string:
		y, ok := b.(string)
		return strings.Compare(x, y), ok
	}
	return 0, false
}

func contains(list, item any) bool {
	items, isList := list.([]any)
	return isList && slices.ContainsFunc(items, func(e any) bool { return equal(e, item) })
}
