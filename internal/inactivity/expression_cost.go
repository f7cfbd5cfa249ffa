package inactivity

import (
	"errors"
	"fmt"
	"math"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common/operators"
	"github.com/google/cel-go/common/overloads"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

const (
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
