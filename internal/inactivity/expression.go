package inactivity

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/overloads"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/ext"
)

const (
	// maxExpression is how many characters an expression may have, as the CRD says.
	maxExpression = 2048

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
