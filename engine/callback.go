package engine

import (
	"reflect"
	"runtime"
	"slices"
)

// inCallback reports whether an engine, this one or another, has called what is running on
// this goroutine. Waiting there for the end of the engine is waiting for oneself, or stops
// a loop. It looks for the functions that call the application on the stack, since a
// goroutine has no other mark of its own, and is for what is done once in an engine's life.
func inCallback() bool {
	callers := []string{nameOf((*Engine).runLoop), nameOf((*Engine).burst), nameOf((*Engine).serveHTTP), nameOf((*tlsLayer).shake)}
	stack := make([]uintptr, 64)
	n := runtime.Callers(0, stack)
	for n == len(stack) {
		stack = make([]uintptr, 2*len(stack))
		n = runtime.Callers(0, stack)
	}
	for frames, more := runtime.CallersFrames(stack[:n]), true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		if slices.Contains(callers, f.Function) {
			return true
		}
	}
	return false
}

func nameOf(function any) string {
	return runtime.FuncForPC(reflect.ValueOf(function).Pointer()).Name()
}
