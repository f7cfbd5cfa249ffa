package inactivity

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"text/template/parse"
)

// maxSentence bounds, in bytes, an error about something that a policy's author wrote: it ends up in a condition.
const maxSentence = 512

// textContents says, in errors, what a text may contain.
const textContents = "a text can contain {{.Customer.Name}}, {{.Channel}}, {{.Timeout}}, {{.Remaining}} and {{.Attributes.key}}, " +
	"with if, else, with, and, or, not, eq and ne"

// textExpression is computed from a scope.
type textExpression struct {
	value func(textScope) textValue
	// condition says that it is true or false, and so nothing to print.
	condition bool
}

// textParser turns the tree of text/template's parser into parts, and refuses what is not on the list of what is allowed.
type textParser struct {
	source string
}

// lineOf is where the position is in text/template's errors, which count lines within the text too.
var lineOf = regexp.MustCompile(`\bline:(\d+)`)

// unwritable is an attribute's key that cannot be written in a template: one that is no identifier.
var unwritable = regexp.MustCompile(`\{\{[^{}]*\.Attributes\.([\pL\pN_]*[^\pL\pN_\s(){}|."]+[^\s(){}|]*|\d[^\s(){}|]*)`)

// textCures say what to write instead where text/template's parser says little: the first whose words are in its error counts.
var textCures = []struct{ problem, cure string }{
	{"unexpected EOF", "{{end}} is missing: each {{if}} and each {{with}} needs one"},
	{"unclosed action", "}} is missing"},
	{"bad character U+007D", "}} is missing"},
	{`unexpected "{"`, "}} is missing before it, or a { is too many"},
	{"unclosed comment", "*/}} is missing"},
	{"unterminated quoted string", `a text ends with the double quote that it begins with, as in "sms"`},
	{`unexpected "="`, `compare with eq, as in {{if eq .Channel "sms"}}`},
	{`unexpected "!"`, `write not, as in {{if not .Customer.Name}}, or ne for !=, as in {{if ne .Channel "sms"}}`},
	{`unexpected "&"`, "write and, as in {{if and .Customer.Name .Channel}}"},
	{`unexpected "|"`, "write " + fallback},
}

// fallback is how to write one value for when another is missing.
const fallback = `or, as in {{or .Customer.Name "you"}}`

func (p textParser) template() ([]textPart, error) {
	trees := map[string]*parse.Tree{}
	tree := parse.New("line") // which makes its errors begin with "template: line:1:"
	tree.Mode = parse.SkipFuncCheck
	tree, err := tree.Parse(p.source, "", "", trees)
	if err != nil {
		return nil, p.explain(err)
	}
	for _, other := range trees {
		if other != tree {
			return nil, p.refuse(other.Root.Position(), "{{define}} and {{block}} are not allowed: %s", textContents)
		}
	}
	if parse.IsEmptyTree(tree.Root) {
		return nil, nil
	}
	return p.list(tree.Root, false)
}

// explain makes an error of text/template's parser one of a policy's field.
func (p textParser) explain(err error) error {
	if key := unwritable.FindStringSubmatchIndex(p.source); key != nil {
		return p.refuse(parse.Pos(key[2]), "the attribute %q cannot be written in a text: a key has letters, digits and underscores, "+
			"and no digit at its beginning: give the task another attribute of the same value", p.source[key[2]:key[3]])
	}
	sentence := strings.TrimPrefix(err.Error(), "template: ")
	cure := textContents
	for _, known := range textCures {
		if strings.Contains(sentence, ": "+known.problem) {
			cure = known.cure
			break
		}
	}
	return fmt.Errorf("%s: %s", clipped(lineOf.ReplaceAllString(sentence, "line $1"), maxSentence-len(cure)), cure)
}

// refuse is an error about the place in the text.
func (p textParser) refuse(at parse.Pos, format string, args ...any) error {
	line := 1 + strings.Count(p.source[:min(max(int(at), 0), len(p.source))], "\n")
	return fmt.Errorf("line %d: %s", line, clipped(fmt.Sprintf(format, args...), maxSentence))
}

// list reads nodes; within says that they are within {{with}}.
func (p textParser) list(nodes *parse.ListNode, within bool) ([]textPart, error) {
	if nodes == nil {
		return nil, nil
	}
	var parts []textPart
	for _, node := range nodes.Nodes {
		read, err := p.node(node, within)
		if err != nil {
			return nil, err
		}
		parts = append(parts, read)
	}
	return parts, nil
}

func (p textParser) node(node parse.Node, within bool) (textPart, error) {
	switch node := node.(type) {
	case *parse.TextNode:
		return textPart{words: string(node.Text)}, nil
	case *parse.ActionNode:
		printed, err := p.pipeline(node.Pipe, within)
		if err == nil && printed.condition {
			err = p.refuse(node.Position(), "%s is true or false, and no text: write {{if …}} before it", node)
		}
		return textPart{print: printed.value}, err
	case *parse.IfNode:
		return p.branch(&node.BranchNode, within, within)
	case *parse.WithNode:
		read, err := p.branch(&node.BranchNode, within, true)
		read.with = true
		return read, err
	default:
		name, _, _ := strings.Cut(strings.Trim(node.String(), "{}"), " ")
		return textPart{}, p.refuse(node.Position(), "{{%s}} is not allowed: %s", name, textContents)
	}
}

// branch reads {{if}} and {{with}}. The condition and what comes after {{else}} see what is around it, what comes before
// {{else}} is within {{with}} if inner says so.
func (p textParser) branch(node *parse.BranchNode, within, inner bool) (textPart, error) {
	condition, err := p.pipeline(node.Pipe, within)
	if err != nil {
		return textPart{}, err
	}
	if node.NodeType == parse.NodeWith && condition.condition {
		return textPart{}, p.refuse(node.Position(), "{{with}} needs a value, and %s is true or false: write {{if}}", node.Pipe)
	}
	read := textPart{condition: condition.value}
	if read.then, err = p.list(node.List, inner); err != nil {
		return textPart{}, err
	}
	read.otherwise, err = p.list(node.ElseList, within)
	return read, err
}

func (p textParser) pipeline(pipe *parse.PipeNode, within bool) (textExpression, error) {
	if len(pipe.Decl) > 0 {
		return textExpression{}, p.refuse(pipe.Position(), "variables such as %s are not allowed: %s", pipe.Decl[0], textContents)
	}
	if len(pipe.Cmds) != 1 {
		cure := textContents
		if slices.ContainsFunc(pipe.Cmds, func(command *parse.CommandNode) bool {
			name, called := command.Args[0].(*parse.IdentifierNode)
			return called && (name.Ident == "default" || name.Ident == "or")
		}) {
			cure = "write " + fallback
		}
		return textExpression{}, p.refuse(pipe.Position(), "| is not allowed: %s", cure)
	}
	args := pipe.Cmds[0].Args
	if name, called := args[0].(*parse.IdentifierNode); called {
		return p.call(name, args[1:], within)
	}
	if len(args) > 1 {
		return textExpression{}, p.refuse(args[1].Position(), "%s cannot follow %s: only and, or, not, eq and ne are followed by values", args[1], args[0])
	}
	return p.operand(args[0], within)
}

func (p textParser) operand(node parse.Node, within bool) (textExpression, error) {
	constant := func(v textValue) (textExpression, error) {
		return textExpression{value: func(textScope) textValue { return v }}, nil
	}
	switch node := node.(type) {
	case *parse.FieldNode:
		if within {
			return textExpression{}, p.refuse(node.Position(), "within {{with}} only its own value can be written, as {{.}}: use {{if}} to write %s there", node)
		}
		return p.field(node)
	case *parse.DotNode:
		if !within {
			return textExpression{}, p.refuse(node.Position(), "{{.}} is a value within {{with}} only: %s", textContents)
		}
		return textExpression{value: func(in textScope) textValue { return in.dot }}, nil
	case *parse.StringNode:
		return constant(textValue{text: strings.ToValidUTF8(node.Text, "")})
	case *parse.BoolNode:
		return constant(boolean(node.True))
	case *parse.NumberNode:
		if !node.IsFloat || node.Text[0] == '\'' {
			return textExpression{}, p.refuse(node.Position(), "%s is not allowed: write a number such as 2 or 1.5, or a text in double quotes", node)
		}
		return constant(textValue{text: node.Text, number: &node.Float64})
	case *parse.PipeNode:
		return p.pipeline(node, within)
	case *parse.IdentifierNode:
		return textExpression{}, p.refuse(node.Position(), "put %s and what belongs to it into parentheses, or write a text in double quotes", node)
	case *parse.VariableNode:
		return textExpression{}, p.refuse(node.Position(), "variables such as %s are not allowed: %s", node, textContents)
	case *parse.ChainNode:
		return textExpression{}, p.unknown(node, strings.TrimPrefix(node.String(), "."))
	default:
		return textExpression{}, p.refuse(node.Position(), "%s is not allowed: %s", node, textContents)
	}
}

// field reads one of the five values.
func (p textParser) field(node *parse.FieldNode) (textExpression, error) {
	path := strings.Join(node.Ident, ".")
	var read func(Values) string
	switch {
	case path == "Customer.Name":
		read = func(v Values) string { return cleaned(v.CustomerName) }
	case path == "Channel":
		read = func(v Values) string { return cleaned(v.Channel) }
	case path == "Timeout":
		read = func(v Values) string { return durationText(v.Timeout) }
	case path == "Remaining":
		read = func(v Values) string { return durationText(v.Remaining) }
	case node.Ident[0] == "Attributes" && len(node.Ident) == 2:
		key := node.Ident[1]
		read = func(v Values) string { return cleaned(v.Attributes[key]) }
	case node.Ident[0] == "Attributes" && len(node.Ident) > 2:
		return textExpression{}, p.refuse(node.Position(), "{{%s}} is not allowed: only attributes of the task itself can be written, such as {{.Attributes.%s}}",
			node, node.Ident[1])
	default:
		return textExpression{}, p.unknown(node, path)
	}
	return textExpression{value: func(in textScope) textValue { return textValue{text: read(in.values)} }}, nil
}

// unknown refuses a name, and suggests the one that was probably meant.
func (p textParser) unknown(node parse.Node, path string) error {
	names := []string{"Customer.Name", "Channel", "Timeout", "Remaining", "Attributes.key"}
	if _, key, found := strings.Cut(path, "."); found {
		names = append(names, "Attributes."+key)
	}
	if meant := nearest(path, names); meant != "" {
		return p.refuse(node.Position(), "{{%s}} is unknown: did you mean {{.%s}}?", node, meant)
	}
	return p.refuse(node.Position(), "{{%s}} is unknown: %s", node, textContents)
}

// call reads a function with its arguments.
func (p textParser) call(name *parse.IdentifierNode, nodes []parse.Node, within bool) (textExpression, error) {
	bounds, known := map[string]struct{ least, most int }{
		"and": {1, len(nodes)}, "or": {1, len(nodes)}, "not": {1, 1}, "eq": {2, len(nodes)}, "ne": {2, 2},
	}[name.Ident]
	switch {
	case !known && len(nodes) == 0:
		return textExpression{}, p.unknown(name, name.Ident)
	case name.Ident == "default":
		return textExpression{}, p.refuse(name.Position(), "the function default is not allowed: write %s", fallback)
	case !known:
		return textExpression{}, p.refuse(name.Position(), "the function %s is not allowed: %s", name, textContents)
	case len(nodes) < bounds.least || len(nodes) > bounds.most:
		return textExpression{}, p.refuse(name.Position(), "%s with %d values: write %s", name, len(nodes),
			map[string]string{
				"and": "at least one, as in (and .Customer.Name .Channel)", "or": "at least one, as in (or .Attributes.nickname .Customer.Name)",
				"not": "one, as in (not .Customer.Name)", "eq": `at least two, as in (eq .Channel "sms")`, "ne": `two, as in (ne .Channel "sms")`,
			}[name.Ident])
	}
	args, condition := make([]func(textScope) textValue, len(nodes)), name.Ident != "and" && name.Ident != "or"
	for i, node := range nodes {
		arg, err := p.operand(node, within)
		if err != nil {
			return textExpression{}, err
		}
		args[i] = arg.value
		condition = condition || arg.condition
	}
	return textExpression{condition: condition, value: textFunctions[name.Ident](args)}, nil
}

// textFunctions are the functions of text/template that a text can use.
var textFunctions = map[string]func(args []func(textScope) textValue) func(textScope) textValue{
	"and": func(args []func(textScope) textValue) func(textScope) textValue { return firstThat(false, args) },
	"or":  func(args []func(textScope) textValue) func(textScope) textValue { return firstThat(true, args) },
	"not": func(args []func(textScope) textValue) func(textScope) textValue {
		return func(in textScope) textValue { return boolean(!args[0](in).isTrue()) }
	},
	"eq": func(args []func(textScope) textValue) func(textScope) textValue {
		return func(in textScope) textValue {
			first := args[0](in)
			return boolean(slices.ContainsFunc(args[1:], func(arg func(textScope) textValue) bool { return first.equals(arg(in)) }))
		}
	},
	"ne": func(args []func(textScope) textValue) func(textScope) textValue {
		return func(in textScope) textValue { return boolean(!args[0](in).equals(args[1](in))) }
	},
}

// firstThat is the first of the arguments that is true, or false; if none is, the last.
func firstThat(isTrue bool, args []func(textScope) textValue) func(textScope) textValue {
	return func(in textScope) textValue {
		var v textValue
		for _, arg := range args {
			if v = arg(in); v.isTrue() == isTrue {
				break
			}
		}
		return v
	}
}

// nearest is the name that was probably meant by word, or "".
func nearest(word string, names []string) string {
	lower, best, fewest := strings.ToLower(word), "", len(word)
	for _, name := range names {
		other := strings.ToLower(name)
		distance := edits(lower, other)
		if strings.HasPrefix(other, lower+".") || strings.HasSuffix(other, "."+lower) {
			distance = 0 // a part of it
		}
		if distance < fewest && distance <= max(1, len(name)/4) {
			best, fewest = name, distance
		}
	}
	return best
}

// edits is how many characters have to be added, removed, replaced or swapped with their neighbour to make b of a.
func edits(a, b string) int {
	from, to := []rune(firstRunes(a, 64)), []rune(firstRunes(b, 64))
	table := make([][]int, len(from)+1)
	for i := range table {
		table[i] = make([]int, len(to)+1)
		table[i][0] = i
	}
	for j := range table[0] {
		table[0][j] = j
	}
	for i := 1; i <= len(from); i++ {
		for j := 1; j <= len(to); j++ {
			replaced := table[i-1][j-1]
			if from[i-1] != to[j-1] {
				replaced++
			}
			table[i][j] = min(replaced, table[i-1][j]+1, table[i][j-1]+1)
			if i > 1 && j > 1 && from[i-1] == to[j-2] && from[i-2] == to[j-1] {
				table[i][j] = min(table[i][j], table[i-2][j-2]+1)
			}
		}
	}
	return table[len(from)][len(to)]
}

// clipped is text on one line of at most limit bytes.
func clipped(text string, limit int) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) <= limit {
		return text
	}
	const mark = "…"
	return strings.ToValidUTF8(text[:max(0, limit-len(mark))], "") + mark
}
