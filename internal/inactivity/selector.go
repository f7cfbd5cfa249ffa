package inactivity

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/overloads"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/cel-go/ext"

	"github.com/flexops-dev/inactivity-operator/api/v1alpha1"
)

const (
	// maxExpression is how many characters an expression may have, as the CRD says.
	maxExpression = 2048

	// maxEstimatedCost refuses, when an expression is compiled, what could take too long for the largest attributes: a loop over
	// them within a loop over them does, one loop does not.
	maxEstimatedCost = 10_000_000

	// maxCost stops an evaluation, after some tens of milliseconds. A loop over the largest attributes with four comparisons
	// costs half of it, an expression without loops a thousandth.
	maxCost = 50_000

	// elementSize is how long each of many elements of the attributes is taken to be: 4,096 characters are many elements or
	// long ones. An element that is longer is caught by maxCost.
	elementSize = 128

	// maxPattern is how many instructions a regular expression may be compiled to. x{1000} is short to write and takes as
	// long as a thousand characters.
	maxPattern = 256

	// comparisonCost is the cost of comparing lists or maps with each other: whatever is in them is within the attributes.
	comparisonCost = MaxTaskAttributes / 10

	// patternStepCost is the cost of one instruction of a regular expression for one character.
	patternStepCost = 0.2
)

// Subject is the task that decides which policy a conversation belongs to.
type Subject struct {
	SID string
	// Queue is the friendly name of the task's queue.
	Queue    string
	QueueSID string
	// Channel is the task attribute channelType.
	Channel  string
	Priority int
	// Age since the task was made.
	Age time.Duration
	// Attributes as json.Unmarshal gives them. They are not changed.
	Attributes map[string]any
}

// Selector chooses the conversations that a policy is for. The zero value chooses every conversation. A Selector never
// changes, so it can be used by several goroutines.
type Selector struct {
	channels   []string
	taskQueues []string
	program    cel.Program
	// nullable are the attributes that are null for the expression when a task lacks them, in order.
	nullable []string
}

// newSelector reads a selector and compiles its expression; nil chooses every conversation. When the expression is wrong, the
// Selector that is returned beside the error still has the channels and queues. The error is one line, says where the
// expression is wrong and, where that is likely, what was meant.
func newSelector(spec *v1alpha1.Selector) (Selector, error) {
	if spec == nil {
		return Selector{}, nil
	}
	selector := Selector{channels: slices.Clone(spec.Channels), taskQueues: slices.Clone(spec.TaskQueues)}
	if spec.Expression == "" {
		return selector, nil
	}
	program, nullable, err := compile(spec.Expression)
	if err != nil {
		return selector, errors.New(clipped("spec.selector.expression: "+err.Error(), maxSentence))
	}
	selector.program, selector.nullable = program, nullable
	return selector, nil
}

// Matches reports whether the selector chooses the task: its channel is one of the channels in any case, its queue has one of
// the names or SIDs, and the expression is true. What is absent from the selector chooses all. The error is
// ErrExpressionFailed, and only for tasks that channels and queues choose.
func (s Selector) Matches(subject Subject) (bool, error) {
	if len(s.channels) > 0 && !slices.ContainsFunc(s.channels, func(channel string) bool { return strings.EqualFold(channel, subject.Channel) }) {
		return false, nil
	}
	if len(s.taskQueues) > 0 && !slices.ContainsFunc(s.taskQueues, func(queue string) bool { return queue == subject.Queue || queue == subject.QueueSID }) {
		return false, nil
	}
	if s.program == nil {
		return true, nil
	}
	result, _, err := s.program.Eval(map[string]any{taskVariable: subject.variable(s.nullable)})
	if err != nil {
		return false, ErrExpressionFailed // the cause may quote the attributes
	}
	matches, isBool := result.Value().(bool)
	if !isBool {
		return false, ErrExpressionFailed
	}
	return matches, nil
}

// variable is the task as the expression sees it, with the fields of taskFields.
func (s Subject) variable(nullable []string) map[string]any {
	attributes := make(map[string]any, len(s.Attributes)+len(nullable))
	for _, key := range nullable {
		attributes[key] = nil
	}
	maps.Copy(attributes, s.Attributes)
	return map[string]any{
		"sid": s.SID, "queue": s.Queue, "queueSid": s.QueueSID, "channel": s.Channel,
		"priority": s.Priority, "age": int64(s.Age / time.Second), attributesField: attributes,
	}
}

const (
	taskVariable    = "task"
	attributesField = "attributes"
)

// taskFields are the fields of task, so that a misspelt one is found when the expression is compiled.
var taskFields = map[string]*types.Type{
	"sid": types.StringType, "queue": types.StringType, "queueSid": types.StringType, "channel": types.StringType,
	"priority": types.IntType, "age": types.IntType, attributesField: types.NewMapType(types.StringType, types.DynType),
}

// taskTypes adds the type of task to CEL's own. A value of it is a map.
type taskTypes struct{ types.Provider }

// FindStructType says that there is a type for task.
func (t taskTypes) FindStructType(name string) (*types.Type, bool) {
	if name == taskVariable {
		return types.NewTypeTypeWithParam(types.NewObjectType(taskVariable)), true
	}
	return t.Provider.FindStructType(name)
}

// FindStructFieldNames lists the fields of task.
func (t taskTypes) FindStructFieldNames(name string) ([]string, bool) {
	if name == taskVariable {
		return slices.Sorted(maps.Keys(taskFields)), true
	}
	return t.Provider.FindStructFieldNames(name)
}

// FindStructFieldType gives the type of a field of task.
func (t taskTypes) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	if name == taskVariable {
		fieldType, found := taskFields[field]
		return &types.FieldType{Type: fieldType}, found
	}
	return t.Provider.FindStructFieldType(name, field)
}

// environment is what expressions are compiled in: CEL's standard functions and macros but for map, which makes values larger,
// its functions on strings, and task.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	env, err := cel.NewEnv(
		func(env *cel.Env) (*cel.Env, error) {
			return cel.CustomTypeProvider(taskTypes{env.CELTypeProvider()})(env)
		},
		cel.Variable(taskVariable, cel.ObjectType(taskVariable)),
		cel.ClearMacros(),
		cel.Macros(cel.HasMacro, cel.AllMacro, cel.ExistsMacro, cel.ExistsOneMacro, cel.FilterMacro),
		cel.CrossTypeNumericComparisons(true), // numbers in JSON are doubles, and nobody writes 2.0
		ext.Strings(ext.StringsVersion(5)),
	)
	if err != nil {
		return nil, fmt.Errorf("preparing CEL: %w", err)
	}
	return env, nil
})

// compareIt is the cure for a value that is none of true and false, or may be neither.
const compareIt = "compare it with something, as in task.attributes.vip == true"

// compile compiles an expression, and lists the attributes that have to be null for it where a task lacks them.
func compile(expression string) (cel.Program, []string, error) {
	if count := utf8.RuneCountInString(expression); count > maxExpression {
		return nil, nil, fmt.Errorf("has %d characters: shorten it to %d", count, maxExpression)
	}
	env, err := environment()
	if err != nil {
		return nil, nil, err
	}
	parsed, issues := env.Parse(expression)
	if issues.Err() != nil {
		return nil, nil, issue(expression, issues)
	}
	// This comes before the types are checked, because checking those of lists within lists takes the cube of their number.
	review, err := reviewed(parsed.NativeRep())
	if err != nil {
		return nil, nil, err
	}
	checked, issues := env.Check(parsed)
	if issues.Err() != nil {
		return nil, nil, issue(expression, issues)
	}
	if output := checked.OutputType(); !output.IsExactType(types.BoolType) {
		return nil, nil, fmt.Errorf("has to be true or false, and is of type %s: %s", output, compareIt)
	}
	if err := review.additions(checked.NativeRep()); err != nil {
		return nil, nil, err
	}
	estimate, err := env.EstimateCost(checked, attributeSizes{})
	if err != nil {
		return nil, nil, fmt.Errorf("estimating what it costs: %w", err)
	}
	if estimate.Max > maxEstimatedCost {
		return nil, nil, errors.New("could take too long for a task with large attributes: put no loop over them into another one")
	}
	program, err := env.Program(checked, cel.EvalOptions(cel.OptOptimize), cel.CostTracking(review.costs), cel.CostLimit(maxCost))
	if err != nil {
		return nil, nil, err
	}
	maps.DeleteFunc(review.selected, func(key string, _ bool) bool { return review.tested[key] })
	return program, slices.Sorted(maps.Keys(review.selected)), nil
}

// review looks at a parsed expression, node by node, parents first. It refuses what makes a value larger than what it is made
// of: so each operation is bounded by the size of the attributes and of the expression, and their number by maxCost.
type review struct {
	source *ast.SourceInfo
	// selected are the attributes whose value the expression uses, tested those of which it asks whether they exist.
	selected, tested map[string]bool
	// joined are the lists that the macro filter adds to its result, each of one element of what it loops over.
	joined map[int64]bool
	// added are the author's own additions.
	added []int64
	costs callCosts
	// err is the first thing that was found wrong.
	err error
}

func reviewed(expression *ast.AST) (*review, error) {
	r := &review{
		source: expression.SourceInfo(), selected: map[string]bool{}, tested: map[string]bool{}, joined: map[int64]bool{}, costs: callCosts{},
	}
	ast.PreOrderVisit(expression.Expr(), ast.NewExprVisitor(func(node ast.Expr) {
		if err := r.look(node); err != nil && r.err == nil {
			r.err = r.at(node.ID(), err)
		}
	}))
	return r, r.err
}

// at adds the place in the expression to an error.
func (r *review) at(id int64, err error) error {
	location := r.source.GetStartLocation(id)
	return fmt.Errorf("line %d, column %d: %w", location.Line(), location.Column()+1, err)
}

func (r *review) look(node ast.Expr) error {
	constant := func(node ast.Expr) bool { return node.Kind() == ast.LiteralKind }
	flat := true
	switch node.Kind() {
	case ast.SelectKind:
		if selection := node.AsSelect(); isAttributes(selection.Operand()) {
			r.note(selection.FieldName(), selection.IsTestOnly())
		}
	case ast.CallKind:
		return r.call(node)
	case ast.ListKind:
		flat = r.joined[node.ID()] || !slices.ContainsFunc(node.AsList().Elements(), func(element ast.Expr) bool { return !constant(element) })
	case ast.MapKind:
		flat = !slices.ContainsFunc(node.AsMap().Entries(), func(entry ast.EntryExpr) bool {
			return !constant(entry.AsMapEntry().Key()) || !constant(entry.AsMapEntry().Value())
		})
	case ast.StructKind:
		return fmt.Errorf("%s{…} is not available", node.AsStruct().TypeName())
	default: // nothing to refuse
	}
	if !flat {
		return errors.New("a list or map can have nothing but texts, numbers, true and false in it")
	}
	return nil
}

func (r *review) note(key string, tested bool) {
	if tested {
		r.tested[key] = true
	} else {
		r.selected[key] = true
	}
}

func (r *review) call(node ast.Expr) error {
	call, args := node.AsCall(), node.AsCall().Args()
	switch name := call.FunctionName(); name {
	case operators.LogicalNot, operators.LogicalAnd, operators.LogicalOr:
		r.decided(args...)
	case operators.Conditional:
		r.decided(args[0])
	case operators.Index:
		if key, isText := literal(args[1]); isText && isAttributes(args[0]) {
			r.note(key, false)
		}
	case operators.In:
		if key, isText := literal(args[0]); isText && isAttributes(args[1]) {
			r.note(key, true)
		}
	case operators.Add:
		if args[0].Kind() == ast.IdentKind && strings.HasPrefix(args[0].AsIdent(), "@") { // no name that an author can write
			r.joined[args[1].ID()] = true
		} else {
			r.added = append(r.added, node.ID())
		}
	case "map":
		return errors.New("map is not available: has, all, exists, exists_one and filter are")
	case "replace", "join", "format", "quote": // strings.quote is a call of quote on strings until the types are checked
		return fmt.Errorf("%s is not available, because what it makes can be of any length", name)
	case overloads.Matches:
		if len(args) == 0 {
			return nil // the wrong number of arguments is found with the types
		}
		pattern, isText := literal(args[len(args)-1])
		if !isText {
			return errors.New("matches needs a pattern that is written in the expression, as in task.queue.matches('^Sales')")
		}
		return r.costs.add(pattern)
	}
	return nil
}

// decided refuses an attribute where true or false is needed: the expression fails for each task that lacks it, or has it in
// another type.
func (r *review) decided(operands ...ast.Expr) {
	for _, operand := range operands {
		if r.err == nil && isAttribute(operand) {
			r.err = r.at(operand.ID(), errors.New("an attribute may be missing, or neither true nor false: "+compareIt))
		}
	}
}

// isAttribute reports whether the node is an attribute, or something within one.
func isAttribute(node ast.Expr) bool {
	var of ast.Expr
	switch {
	case node.Kind() == ast.SelectKind && !node.AsSelect().IsTestOnly():
		of = node.AsSelect().Operand()
	case node.Kind() == ast.CallKind && node.AsCall().FunctionName() == operators.Index:
		of = node.AsCall().Args()[0]
	default:
		return false
	}
	return isAttributes(of) || isAttribute(of)
}

// additions refuses + where it makes longer texts or lists.
func (r *review) additions(checked *ast.AST) error {
	for _, id := range r.added {
		for _, overload := range checked.GetOverloadIDs(id) {
			if overload == overloads.AddString || overload == overloads.AddBytes || overload == overloads.AddList {
				return r.at(id, errors.New("+ can add numbers and times only: compare texts and lists one by one"))
			}
		}
	}
	return nil
}

func isAttributes(node ast.Expr) bool {
	if node.Kind() != ast.SelectKind || node.AsSelect().FieldName() != attributesField {
		return false
	}
	task := node.AsSelect().Operand()
	return task.Kind() == ast.IdentKind && task.AsIdent() == taskVariable
}

func literal(node ast.Expr) (string, bool) {
	if node.Kind() != ast.LiteralKind {
		return "", false
	}
	text, isText := node.AsLiteral().Value().(string)
	return text, isText
}

// attributeSizes estimates the sizes of what a task holds when an expression is compiled.
type attributeSizes struct{}

// EstimateSize is the largest size of a value that CEL cannot know.
func (attributeSizes) EstimateSize(node checker.AstNode) *checker.SizeEstimate {
	switch node.Type().Kind() {
	case types.BoolKind, types.DoubleKind, types.DurationKind, types.IntKind, types.NullTypeKind, types.TimestampKind, types.UintKind:
		return nil // CEL knows
	default:
		if slices.Contains(node.Path(), "@items") || slices.Contains(node.Path(), "@keys") {
			return &checker.SizeEstimate{Max: elementSize}
		}
		return &checker.SizeEstimate{Max: MaxTaskAttributes}
	}
}

// EstimateCallCost leaves it to CEL.
func (attributeSizes) EstimateCallCost(string, string, *checker.AstNode, []checker.AstNode) *checker.CallEstimate {
	return nil
}

// callCosts count what CEL counts too low. They are the numbers of steps of an expression's regular expressions, of which
// CEL counts the length, which says little about the time they take.
type callCosts map[string]int

func (c callCosts) add(pattern string) error {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return unusable(err)
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return unusable(err)
	}
	if len(program.Inst) > maxPattern {
		return fmt.Errorf("the pattern of matches is too long, or repeats too much: it has %d steps, and %d are allowed", len(program.Inst), maxPattern)
	}
	c[pattern] = len(program.Inst)
	return nil
}

// unusable says why a pattern cannot be used. To the regexp package one that repeats too much is none at all.
func unusable(err error) error {
	if found := (*syntax.Error)(nil); errors.As(err, &found) && found.Code == syntax.ErrInvalidRepeatSize {
		var least, most int
		if count, _ := fmt.Sscanf(found.Expr, "{%d,%d}", &least, &most); count == 2 && least > most {
			return fmt.Errorf("the pattern of matches repeats nothing: write {%d,%d} for %s", most, least, found.Expr)
		}
		return fmt.Errorf("the pattern of matches repeats too much, at %s: %d steps are allowed, and each repetition counts", found.Expr, maxPattern)
	}
	return fmt.Errorf("the pattern of matches cannot be used (https://github.com/google/re2/wiki/Syntax): %s",
		strings.TrimPrefix(err.Error(), "error parsing regexp: "))
}

// CallCost is the cost of matching a regular expression, and of comparing lists and maps; nil leaves other calls to CEL.
func (c callCosts) CallCost(function, _ string, args []ref.Val, _ ref.Val) *uint64 {
	if len(args) != 2 {
		return nil
	}
	switch function {
	case overloads.Matches:
		pattern, isText := args[1].Value().(string)
		sized, hasSize := args[0].(traits.Sizer)
		if !isText || !hasSize {
			return nil
		}
		length, _ := sized.Size().Value().(int64)
		return new(uint64(math.Ceil(float64(length+1) * float64(c[pattern]) * patternStepCost)))
	case operators.Equals, operators.NotEquals, operators.In:
		_, text := args[0].(types.String)
		if _, contains := args[0].(traits.Sizer); contains && !text {
			return new(uint64(comparisonCost))
		}
	}
	return nil
}

// issue makes the first of CEL's issues an error, with a cure where one is likely.
func issue(expression string, issues *cel.Issues) error {
	reported := issues.Errors()
	if len(reported) == 0 {
		return issues.Err()
	}
	first := slices.MinFunc(reported, func(a, b *common.Error) int {
		if a.Location.Line() != b.Location.Line() {
			return a.Location.Line() - b.Location.Line()
		}
		return a.Location.Column() - b.Location.Column()
	})
	message, _, _ := strings.Cut(first.Message, " expecting {") // a list of all that CEL knows
	message = strings.ReplaceAll(message, " (in container '')", "")
	if cure := cure(expression, first.Message); cure != "" {
		message += ": " + cure
	}
	if first.Location.Line() < 1 {
		return errors.New(message) // about the whole of it
	}
	return fmt.Errorf("line %d, column %d: %s", first.Location.Line(), first.Location.Column()+1, message)
}

var (
	// quoted is the name that CEL's message is about.
	quoted = regexp.MustCompile(`(undefined field|undeclared reference to|token recognition error at:|(?:mismatched|extraneous) input) '([^']*)'`)

	// hyphened is an attribute whose key has a hyphen, which is a minus to CEL.
	hyphened = regexp.MustCompile(`\b(task\.attributes(?:\.\w+)*)\.(\w+(?:-[A-Za-z_]\w*)+)`)

	// lengthOfTime is a length of time in the notation of CEL.
	lengthOfTime = regexp.MustCompile(`\bduration\(\s*["']([^"']*)["']\s*\)`)
)

// calls are the functions on texts as they are written, by their names here and in other languages.
var calls = func() map[string]string {
	named := map[string]string{}
	for call, names := range map[string][]string{
		`task.queue.lowerAscii()`:      {"lowerAscii", "lower", "toLower", "toLowerCase"},
		`task.queue.upperAscii()`:      {"upperAscii", "upper", "toUpper", "toUpperCase"},
		`task.queue.trim()`:            {"trim", "strip"},
		`task.queue.size()`:            {"size", "length", "len"},
		`task.queue.contains("VIP")`:   {"contains", "includes"},
		`task.queue.startsWith("VIP")`: {"startsWith", "hasPrefix"},
		`task.queue.endsWith("VIP")`:   {"endsWith", "hasSuffix"},
		`task.queue.matches("^VIP")`:   {"matches", "match"},
	} {
		for _, name := range names {
			named[name] = call
		}
	}
	return named
}()

// cure says what to write instead, if the message is about a mistake that is easily made.
func cure(expression, message string) string {
	switch {
	case strings.Contains(message, "no matching overload"):
		return cureOfTypes(expression, message)
	case strings.Contains(message, "recognition error at: ''"), strings.Contains(message, "recognition error at: '\""):
		return "a text ends with the quote that it begins with"
	}
	found := quoted.FindStringSubmatch(message)
	if found == nil {
		return ""
	}
	name := strings.TrimSpace(found[2])
	fields := slices.Sorted(maps.Keys(taskFields))
	key := quotedKey(expression, name)
	switch meant := nearest(name, fields); {
	case strings.HasPrefix(name, "="):
		return "compare with =="
	case strings.EqualFold(name, "and"), strings.EqualFold(name, "or"), strings.EqualFold(name, "not"), name == "&", name == "|":
		return "write && for and, || for or, ! for not"
	case strings.HasPrefix(found[1], "undeclared") && (strings.EqualFold(name, "true") || strings.EqualFold(name, "false") || strings.EqualFold(name, "null")):
		return "write " + strings.ToLower(name)
	case strings.HasPrefix(found[1], "undeclared") && key != "":
		return "did you mean " + key + "?"
	case strings.HasPrefix(found[1], "undeclared") && strings.Contains(expression, name+"("):
		if call, known := calls[nearest(name, slices.Sorted(maps.Keys(calls)))]; known {
			return "did you mean " + call + "?"
		}
		return "there is no such function"
	case strings.HasPrefix(found[1], "undeclared") && meant != "":
		return "did you mean " + taskVariable + "." + meant + "?"
	case strings.HasPrefix(found[1], "undeclared"):
		return "an expression is about task, and texts in it are in quotes"
	case found[1] == "undefined field" && meant != "":
		return "did you mean " + taskVariable + "." + meant + "?"
	case found[1] == "undefined field":
		return "task has " + strings.Join(fields, ", ") + "; did you mean task.attributes." + name + "?"
	}
	return ""
}

// cureOfTypes says what to write where types do not go together.
func cureOfTypes(expression, message string) string {
	key := quotedKey(expression, "")
	switch {
	case strings.Contains(message, "'_-_'") && key != "":
		return "did you mean " + key + "?"
	case strings.Contains(message, "'@in'") && strings.Contains(message, ", string)"):
		return `in needs a list in brackets, as in task.queue in ["VIP"]; for a part of a text write task.queue.contains("VIP")`
	case strings.Contains(message, "(int, duration)"), strings.Contains(message, "(duration, int)"):
		written := "1h"
		if found := lengthOfTime.FindStringSubmatch(expression); found != nil {
			written = found[1]
		}
		length, err := time.ParseDuration(written)
		if err != nil {
			return "task.age is a number of seconds"
		}
		return fmt.Sprintf("task.age is a number of seconds: write %d for %s", int64(length/time.Second), written)
	}
	return "the types do not go together: texts are in quotes, numbers are not"
}

// quotedKey is an attribute with a hyphen as it has to be written, or "". part is a part of its key, "" is part of any.
func quotedKey(expression, part string) string {
	for _, found := range hyphened.FindAllStringSubmatch(expression, -1) {
		if part == "" || slices.Contains(strings.Split(found[2], "-"), part) {
			return fmt.Sprintf("%s[%q]", found[1], found[2])
		}
	}
	return ""
}
